//go:build linux && (amd64 || arm64)

package sys_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/sys"
)

func TestAlias(t *testing.T) {
	const size = 3*4096 + 100
	fd, err := unix.MemfdCreate("alias", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), "alias")
	defer file.Close()
	if err := file.Truncate(size); err != nil {
		t.Fatal(err)
	}
	for name, flags := range map[string]int{
		"shared":  unix.MAP_SHARED,
		"private": unix.MAP_PRIVATE, // which the kernel does not map again: the file's turn
	} {
		t.Run(name, func(t *testing.T) {
			b, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, flags)
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Munmap(b)
			asked := false
			a, err := sys.Alias(b, func() (*os.File, error) {
				asked = true
				n, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
				return os.NewFile(uintptr(n), "alias"), err
			})
			if err != nil {
				t.Fatal(err)
			}
			if asked != (flags == unix.MAP_PRIVATE) {
				t.Errorf("asked for the file: %t", asked)
			}
			a[0], a[size-1] = 5, 6
			var in [size]byte
			if _, err := file.ReadAt(in[:], 0); err != nil || in[0] != 5 || in[size-1] != 6 {
				t.Errorf("%v: %d and %d in the file", err, in[0], in[size-1])
			}
			if err := sys.Blank(a); err != nil {
				t.Fatal(err)
			}
			if a[0] != 0 || a[size-1] != 0 {
				t.Errorf("%d and %d are left", a[0], a[size-1])
			}
			a[0] = 7
			if _, err := file.ReadAt(in[:], 0); err != nil || in[0] != 5 {
				t.Errorf("%v: %d in the file", err, in[0])
			}
			if err := sys.Unmap(a); err != nil {
				t.Error(err)
			}
			if flags == unix.MAP_PRIVATE {
				if _, err := sys.Alias(b, func() (*os.File, error) { return nil, errors.ErrUnsupported }); !errors.Is(err, unix.EINVAL) {
					t.Error(err)
				}
			}
		})
	}
}
