//go:build linux && (amd64 || arm64)

package posix

import (
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/sys"
)

// openObject opens the file of an object. Creating goes with O_EXCL only.
func openObject(path string, flag int, perm fs.FileMode) (*os.File, error) {
	for {
		fd, _, err := sys.OpenRegular(path, flag, uint32(perm))
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), path), nil
	}
}

func unlinkObject(path string) error { return unix.Unlink(path) }
