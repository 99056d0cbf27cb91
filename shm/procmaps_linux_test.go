//go:build linux && (amd64 || arm64)

package shm

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPathsInProc(t *testing.T) {
	for line, want := range map[string]mapping{
		"7f0c8a000000-7f0c8a100000 rw-s 00000000 00:19 12                         /dev/shm/a b (deleted)": {1 << 20, true, unix.Mkdev(0, 0x19), 12, "/dev/shm/a b (deleted)"},
		"7f0c8a000000-7f0c8a001000 r--p 00000000 fe:01 7 /x":                                              {4096, false, unix.Mkdev(0xfe, 1), 7, "/x"},
	} {
		if got, ok := parseMapping(line, unix.Mkdev); !ok || got != want {
			t.Errorf("%q: %+v, %v", line, got, ok)
		}
	}
	for _, line := range []string{
		"", " ", "7f-80", "zz-7f rw-s 0 0:0 1 /x", "7f0c8a000000-7f0c8a001000 rw-s 0 00:00 0", "80-7f rw-s 0 00:19 1 /x",
		"70-80 rw 0 00:19 1 /x", "70-80 rw-s 0 0019 1 /x", "70-80 rw-s 0 00:19 -1 /x", "70-80 rw-s 0 00:19 1 [heap]",
	} {
		if got, ok := parseMapping(line, unix.Mkdev); ok {
			t.Errorf("%q: %+v", line, got)
		}
	}
	for path, want := range map[string]struct {
		addr    string
		removed bool
		ok      bool
	}{
		"/SYSV00001234 (deleted)":         {"sysv-id:9", false, true},
		"/memfd:x (deleted)":              {"memfd:x", false, true},
		"/dev/shm/ticks":                  {"/ticks", false, true},
		"/dev/shm/ticks (deleted)":        {"/ticks", true, true},
		"/dev/shm/directory/x":            {"file:/dev/shm/directory/x", false, true},
		"/var/lib/data (deleted)":         {"file:/var/lib/data", true, true},
		"/usr/lib/libc.so.6, not shared!": {"file:/usr/lib/libc.so.6, not shared!", false, false},
	} {
		a, removed, ok := describe(path, !strings.Contains(path, "not shared"), 9)
		if a.String() != want.addr || removed != want.removed || ok != want.ok {
			t.Errorf("%q: %v, %v, %v", path, a, removed, ok)
		}
	}
}
