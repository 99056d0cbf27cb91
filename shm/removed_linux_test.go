//go:build linux && (amd64 || arm64)

package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
)

func TestRemovedWhileMapped(t *testing.T) {
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			old := create(t, addr, 4096, nil)
			before, err := old.Stat()
			must(t, err)
			holder := rerun.Start(t, "hold", addr)
			holder.Expect("ok")
			must(t, old.Remove())

			// It goes on for those who have it, and for nobody else.
			copy(old.Bytes(), "still here")
			info, err := old.Stat()
			if err != nil || !info.Removed || info.Size != 4096 {
				t.Errorf("Stat: %+v, %v", info, err)
			}
			if holders, _, err := old.Holders(); err != nil || len(holders) != 2 {
				t.Errorf("Holders: %v, %v", holders, err)
			}
			if _, err := shm.Open(addr, nil); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Open: %v", err)
			}
			if _, err := shm.Stat(addr); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("Stat by address: %v", err)
			}
			if kind == "sysv" { // on Linux its id still leads to it
				again, err := shm.Open(fmt.Sprint("sysv-id:", before.ID), nil)
				must(t, err)
				if string(again.Bytes()[:10]) != "still here" {
					t.Errorf("by id: %q", again.Bytes()[:10])
				}
				must(t, again.Close())
			}

			// The name is free, and a new object under it is another one, which
			// the old one's Remove leaves alone.
			next := create(t, addr, 4096, nil)
			if next.Bytes()[0] != 0 {
				t.Error("the new object has the old one's bytes")
			}
			if kind != "sysv" {
				if err := old.Remove(); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("second Remove: %v", err)
				}
			} else {
				must(t, old.Remove()) // by id: nothing that the new one has
			}
			if info, err := next.Stat(); err != nil || info.Removed {
				t.Errorf("the new object: %+v, %v", info, err)
			}
			must(t, old.Close())
			ends(t, holder)
			if kind == "sysv" { // its last user has let go
				if _, err := shm.Stat(fmt.Sprint("sysv-id:", before.ID)); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("after the last Close: %v", err)
				}
			}
		})
	}
}

func init() {
	// cut ADDR SIZE: makes it shorter when told to.
	roles["cut"] = func(args []string) {
		size, _ := strconv.ParseInt(args[1], 10, 64)
		seg, err := shm.Open(args[0], nil)
		if err != nil {
			rerun.Say(err)
			return
		}
		rerun.Say("ready")
		rerun.Hear()
		f, err := seg.File()
		if err == nil {
			err = f.Truncate(size)
		}
		rerun.Say(verdict(err))
	}
}

// TestPeerCutsWhatIsRead has another process make the object shorter while this
// one reads it, in the three ways that survive it.
func TestPeerCutsWhatIsRead(t *testing.T) {
	const size = 1 << 20
	for _, kind := range []string{"posix", "file"} {
		addr := backends(t)[kind]
		for name, read := range map[string]func(seg *shm.Segment) error{
			"Guard": func(seg *shm.Segment) error {
				return seg.Guard(func() error {
					sum := 0
					for _, c := range seg.Bytes() {
						sum += int(c)
					}
					if sum != 0 {
						return fmt.Errorf("sum %d", sum)
					}
					return nil
				})
			},
			"ReadAt": func(seg *shm.Segment) error {
				n, err := seg.ReadAt(make([]byte, size), 0)
				if err == nil && n != size {
					err = fmt.Errorf("%d bytes", n)
				}
				return err
			},
			"WriteAt": func(seg *shm.Segment) error {
				_, err := seg.WriteAt(make([]byte, size), 0)
				return err
			},
		} {
			t.Run(kind+"/"+name, func(t *testing.T) {
				seg := create(t, addr, size, nil)
				peer := rerun.Start(t, "cut", addr, "4096")
				peer.Expect("ready")
				must(t, read(seg))
				peer.Say()
				var err error
				for err == nil { // until it has happened: a few rounds
					err = read(seg)
				}
				if !errors.Is(err, shm.ErrFault) || !strings.Contains(err.Error(), "another process has cut the object down to 4096 bytes") {
					t.Errorf("%v", err)
				}
				peer.Expect("ok")
				ends(t, peer)
				// What is left can be read, and the segment closed as ever.
				if n, err := seg.ReadAt(make([]byte, 4096), 0); n != 4096 || err != nil {
					t.Errorf("what is left: %d, %v", n, err)
				}
				if err := seg.Grow(size); err != nil || seg.Size() != size {
					t.Errorf("Grow to what is mapped already: %v", err)
				}
				must(t, seg.Close())
			})
		}
	}
}

// TestGrowUnderFire grows from many goroutines while others read, borrow, look
// and close.
func TestGrowUnderFire(t *testing.T) {
	for kind, addr := range backends(t) {
		if kind == "sysv" {
			continue
		}
		t.Run(kind, func(t *testing.T) {
			seg := create(t, addr, 4096, nil)
			seg.Bytes()[7] = 42
			var all sync.WaitGroup
			expect := func(err error) {
				if err != nil && !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
			}
			for i := range 8 {
				all.Go(func() {
					for j := range 8 {
						expect(seg.Grow(int64(4096 * (i + 8*j + 2))))
						p := make([]byte, 1)
						_, err := seg.ReadAt(p, 7)
						if err == nil && p[0] != 42 {
							t.Error("a view lost what was written")
						}
						expect(err)
						if v, err := seg.Borrow(); err == nil {
							if b := v.Bytes(); b[7] != 42 || len(b) < 4096 {
								t.Error("a borrowed view lost what was written")
							}
							v.Release()
						} else {
							expect(err)
						}
						_, err = seg.Stat()
						expect(err)
					}
				})
			}
			all.Go(func() {
				for seg.Size() < 4096*30 && seg.Bytes() != nil {
				}
				expect(seg.Close())
				if seg.Bytes() != nil {
					t.Error("Bytes after Close")
				}
			})
			all.Go(func() { // the second Close returns only when all is unmapped
				for seg.Size() < 4096*30 && seg.Bytes() != nil {
				}
				expect(seg.Close())
				expect(shm.RemoveUnused(addr))
			})
			all.Wait()
		})
	}
}

