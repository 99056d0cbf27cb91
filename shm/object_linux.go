//go:build linux && (amd64 || arm64)

package shm

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/posix"
)

const supported = true

// createObject makes an object that nobody can open yet (see object.publish).
func createObject(a Address, size int64, s settings) (opened, error) {
	switch a.kind {
	case POSIX, File:
		return createFile(a, size, s)
	case Memfd:
		return createMemfd(a, size, s)
	default:
		return createSysV(a, size, s)
	}
}

func openObject(a Address, s settings) (opened, error) {
	switch a.kind {
	case POSIX, File:
		return openFile(a, s)
	case Memfd:
		return opened{}, fmt.Errorf("a memfd has no name to open; its holder hands it over with Segment.Send: %w", unix.EINVAL)
	default:
		return openSysV(a)
	}
}

func statObject(a Address) (Info, error) {
	switch a.kind {
	case POSIX, File:
		return statPath(a)
	case Memfd:
		return Info{}, fmt.Errorf("a memfd has no name to look up: %w", unix.EINVAL)
	default:
		return statSysV(a)
	}
}

func listObjects() ([]Info, error) {
	list, err := listSysV()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(posix.ShmDir)
	if err != nil && !errors.Is(err, unix.ENOENT) { // without the directory there are no POSIX objects
		return nil, err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		info, err := statPath(Address{kind: POSIX, name: posix.ShmDir + "/" + e.Name()})
		if err == nil {
			list = append(list, info)
		}
	}
	return list, nil
}

func removeObject(a Address) error {
	switch a.kind {
	case POSIX: // as shm_unlink(3): whatever has the name, unless it is a directory
		return unix.Unlink(a.path())
	case File:
		// unlink(2) alone would take a symbolic link or a FIFO, too.
		var st unix.Stat_t
		err := unix.Lstat(a.path(), &st)
		if err == nil {
			err = checkKind(st.Mode)
		}
		if err != nil {
			return err
		}
		return unix.Unlink(a.path())
	case Memfd:
		return fmt.Errorf("a memfd has no name; it is freed when its last holder lets go: %w", unix.EINVAL)
	default:
		return removeSysV(a)
	}
}

func removeUnused(a Address) error {
	switch a.kind {
	case POSIX, File:
		return removeUnusedFile(a)
	case Memfd:
		return removeObject(a)
	default:
		info, err := statSysV(a)
		if err == nil && info.Attached > 0 {
			err = ErrInUse
		}
		if err != nil {
			return err
		}
		return removeSysV(IDAddress(idOf(info)))
	}
}

// statPath describes the object that a name in the file system stands for.
func statPath(a Address) (Info, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, a.path(), unix.AT_SYMLINK_NOFOLLOW, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	if err != nil {
		return Info{}, err
	}
	return fileInfo(a, &st)
}

// checkKind refuses what is no object.
func checkKind(mode uint32) error {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFLNK:
		return unix.ELOOP
	case unix.S_IFDIR:
		return unix.EISDIR
	}
	return errOtherKind
}

var errOtherKind = fmt.Errorf("it is a device, socket or FIFO: %w", unix.EINVAL)

// ignoringEINTR calls op until it is not interrupted by a signal; the Go
// runtime sends itself some.
func ignoringEINTR(op func() error) error {
	for {
		if err := op(); err != syscall.EINTR {
			return err
		}
	}
}
