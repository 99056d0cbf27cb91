//go:build linux && (amd64 || arm64)

package shm

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// createMemfd makes an anonymous object, sealed against shrinking.
func createMemfd(a Address, size int64, s settings) (opened, error) {
	flags := unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	if s.HugePages {
		flags |= unix.MFD_HUGETLB
		page, err := hugePageSize()
		if err != nil {
			return opened{}, err
		}
		if size, err = roundUp(size, page); err != nil {
			return opened{}, err
		}
	}
	// Nobody is to run it, unless the mode says so. NOEXEC_SEAL is Linux 6.3;
	// before it, EINVAL.
	exec := 0
	if s.Mode&0o111 == 0 {
		exec = unix.MFD_NOEXEC_SEAL
	}
	fd, err := unix.MemfdCreate(a.name, flags|exec)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(a.name, flags)
	}
	if err != nil {
		return opened{}, err
	}
	o := &fileObject{addr: a, fd: fd}
	err = o.chown(s)
	if err == nil {
		err = unix.Fchmod(fd, uint32(s.Mode)) // memfds are made 0777 or, with NOEXEC_SEAL, 0666
	}
	if err == nil {
		err = o.reserve(size)
	}
	if err == nil && !s.Unsealed {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
	}
	if err != nil {
		o.close()
		return opened{}, err
	}
	return opened{o, a, size}, nil
}

// hugePageSize is the size of the machine's default huge pages, in bytes.
func hugePageSize() (int64, error) {
	meminfo, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(meminfo)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "Hugepagesize:" {
			kib, err := strconv.ParseInt(f[1], 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("this kernel has no huge pages: %w", unix.EOPNOTSUPP)
}
