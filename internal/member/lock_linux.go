//go:build linux && (amd64 || arm64)

package member

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
)

// lockFile is an open file description of our own, whose locks are the claims
// of one member. Two members of the same process have two: the kernel lets locks
// of one description overlap.
type lockFile struct {
	fd        int
	companion uint64 // inode of the companion file; 0 if the object has a file itself
}

// openLockFile opens the file whose bytes are locked: the object's own or, for
// System V memory, which has none, its companion in /dev/shm.
func openLockFile(seg *shm.Segment, info shm.Info) (*lockFile, error) {
	if seg.Address().Kind() == shm.SysV {
		return openCompanion(info)
	}
	f, err := seg.File() // shares the segment's description, and locks with it
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := open("/proc/self/fd/"+strconv.Itoa(int(f.Fd())), unix.O_RDWR)
	if err != nil {
		return nil, fmt.Errorf("open a description of its own, to lock: %w", err)
	}
	return &lockFile{fd: fd}, nil
}

// openAttempts bounds the rounds of open and create; see shm.OpenOrCreate.
const openAttempts = 100

func openCompanion(info shm.Info) (*lockFile, error) {
	name := CompanionName(info.ID)
	path, err := posix.ShmPath(name)
	if err != nil {
		return nil, err
	}
	for range openAttempts {
		var fd int
		if fd, err = open(path, unix.O_RDWR|unix.O_NOFOLLOW); err == nil {
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil {
				unix.Close(fd)
				return nil, err
			}
			return &lockFile{fd: fd, companion: st.Ino}, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		// One byte, with the segment's own permissions: who may use the one may lock the other.
		var seg *shm.Segment
		seg, err = shm.Create(name, 1, &shm.Options{Mode: info.Mode.Perm(), Group: strconv.Itoa(int(info.GID))})
		if err == nil {
			seg.Close()
		} else if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return nil, fmt.Errorf("lock file of System V segment %d: %w", info.ID, err)
}

func open(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func (l *lockFile) byteLock(cmd int, typ int16, offset int64) (unix.Flock_t, error) {
	lock := unix.Flock_t{Type: typ, Whence: io.SeekStart, Start: offset, Len: 1}
	for {
		err := unix.FcntlFlock(uintptr(l.fd), cmd, &lock)
		if err != syscall.EINTR {
			return lock, err
		}
	}
}

// try takes the byte's lock and reports whether it could.
func (l *lockFile) try(offset int64) (bool, error) {
	_, err := l.byteLock(unix.F_OFD_SETLK, unix.F_WRLCK, offset)
	if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) {
		return false, nil
	}
	return err == nil, err
}

// wait takes the byte's lock as soon as nobody else has it.
func (l *lockFile) wait(offset int64) error {
	_, err := l.byteLock(unix.F_OFD_SETLKW, unix.F_WRLCK, offset)
	return err
}

func (l *lockFile) unlock(offset int64) error {
	_, err := l.byteLock(unix.F_OFD_SETLK, unix.F_UNLCK, offset)
	return err
}

// taken reports whether another description has the byte locked.
func (l *lockFile) taken(offset int64) (bool, error) {
	lock, err := l.byteLock(unix.F_OFD_GETLK, unix.F_WRLCK, offset)
	return lock.Type != unix.F_UNLCK, err
}

func (l *lockFile) close() error { return unix.Close(l.fd) }
