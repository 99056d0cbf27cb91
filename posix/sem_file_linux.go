//go:build linux && (amd64 || arm64)

package posix

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

// openSem opens or creates the file of a named semaphore, and maps it. As in
// [ShmOpen], an existing one is opened without O_CREAT.
func openSem(path string, flag int, perm fs.FileMode, value uint32) (*semWords, []byte, error) {
	exclusive := flag&os.O_EXCL != 0 && flag&os.O_CREATE != 0
	if flag&os.O_CREATE != 0 && value > SemValueMax {
		return nil, nil, fmt.Errorf("value %d is above %d: %w", value, SemValueMax, syscall.EINVAL)
	}
	for range createAttempts {
		if !exclusive {
			w, b, err := joinSem(path)
			if err != syscall.ENOENT || flag&os.O_CREATE == 0 {
				return w, b, err
			}
		}
		w, b, err := createSem(path, perm, value)
		if err != syscall.EEXIST || exclusive {
			return w, b, err
		}
	}
	return nil, nil, syscall.EAGAIN
}

// joinSem opens a file that is there, if it holds a semaphore.
func joinSem(path string) (*semWords, []byte, error) {
	var fd int
	var st unix.Stat_t
	err := error(unix.EINTR)
	for err == unix.EINTR {
		fd, st, err = sys.OpenRegular(path, unix.O_RDWR, 0)
	}
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	// A page that lies past the end of a shorter file would be SIGBUS.
	if st.Size != SemSize {
		return nil, nil, fmt.Errorf("%s has %d bytes, a semaphore of glibc %d: %w", path, st.Size, SemSize, syscall.EINVAL)
	}
	w, b, err := mapSem(fd)
	if err != nil {
		return nil, nil, err
	}
	if err := w.checkNamed(); err != nil {
		unix.Munmap(b)
		return nil, nil, fmt.Errorf("%s: %w: %w", path, err, syscall.EINVAL)
	}
	return w, b, nil
}

// checkNamed is check for what must be a whole file of glibc's.
func (w *semWords) checkNamed() error {
	if w.private.Load() != semShared || w.pad.Load() != 0 || w.unused[0].Load() != 0 || w.unused[1].Load() != 0 {
		return fmt.Errorf("no semaphore of glibc: expected the word %#x at 8 and zeros behind it", semShared)
	}
	return w.check()
}

func mapSem(fd int) (*semWords, []byte, error) {
	b, err := unix.Mmap(fd, 0, SemSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	w, err := mem.At[semWords](b, 0)
	if err != nil {
		unix.Munmap(b)
		return nil, nil, err
	}
	return w, b, nil
}

// createSem makes the whole file under a temporary name and links it into place,
// which fails with EEXIST if the name is taken. If this process dies between the
// two, the temporary file stays; nobody ever opens it.
func createSem(path string, perm fs.FileMode, value uint32) (*semWords, []byte, error) {
	temp := ShmDir + "/" + semPrefix + rand.Text()
	var fd int
	err := error(unix.EINTR)
	for err == unix.EINTR {
		fd, err = unix.Open(temp, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC|unix.O_NOFOLLOW, uint32(perm))
	}
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	defer unix.Unlink(temp)
	var content [SemSize]byte
	binary.LittleEndian.PutUint64(content[:], uint64(value))
	binary.LittleEndian.PutUint32(content[8:], semShared)
	n, err := unix.Pwrite(fd, content[:], 0)
	if err == nil && n < SemSize {
		err = syscall.ENOSPC
	}
	if err != nil {
		return nil, nil, err
	}
	w, b, err := mapSem(fd)
	if err != nil {
		return nil, nil, err
	}
	if err := unix.Link(temp, path); err != nil {
		unix.Munmap(b)
		return nil, nil, err
	}
	return w, b, nil
}