func TestGrowIntoAFullTmpfs(t *testing.T) {
	isolate.Tmpfs(t, 1<<20, "/dev/shm")
	seg := create(t, "/shoal-grow", 64<<10, nil)
	seg.Bytes()[0] = 1
	if err := seg.Grow(2 << 20); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "2 MiB asked") {
		t.Errorf("Grow: %v", err)
	}
	if info, err := seg.Stat(); err != nil || info.Size != 64<<10 || info.Resident != 64<<10 || seg.Size() != 64<<10 || seg.Bytes()[0] != 1 {
		t.Errorf("afterwards: %+v, %v, %d mapped", info, err, seg.Size())
	}
	must(t, seg.Grow(512<<10))
	reader, err := shm.Open("/shoal-grow", &shm.Options{ReadOnly: true})
	must(t, err)
	defer reader.Close()
	must(t, seg.Grow(768<<10))
	must(t, reader.Grow(600<<10)) // somebody else has grown it: mapping it is enough
	if reader.Size() != 768<<10 {
		t.Errorf("the reader sees %d bytes", reader.Size())
	}
	if err := reader.Grow(1 << 20); !errors.Is(err, shm.ErrReadOnly) {
		t.Errorf("Grow of a read-only segment: %v", err)
	}
	must(t, seg.Close())
}

// TestRemoveUnusedSparesUsers races an opener with a remover. The remover is
// told that the object is in use, or removes what nobody has: never does the
// opener hold an object that has lost its name.
func TestRemoveUnusedSparesUsers(t *testing.T) {
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			outcomes := map[string]int{}
			rounds := 0
			for start := time.Now(); rounds < 500 || min(outcomes["ok"], outcomes["in use"]) < 10 && time.Since(start) < 20*time.Second; rounds++ {
				made, err := shm.Create(addr, 4096, nil)
				must(t, err)
				must(t, made.Close())
				var both sync.WaitGroup
				var ready atomic.Int32
				dawdle := func() {
					for end := time.Now().Add(rand.N(20 * time.Microsecond)); time.Now().Before(end); {
					}
				}
				meet := func() { // both start at once, or one a little later
					for ready.Add(1); ready.Load() < 2; {
					}
					dawdle()
				}
				both.Go(func() {
					meet()
					seg, _, err := shm.OpenOrCreate(addr, 4096, nil)
					if err != nil {
						t.Error(err)
						return
					}
					dawdle()
					// System V counts attachments, and so has a gap before the first.
					if info, err := seg.Stat(); err != nil || info.Removed && kind != "sysv" {
						t.Errorf("the opener holds %+v, %v", info, err)
					}
					seg.Close()
				})
				both.Go(func() {
					meet()
					outcomes[verdict(shm.RemoveUnused(addr))]++
				})
				both.Wait()
				if err := shm.RemoveUnused(addr); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
			}
			t.Log(outcomes)
			if outcomes["ok"] < 10 || outcomes["in use"] < 10 || outcomes["ok"]+outcomes["in use"]+outcomes["not there"] != rounds {
				t.Errorf("outcomes %v", outcomes)
			}
		})
	}
}

// TestOpenOrCreateAmongRemovers opens or creates while another goroutine removes
// whatever it finds, a System V segment also between its making and its mapping.
func TestOpenOrCreateAmongRemovers(t *testing.T) {
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					default:
					}
					if err := shm.Remove(addr); err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Error(err)
						return
					}
				}
			}()
			for range 3000 {
				seg, _, err := shm.OpenOrCreate(addr, 4096, nil)
				if err != nil {
					t.Error(err)
					break
				}
				seg.Bytes()[0]++
				seg.Close()
			}
			close(stop)
			<-stopped
			if err := shm.Remove(addr); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
		})
	}
}

// TestRemoveWhatIsNoObject: a link or FIFO in an object's place can be cleared
// away by its POSIX name, a file address removes regular files alone, and a
// directory stays in any case.
func TestRemoveWhatIsNoObject(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "target")
	if err := os.WriteFile(target, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	put := map[string]func(path string) error{
		"link":      func(path string) error { return os.Symlink(target, path) },
		"FIFO":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
	}
	for name, c := range map[string]struct{ posix, file error }{
		"link":      {nil, syscall.ELOOP},
		"FIFO":      {nil, syscall.EINVAL},
		"directory": {syscall.EISDIR, syscall.EISDIR},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(dir, "in-the-way")
			for addr, want := range map[string]error{"/shoal-test": c.posix, "file:" + file: c.file} {
				path := file
				if addr == "/shoal-test" {
					path = "/dev/shm/shoal-test"
				}
				if err := put[name](path); err != nil {
					t.Fatal(err)
				}
				err := shm.Remove(addr)
				if !errors.Is(err, want) || want == nil && err != nil {
					t.Errorf("Remove(%q): %v, want %v", addr, err, want)
				}
				if _, err := os.Lstat(path); (err == nil) != (want != nil) {
					t.Errorf("after Remove(%q): %v", addr, err)
				}
				os.Remove(path)
			}
		})
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "kept" {
		t.Errorf("the target of the link: %q, %v", b, err)
	}
}
