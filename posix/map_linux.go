//go:build linux && (amd64 || arm64)

package posix

import (
	"os"

	"golang.org/x/sys/unix"
)

// control runs op on f's descriptor, which stays open meanwhile.
func control(f *os.File, op func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var opErr error
	if conn.Control(func(fd uintptr) { opErr = op(int(fd)) }) != nil {
		return os.ErrClosed // the one reason, for which Control has an error value of its own
	}
	return opErr
}

func mmap(f *os.File, offset int64, length int, prot Prot) (b []byte, err error) {
	err = control(f, func(fd int) (err error) {
		b, err = unix.Mmap(fd, offset, length, int(prot), unix.MAP_SHARED)
		return err
	})
	return b, err
}

func munmap(b []byte) error { return unix.Munmap(b) }

func msync(b []byte) error { return unix.Msync(b, unix.MS_SYNC) }

func fallocate(f *os.File, offset, n int64) error {
	return control(f, func(fd int) error {
		for {
			if err := unix.Fallocate(fd, 0, offset, n); err != unix.EINTR {
				return err
			}
		}
	})
}
