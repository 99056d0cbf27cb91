//go:build linux && (amd64 || arm64)

package shm_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/shm"
)

// backends are the addresses of one new object of every kind.
func backends(t *testing.T) map[string]string {
	return map[string]string{
		"posix": "/shoal-test",
		"sysv":  "sysv:0x5a0a1",
		"file":  "file:" + filepath.Join(t.TempDir(), "segment"),
	}
}

func create(t *testing.T, addr string, size int64, opts *shm.Options) *shm.Segment {
	t.Helper()
	seg, err := shm.Create(addr, size, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		seg.Close()
		if strings.HasPrefix(addr, "memfd:") {
			return
		}
		if err := shm.Remove(addr); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return seg
}

func TestWhatOneWritesTheOtherReads(t *testing.T) {
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			a := create(t, addr, 1000, nil)
			copy(a.Bytes(), "Hello, Shared Memory!")
			b, err := shm.Open(addr, &shm.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if got := string(b.Bytes()[:21]); got != "Hello, Shared Memory!" {
				t.Errorf("read %q", got)
			}
			if b.Size() != 1000 || cap(b.Bytes()) != 1000 {
				t.Errorf("size %d, cap %d, want 1000", b.Size(), cap(b.Bytes()))
			}
			if _, err := b.WriteAt([]byte("x"), 0); !errors.Is(err, shm.ErrReadOnly) || !errors.Is(err, fs.ErrPermission) {
				t.Errorf("WriteAt on a read-only segment: %v", err)
			}
			info, err := a.Stat()
			if err != nil || info.Mode != 0o600 || info.Size != 1000 {
				t.Errorf("Stat: %+v, %v", info, err)
			}
			holders, _, err := a.Holders()
			if err != nil || len(holders) != 1 || holders[0].PID != os.Getpid() || holders[0].Mapped != 8192 {
				t.Errorf("Holders: %+v, %v", holders, err)
			}
		})
	}
}

func TestModeIsExactWhateverTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			info, err := create(t, addr, 1, &shm.Options{Mode: 0o666}).Stat()
			if err != nil || info.Mode != 0o666 {
				t.Errorf("mode %v, %v", info.Mode, err)
			}
		})
	}
}

func TestCreateIsExclusiveAndOpenFindsOrNot(t *testing.T) {
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			if _, err := shm.Open(addr, nil); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open of nothing: %v", err)
			}
			if err := shm.Remove(addr); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Remove of nothing: %v", err)
			}
			seg := create(t, addr, 4096, nil)
			copy(seg.Bytes(), "first")
			if _, err := shm.Create(addr, 4096, nil); !errors.Is(err, fs.ErrExist) {
				t.Errorf("second Create: %v", err)
			}
			if string(seg.Bytes()[:5]) != "first" {
				t.Error("the first object was touched")
			}
			if _, _, err := shm.OpenOrCreate(addr, 8192, nil); !errors.Is(err, shm.ErrTooSmall) {
				t.Errorf("OpenOrCreate of a larger size: %v", err)
			}
			if err := shm.RemoveUnused(addr); !errors.Is(err, shm.ErrInUse) {
				t.Errorf("RemoveUnused in use: %v", err)
			}
			seg.Close()
			if err := shm.RemoveUnused(addr); err != nil {
				t.Errorf("RemoveUnused: %v", err)
			}
		})
	}
}

func TestOpenOrCreateMakesExactlyOne(t *testing.T) {
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			defer shm.Remove(addr)
			var made atomic.Int32
			var all sync.WaitGroup
			for range 32 {
				all.Go(func() {
					seg, created, err := shm.OpenOrCreate(addr, 4096, nil)
					if err != nil {
						t.Error(err)
						return
					}
					if created {
						made.Add(1)
					}
					seg.Close()
				})
			}
			all.Wait()
			if made.Load() != 1 {
				t.Errorf("%d created", made.Load())
			}
		})
	}
}

