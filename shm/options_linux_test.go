//go:build linux && (amd64 || arm64)

package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/shm"
)

func TestHugePagesWithoutAPool(t *testing.T) {
	pool, err := os.ReadFile("/proc/sys/vm/nr_hugepages")
	if err != nil || strings.TrimSpace(string(pool)) != "0" {
		t.Skipf("this machine has a pool of huge pages, %s, or none at all: %v", pool, err)
	}
	for addr, want := range map[string]error{"sysv:0x5a0a5": syscall.ENOMEM, "memfd:huge": syscall.ENOSPC} {
		seg, err := shm.Create(addr, 1, &shm.Options{HugePages: true})
		if err == nil {
			seg.Close()
		}
		if !errors.Is(err, want) || !strings.Contains(err.Error(), "huge pages") {
			t.Errorf("%s: %v, want %v", addr, err, want)
		}
	}
	if _, err := shm.Stat("sysv:0x5a0a5"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	// A hint, for these.
	for _, addr := range []string{"/shoal-huge", "file:" + filepath.Join(t.TempDir(), "huge")} {
		seg := create(t, addr, 100, &shm.Options{HugePages: true})
		if seg.Size() != 100 {
			t.Errorf("%s has %d bytes", addr, seg.Size())
		}
	}
	for _, addr := range []string{"sysv:0x5a0a5", "memfd:huge"} {
		if _, err := shm.Create(addr, math.MaxInt64, &shm.Options{HugePages: true}); err == nil {
			t.Errorf("%s of 2^63-1 bytes in huge pages was made", addr)
		}
	}
}

// resident returns how many bytes of a file this process has in its page table.
func resident(t *testing.T, part string) (bytes int64) {
	maps, err := os.ReadFile("/proc/self/smaps")
	must(t, err)
	_, after, found := strings.Cut(string(maps), part)
	if !found {
		t.Fatalf("%s is not mapped", part)
	}
	_, after, _ = strings.Cut(after, "Rss:")
	var kib int64
	_, err = fmt.Sscan(after, &kib)
	must(t, err)
	return kib << 10
}

func TestPopulate(t *testing.T) {
	const size = 1 << 20
	path := filepath.Join(t.TempDir(), "populate")
	for kind, c := range map[string]struct{ addr, part string }{
		"posix": {"/shoal-populate", "/dev/shm/"},
		"sysv":  {"sysv:0x5a0a6", "/SYSV0005a0a6"},
		"file":  {"file:" + path, filepath.Dir(path)},
		"memfd": {"memfd:populate", "/memfd:populate"},
	} {
		t.Run(kind, func(t *testing.T) {
			for _, populate := range []bool{false, true} {
				opts := &shm.Options{Populate: populate}
				seg := create(t, c.addr, size, opts)
				if got := resident(t, c.part); (got == size) != populate {
					t.Errorf("created, Populate %v: %d bytes mapped in", populate, got)
				}
				if kind == "memfd" {
					must(t, seg.Close())
					continue
				}
				must(t, seg.Close())
				opts.ReadOnly = true
				seg, err := shm.Open(c.addr, opts)
				must(t, err)
				if got := resident(t, c.part); (got == size) != populate {
					t.Errorf("opened, Populate %v: %d bytes mapped in", populate, got)
				}
				must(t, seg.Close())
				must(t, shm.Remove(c.addr))
			}
		})
	}
}

func TestSealsOfMemfd(t *testing.T) {
	for _, unsealed := range []bool{false, true} {
		seg, err := shm.Create("memfd:seals", 8192, &shm.Options{Unsealed: unsealed, Mode: 0o640})
		must(t, err)
		f, err := seg.File()
		must(t, err)
		if info, err := seg.Stat(); err != nil || info.Sealed == unsealed || info.Mode != 0o640 || info.Removed {
			t.Errorf("Unsealed %v: %+v, %v", unsealed, info, err)
		}
		err = f.Truncate(4096)
		if unsealed != (err == nil) || !unsealed && !errors.Is(err, syscall.EPERM) {
			t.Errorf("Unsealed %v: making it shorter says %v", unsealed, err)
		}
		if !unsealed {
			must(t, seg.Grow(12<<10))
			seg.Bytes()[12<<10-1] = 1
		}
		f.Close()
		must(t, seg.Close())
	}
	// Execute bits are kept, though memfds are sealed against them otherwise.
	seg, err := shm.Create("memfd:exec", 1, &shm.Options{Mode: 0o700})
	must(t, err)
	if info, err := seg.Stat(); err != nil || info.Mode != 0o700 {
		t.Errorf("mode %v, %v", info.Mode, err)
	}
	must(t, seg.Close())
}

func TestModesThatAreNone(t *testing.T) {
	for _, mode := range []fs.FileMode{fs.ModeSetuid | 0o600, fs.ModeDir | 0o700, 1 << 9} {
		_, err := shm.Create("/shoal-mode", 1, &shm.Options{Mode: mode})
		if !errors.Is(err, syscall.EINVAL) {
			t.Errorf("mode %v: %v", mode, err)
		}
	}
	if _, err := shm.Create("/shoal-mode", 1, &shm.Options{ReadOnly: true}); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("new and read-only: %v", err)
	}
	if _, err := shm.Stat("/shoal-mode"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

// TestSizesThatAreTooLarge asks for what no machine has. It must fail at once:
// reserving memory up to the point of failure could end other programs.
func TestSizesThatAreTooLarge(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int64{0, -1, math.MinInt64, 1 << 50, math.MaxInt64} {
		for addr, want := range map[string][]error{
			"/shoal-large":           {syscall.ENOSPC},
			"sysv:0x5a0a7":           {syscall.ENOMEM, syscall.EINVAL},
			"file:" + dir + "/large": {syscall.ENOSPC},
			"memfd:large":            {syscall.ENOMEM},
		} {
			if size <= 0 {
				want = []error{syscall.EINVAL}
			}
			_, err := shm.Create(addr, size, nil)
			ok := false
			for _, w := range want {
				ok = ok || errors.Is(err, w)
			}
			if !ok {
				t.Errorf("%s of %d bytes: %v, want one of %v", addr, size, err, want)
			}
		}
	}
	if left := contents(t, dir); left != nil {
		t.Errorf("left behind: %v", left)
	}
	if left, err := shm.List(); isolate.Isolated() && (len(left) > 0 || err != nil) {
		t.Errorf("left behind: %v, %v", left, err)
	}

	seg := create(t, "/shoal-large", 4096, nil)
	if err := seg.Grow(1 << 50); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "1 PiB asked") {
		t.Errorf("Grow: %v", err)
	}
	if info, err := seg.Stat(); err != nil || info.Size != 4096 || seg.Size() != 4096 {
		t.Errorf("after a failed Grow: %+v, %v", info, err)
	}
}

func TestLongNames(t *testing.T) {
	long := strings.Repeat("n", 300)
	for addr, want := range map[string]syscall.Errno{
		"/" + long:                         syscall.ENAMETOOLONG,
		"file:" + t.TempDir() + "/" + long: syscall.ENAMETOOLONG,
		"memfd:" + long:                    syscall.EINVAL,
	} {
		_, err1 := shm.Create(addr, 1, nil)
		_, err2 := shm.Open(addr, nil)
		_, _, err3 := shm.OpenOrCreate(addr, 1, nil)
		_, err4 := shm.Stat(addr)
		for i, err := range []error{err1, err2, err3, err4, shm.Remove(addr), shm.RemoveUnused(addr)} {
			if !errors.Is(err, want) {
				t.Errorf("call %d with %.20s…: %v, want %v", i+1, addr, err, want)
			}
			var e *shm.Error
			if !errors.As(err, &e) || e.Op == "" || e.Advice == "" && want == syscall.ENAMETOOLONG {
				t.Errorf("call %d with %.20s… does not say what to do: %#v", i+1, addr, e)
			}
		}
	}
}
