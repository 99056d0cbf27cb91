//go:build linux && (amd64 || arm64)

package sys

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Alias maps shared memory that is mapped as b once more, at another address. file
// gives the open file behind it, and is asked for only if need be. Unmap takes the alias
// away.
func Alias(b []byte, file func() (*os.File, error)) ([]byte, error) {
	// An old size of 0 leaves the old mapping where it is (mremap(2)): that does for
	// System V memory as well, but not for huge pages.
	p, err := unix.MremapPtr(unsafe.Pointer(unsafe.SliceData(b)), 0, nil, uintptr(len(b)), unix.MREMAP_MAYMOVE)
	if err == nil {
		return unsafe.Slice((*byte)(p), len(b)), nil
	}
	f, fileErr := file()
	if fileErr != nil {
		return nil, os.NewSyscallError("mremap", err)
	}
	defer f.Close()
	p, err = unix.MmapPtr(int(f.Fd()), 0, nil, uintptr(len(b)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	return unsafe.Slice((*byte)(p), len(b)), nil
}

// Blank replaces a mapping, at the same address and in one step, by private memory that
// is zero. Whoever still uses it meets that, and the shared memory is as good as
// unmapped. The private memory takes room only where it is written to.
func Blank(b []byte) error {
	_, err := unix.MmapPtr(-1, 0, unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b)), unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_FIXED|unix.MAP_NORESERVE)
	return os.NewSyscallError("mmap", err)
}

// Unmap takes a mapping away.
func Unmap(b []byte) error {
	return os.NewSyscallError("munmap", unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(b)), uintptr(len(b))))
}