func TestGrowKeepsTheOldView(t *testing.T) {
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			seg := create(t, addr, 4096, nil)
			old := seg.Bytes()
			err := seg.Grow(1 << 20)
			if kind == "sysv" {
				if !errors.Is(err, errors.ErrUnsupported) {
					t.Errorf("Grow of a System V segment: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			old[7] = 42
			if seg.Size() != 1<<20 || seg.Bytes()[7] != 42 {
				t.Errorf("size %d, byte %d", seg.Size(), seg.Bytes()[7])
			}
			if err := seg.Flush(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFullTmpfsFailsCleanly(t *testing.T) {
	isolate.Require(t)
	isolate.Tmpfs(t, 1<<20, "/dev/shm")
	_, err := shm.Create("/too-large", 2<<20, nil)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("2 MiB on a 1 MiB tmpfs: %v", err)
	}
	for _, part := range []string{"2 MiB asked", "1 MiB free", "shoal gc"} {
		if !bytes.Contains([]byte(err.Error()), []byte(part)) {
			t.Errorf("error lacks %q: %v", part, err)
		}
	}
	entries, _ := os.ReadDir("/dev/shm")
	var st syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &st); err != nil || st.Bfree != st.Blocks || len(entries) != 0 {
		t.Errorf("left behind: %v, %d of %d blocks free", entries, st.Bfree, st.Blocks)
	}
}

func TestShrunkObjectIsAnErrorNotACrash(t *testing.T) {
	seg := create(t, "/shoal-test", 1<<20, nil)
	if err := os.Truncate("/dev/shm/shoal-test", 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := seg.ReadAt(make([]byte, 10), 8192); !errors.Is(err, shm.ErrFault) {
		t.Errorf("ReadAt: %v", err)
	}
	if _, err := seg.WriteAt(make([]byte, 10), 8192); !errors.Is(err, shm.ErrFault) {
		t.Errorf("WriteAt: %v", err)
	}
	err := seg.Guard(func() error { seg.Bytes()[1<<19]++; return nil })
	if !errors.Is(err, shm.ErrFault) {
		t.Errorf("Guard: %v", err)
	}
	defer func() {
		if recover() != "mine" {
			t.Error("Guard swallowed a panic that is none of its business")
		}
	}()
	seg.Guard(func() error { panic("mine") })
}

func TestCloseWaitsForViews(t *testing.T) {
	seg := create(t, "/shoal-test", 4096, nil)
	view, err := seg.Borrow()
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- seg.Close() }()
	for { // until Close has begun
		if v, err := seg.Borrow(); err != nil {
			if !errors.Is(err, os.ErrClosed) {
				t.Errorf("Borrow while closing: %v", err)
			}
			break
		} else {
			v.Release()
		}
	}
	view.Bytes()[0] = 1 // still mapped
	select {
	case <-closed:
		t.Error("Close did not wait")
	default:
	}
	view.Release()
	view.Release()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := seg.Close(); err != nil || seg.Bytes() != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := seg.ReadAt(make([]byte, 1), 0); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("ReadAt after Close: %v", err)
	}
}

func TestReadAtAndWriteAtBounds(t *testing.T) {
	seg := create(t, "/shoal-test", 100, nil)
	if n, err := seg.ReadAt(make([]byte, 60), 50); n != 50 || err != io.EOF {
		t.Errorf("ReadAt over the end: %d, %v", n, err)
	}
	if _, err := seg.ReadAt(make([]byte, 1), -1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("ReadAt(-1): %v", err)
	}
	if n, err := seg.WriteAt(make([]byte, 60), 50); n != 0 || !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("WriteAt over the end: %d, %v", n, err)
	}
}

func TestWhatStandsInTheWay(t *testing.T) {
	const path = "/dev/shm/shoal-test"
	for name, c := range map[string]struct {
		put  func() error
		want error
	}{
		"symbolic link": {func() error { return os.Symlink("/etc/hostname", path) }, syscall.ELOOP},
		"directory":     {func() error { return os.Mkdir(path, 0o700) }, syscall.EISDIR},
		"FIFO":          {func() error { return syscall.Mkfifo(path, 0o600) }, syscall.EINVAL},
		"empty object":  {func() error { return os.WriteFile(path, nil, 0o600) }, shm.ErrNotSized},
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.put(); err != nil {
				t.Fatal(err)
			}
			defer os.Remove(path)
			if _, err := shm.Open("/shoal-test", nil); !errors.Is(err, c.want) {
				t.Errorf("Open: %v, want %v", err, c.want)
			}
			if _, err := shm.Create("/shoal-test", 4096, nil); !errors.Is(err, fs.ErrExist) {
				t.Errorf("Create: %v, want exists", err)
			}
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("it was removed: %v", err)
			}
		})
	}
}
