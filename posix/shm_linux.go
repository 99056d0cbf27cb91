//go:build linux && (amd64 || arm64)

package posix

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

func openObject(path string, flag int, perm fs.FileMode) (*os.File, error) {
	// O_NONBLOCK: a FIFO in the object's place must not hang the caller. It has
	// no effect on the regular file that we insist on below.
	flag |= unix.O_NOFOLLOW | unix.O_CLOEXEC | unix.O_NONBLOCK
	for {
		fd, err := unix.Open(path, flag, uint32(perm))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := checkRegular(fd); err != nil {
			unix.Close(fd)
			return nil, err
		}
		return os.NewFile(uintptr(fd), path), nil
	}
}

// checkRegular refuses what is no object: a directory (EISDIR), and devices,
// sockets and FIFOs (EINVAL).
func checkRegular(fd int) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return syscall.EISDIR
	default:
		return syscall.EINVAL
	}
}

func unlinkObject(path string) error { return unix.Unlink(path) }
