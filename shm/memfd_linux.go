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
func createMemfd(a Address, size int64, s settings) (object, error) {
	flags := unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	if s.HugePages {
		flags |= unix.MFD_HUGETLB
		page, err := hugePageSize()
		if err != nil {
			return nil, err
		}
		size = (size + page - 1) / page * page
	}
	// NOEXEC_SEAL is Linux 6.3; before it, EINVAL.
	fd, err := unix.MemfdCreate(a.name, flags|unix.MFD_NOEXEC_SEAL)
	if err == unix.EINVAL {
		fd, err = unix.MemfdCreate(a.name, flags)
	}
	if err != nil {
		return nil, err
	}
	o := &fileObject{addr: a, fd: fd}
	err = o.own(s)
	if err == nil {
		err = o.reserve(size)
	}
	if err == nil && !s.Unsealed {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
	}
	if err != nil {
		o.close()
		return nil, err
	}
	return o, nil
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
