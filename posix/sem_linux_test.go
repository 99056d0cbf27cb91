//go:build linux && (amd64 || arm64)

package posix_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/posix"
)

// newSem makes a semaphore at offset 0 of a new room.
func newSem(t testing.TB, value uint32) (room []byte, s *posix.Sem) {
	t.Helper()
	room = newRoom(t)
	s, err := posix.SemInit(room, 0, value)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return room, s
}

// openSem creates a named semaphore for the test.
func openSem(t testing.TB, name string, value uint32) *posix.Sem {
	t.Helper()
	s, err := posix.SemOpen(name, os.O_CREATE|os.O_EXCL, 0o600, value)
	must(t, err)
	t.Cleanup(func() {
		s.Close()
		if err := posix.SemUnlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return s
}

// waiters reads how many wait in the semaphore at offset 0.
func waiters(room []byte) uint32 { return word(room, 4) }

// wantValue fails the test unless the semaphore has this value.
func wantValue(t testing.TB, s *posix.Sem, want uint32) {
	t.Helper()
	if got, err := s.Value(); err != nil || got != want {
		t.Errorf("value %d, %v, want %d", got, err, want)
	}
}

// TestSemBytes does the same in C and in Go and compares the memory after every
// step.
func TestSemBytes(t *testing.T) {
	room := newRoom(t)
	c := startC(t, buildPeer(t))
	inC, inGo := room[:posix.SemSize], room[1024:1024+posix.SemSize]
	for i := range inGo {
		inC[i], inGo[i] = 0xa5, 0xa5
	}
	c.want(0, "sem_init 1 2")
	s, err := posix.SemInit(room, 1024, 2)
	must(t, err)
	// sem_init leaves 4 bytes of padding as they were; here they are cleared.
	copy(inC[12:16], inGo[12:16])
	for i, step := range []struct {
		c    string
		code syscall.Errno
		gone func() error
	}{
		{c: "init"},
		{"wait", 0, s.Wait},
		{"trywait", 0, s.TryWait},
		{"trywait", syscall.EAGAIN, s.TryWait},
		{"timedwait 1", syscall.ETIMEDOUT, func() error { return s.TimedWait(time.Now().Add(time.Millisecond)) }},
		{"post", 0, s.Post},
		{"timedwait -10", 0, func() error { return s.TimedWait(time.Now().Add(-time.Hour)) }},
		{"timedwait -10", syscall.ETIMEDOUT, func() error { return s.TimedWait(time.Time{}) }},
	} {
		if step.gone != nil {
			c.want(step.code, "%s", step.c)
			if err := step.gone(); step.code == 0 && err != nil || step.code != 0 && !errors.Is(err, step.code) {
				t.Fatalf("step %d: %s: Go returned %v, C %d", i, step.c, err, step.code)
			}
		}
		if !bytes.Equal(inC, inGo) {
			t.Errorf("step %d: after %q\n Go: %s\n C:  %s", i, step.c, hex(inGo), hex(inC))
		}
	}
	must(t, s.Close())

	// The files of named ones.
	c.want(0, "sem_open %d %d 7 /from-c", os.O_CREATE, 0o600)
	openSem(t, "/from-go", 7)
	defer posix.SemUnlink("/from-c")
	cFile, err := os.ReadFile("/dev/shm/sem.from-c")
	must(t, err)
	goFile, err := os.ReadFile("/dev/shm/sem.from-go")
	must(t, err)
	if !bytes.Equal(cFile, goFile) {
		t.Errorf("files of named semaphores\n Go: %s\n C:  %s", hex(goFile), hex(cFile))
	}
}

// TestSemNames has C and Go make and remove semaphores of all kinds of names.
func TestSemNames(t *testing.T) {
	newRoom(t)
	c := startC(t, buildPeer(t))
	for _, name := range []string{"/x", "x", "///x", "", "/", "//", "a/b", "/x/", ".", "..", "/.x",
		strings.Repeat("n", 251), "/" + strings.Repeat("n", 251), strings.Repeat("n", 252), strings.Repeat("n", 255)} {
		show := name[:min(len(name), 12)]
		inC := name
		if name == "" {
			inC = "EMPTY"
		}
		opened := c.do("sem_open %d %d 0 %s", os.O_CREATE|os.O_EXCL, 0o600, inC)
		removed := "0"
		if opened == "0" {
			if _, err := os.Stat(pathOf(t, name)); err != nil {
				t.Errorf("%q…: C has made another file: %v", show, err)
			}
			removed = c.do("sem_unlink %s", inC)
		}
		s, err := posix.SemOpen(name, os.O_CREATE|os.O_EXCL, 0o600, 0)
		if got := number(err); got != opened {
			t.Errorf("%q… (%d): sem_open: Go %s (%v), C %s", show, len(name), got, err, opened)
		}
		if err == nil {
			must(t, s.Close())
			if got := number(posix.SemUnlink(name)); got != removed {
				t.Errorf("%q…: sem_unlink: Go %s, C %s", show, got, removed)
			}
		}
		// And once more, when it is not there.
		if name != "" {
			if goes, wants := number(posix.SemUnlink(name)), c.do("sem_unlink %s", inC); goes != wants {
				t.Errorf("%q…: sem_unlink of none: Go %s, C %s", show, goes, wants)
			}
		}
	}
	// Here glibc says EINVAL and ENOENT.
	_, err := posix.SemOpen(strings.Repeat("n", 256), os.O_CREATE, 0o600, 0)
	wantErr(t, err, "sem_open", strings.Repeat("n", 256), syscall.ENAMETOOLONG)
	if _, err := posix.SemOpen("a\x00b", os.O_CREATE, 0o600, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("NUL: %v", err)
	}
}

func pathOf(t *testing.T, name string) string {
	t.Helper()
	path, err := posix.SemPath(name)
	must(t, err)
	return path
}

// number is an error as C returns it.
func number(err error) string {
	var e syscall.Errno
	if err == nil {
		return "0"
	}
	errors.As(err, &e)
	return strconv.Itoa(int(e))
}

// TestSemOpen looks at flags, modes and values.
func TestSemOpen(t *testing.T) {
	s := openSem(t, "/s", 3)
	if s.Name() != "/s" {
		t.Error(s.Name())
	}
	_, err := posix.SemOpen("/s", os.O_CREATE|os.O_EXCL, 0o600, 0)
	wantErr(t, err, "sem_open", "/s", fs.ErrExist)
	_, err = posix.SemOpen("/none", 0, 0, 0)
	wantErr(t, err, "sem_open", "/none", fs.ErrNotExist)
	wantErr(t, posix.SemUnlink("/none"), "sem_unlink", "/none", fs.ErrNotExist)
	for _, flag := range []int{os.O_TRUNC, os.O_WRONLY, os.O_APPEND, os.O_CREATE | os.O_SYNC} {
		_, err = posix.SemOpen("/s", flag, 0o600, 0)
		wantErr(t, err, "sem_open", "/s", syscall.EINVAL)
	}
	_, err = posix.SemOpen("/big", os.O_CREATE, 0o600, posix.SemValueMax+1)
	wantErr(t, err, "sem_open", "/big", syscall.EINVAL)
	_, err = posix.SemOpen("/mode", os.O_CREATE, fs.ModeSetuid|0o600, 0)
	wantErr(t, err, "sem_open", "/mode", syscall.EINVAL)

	// Another handle keeps the value, and lives on its own.
	again, err := posix.SemOpen("s", os.O_CREATE|os.O_RDWR, 0o600, 9)
	must(t, err)
	wantValue(t, again, 3)
	must(t, again.Wait())
	wantValue(t, s, 2)
	must(t, again.Close())
	must(t, s.Post())
	must(t, posix.SemUnlink("/s"))
	must(t, s.Wait()) // without its name
	wantValue(t, s, 2)

	old := syscall.Umask(0o027)
	defer syscall.Umask(old)
	openSem(t, "/umask", 0)
	wide, err := posix.SemOpen("/wide", os.O_CREATE, 0o666, 0)
	must(t, err)
	must(t, wide.Close())
	st, err := os.Stat(pathOf(t, "/wide"))
	must(t, err)
	if st.Mode() != 0o640 {
		t.Errorf("mode %v, want 0640", st.Mode())
	}
	must(t, posix.SemUnlink("/wide"))

	// Nothing of all this has left a temporary file; the leak check agrees.
	left, err := os.ReadDir(posix.ShmDir)
	must(t, err)
	if len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestSemCreateIsRacedByMany has one of many create each semaphore, and all see it
// whole.
func TestSemCreateIsRacedByMany(t *testing.T) {
	for range 50 {
		var made atomic.Int32
		var done sync.WaitGroup
		for range 8 {
			done.Go(func() {
				s, err := posix.SemOpen("/race", os.O_CREATE|os.O_EXCL, 0o600, 5)
				if err == nil {
					made.Add(1)
				} else if s, err = posix.SemOpen("/race", os.O_CREATE, 0o600, 5); err != nil {
					t.Error(err)
					return
				}
				wantValue(t, s, 5)
				s.Close()
			})
		}
		done.Wait()
		if made.Load() != 1 {
			t.Fatalf("made %d times", made.Load())
		}
		must(t, posix.SemUnlink("/race"))
	}
}

// TestSemRefuses opens files that are no semaphores.
func TestSemRefuses(t *testing.T) {
	good := make([]byte, posix.SemSize)
	good[8] = 0x80
	with := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	path := pathOf(t, "/no")
	for name, content := range map[string][]byte{
		"empty": {}, "short": good[:31], "16 bytes": good[:16], "long": append(bytes.Clone(good), 0), "page": make([]byte, 4096),
		"zeros": make([]byte, posix.SemSize), "private": with(8, 0), "musl": with(8, 0), "padding": with(12, 1), "rest": with(31, 1),
		"value": with(3, 0x80), "text": []byte("These are thirty-two bytes, yes."),
	} {
		must(t, os.WriteFile(path, content, 0o600))
		for _, flag := range []int{0, os.O_CREATE} {
			_, err := posix.SemOpen("/no", flag, 0o600, 0)
			wantErr(t, err, "sem_open", "/no", syscall.EINVAL)
			if err != nil && !strings.Contains(err.Error(), path) {
				t.Errorf("%s: error %q does not name the file", name, err)
			}
		}
		if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, content) {
			t.Errorf("%s: refused, but changed (%v)", name, err)
		}
		must(t, os.Remove(path))
	}
	must(t, os.WriteFile(path, with(4, 3), 0o600)) // waiters are no fault
	s, err := posix.SemOpen("/no", 0, 0, 0)
	must(t, err)
	must(t, s.Close())
	must(t, os.Symlink(path, pathOf(t, "/link")))
	_, err = posix.SemOpen("/link", os.O_CREATE, 0o600, 0)
	wantErr(t, err, "sem_open", "/link", syscall.ELOOP)
	must(t, posix.SemUnlink("/link"))
	must(t, posix.SemUnlink("/no"))
	must(t, os.Mkdir(path, 0o700))
	_, err = posix.SemOpen("/no", os.O_CREATE, 0o600, 0)
	wantErr(t, err, "sem_open", "/no", syscall.EISDIR)
	must(t, os.Remove(path))
}

// TestSemInMemoryRefuses looks at what is no semaphore in memory.
func TestSemInMemoryRefuses(t *testing.T) {
	room := newRoom(t)
	c := startC(t, buildPeer(t))
	for _, offset := range []int{-8, 4, roomSize - posix.SemSize + 8, 1 << 62} {
		_, err := posix.SemInit(room, offset, 0)
		wantErr(t, err, "sem_init", fmt.Sprintf("offset %d", offset), syscall.EINVAL)
		if _, err := posix.SemAt(room, offset); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("at %d: %v", offset, err)
		}
	}
	_, err := posix.SemInit(room, 0, posix.SemValueMax+1)
	wantErr(t, err, "sem_init", "offset 0", syscall.EINVAL)
	if !bytes.Equal(room, make([]byte, roomSize)) {
		t.Error("a refused semaphore was written all the same")
	}
	c.want(0, "sem_init 0 5")
	if _, err := posix.SemAt(room, 0); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "one process") {
		t.Errorf("process-private: %v", err)
	}
	room[8] = 1
	if _, err := posix.SemAt(room, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("damaged: %v", err)
	}
	c.want(0, "sem_init 1 5")
	s, err := posix.SemAt(room, 0)
	must(t, err)
	wantValue(t, s, 5)
	must(t, s.Close())
}

func init() {
	roles["sem reach"] = func() string {
		_, err := posix.SemOpen("/mine", 0, 0, 0)
		_, made := posix.SemOpen("/mine", os.O_CREATE, 0o600, 0)
		return fmt.Sprintf("%s, %s, %s", errno(err), errno(made), errno(posix.SemUnlink("/mine")))
	}
}

// TestSemOfOtherUsers tries somebody else's semaphore.
func TestSemOfOtherUsers(t *testing.T) {
	must(t, os.Chmod(posix.ShmDir, fs.ModeSticky|0o777)) // as on every system
	openSem(t, "/mine", 1)
	denied := syscall.EACCES.Error()
	if got, want := asNobody(t, "sem reach"), denied+", "+denied+", "+denied; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestSemOverflow posts at the highest value.
func TestSemOverflow(t *testing.T) {
	room, s := newSem(t, posix.SemValueMax)
	c := startC(t, buildPeer(t))
	c.want(syscall.EOVERFLOW, "post")
	wantErr(t, s.Post(), "sem_post", "offset 0", syscall.EOVERFLOW)
	wantValue(t, s, posix.SemValueMax)
	must(t, s.Wait())
	must(t, s.Post())
	binary.LittleEndian.PutUint32(room, 0xffffffff) // damaged: never over into the waiters
	wantErr(t, s.Post(), "sem_post", "offset 0", syscall.EOVERFLOW)
	if waiters(room) != 0 {
		t.Error("the value has run over")
	}
}

// TestSemWakesC posts for a sleeping C thread, and the other way round.
func TestSemWakesC(t *testing.T) {
	room, s := newSem(t, 0)
	c := startC(t, buildPeer(t))
	for range 100 {
		c.send("wait")
		eventually(t, "C waits", func() bool { return waiters(room) == 1 })
		c.silent()
		must(t, s.Post())
		if got := c.answer(); got != "0" {
			t.Fatalf("C: wait: %s", got)
		}
		got := make(chan error)
		go func() { got <- s.Wait() }()
		eventually(t, "Go waits", func() bool { return waiters(room) == 1 })
		c.want(0, "post")
		must(t, within(t, "Go wakes", got))
		if d := binary.LittleEndian.Uint64(room); d != 0 {
			t.Fatalf("at rest, but %#x", d)
		}
	}
}

// TestSemHandOver hands over 100,000 times between C and Go, each in turn.
func TestSemHandOver(t *testing.T) {
	_, ping := newSem(t, 0)
	pong := openSem(t, "/pong", 0)
	c := startC(t, buildPeer(t))
	c.want(0, "sem_open 0 0 0 /pong")
	c.send("pong %d", rounds)
	for i := range rounds {
		must(t, ping.Post())
		var err error
		if i%2 == 0 {
			err = pong.Wait()
		} else {
			err = pong.TimedWait(time.Now().Add(patience))
		}
		must(t, err)
	}
	if got := c.answer(); got != "0" {
		t.Fatalf("C: %s", got)
	}
	wantValue(t, ping, 0)
	wantValue(t, pong, 0)
}

// TestSemContended has several goroutines and C processes post and wait at once:
// nothing is lost, nothing is taken twice.
func TestSemContended(t *testing.T) {
	room, s := newSem(t, 0)
	program := buildPeer(t)
	const each, goroutines = rounds / 4, 4
	taker, giver := startC(t, program), startC(t, program)
	taker.send("take %d %d", each, each/2)
	giver.send("give %d", each)
	var done sync.WaitGroup
	deadline := time.Now().Add(patience)
	for g := range goroutines {
		done.Go(func() { // as many as C gives ...
			ctx, cancel := context.WithDeadline(context.Background(), deadline)
			defer cancel()
			for i := range each / goroutines {
				var err error
				switch (g + i) % 3 {
				case 0:
					err = s.Wait()
				case 1:
					err = s.TimedWait(deadline)
				default:
					err = s.WaitContext(ctx)
				}
				if err != nil {
					t.Errorf("wait %d: %v", i, err)
					return
				}
			}
		})
		done.Go(func() { // ... and as many as C takes
			for range each / goroutines {
				if err := s.Post(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	for _, c := range []*peer{taker, giver} {
		if got := c.answer(); got != "0" {
			t.Errorf("C: %s", got)
		}
	}
	if d := binary.LittleEndian.Uint64(room); d != 0 {
		t.Errorf("value %d and %d waiters left", uint32(d), d>>32)
	}
}

// TestSemEndsOfWaits looks at how waits in vain end, and that none stays counted.
func TestSemEndsOfWaits(t *testing.T) {
	room, s := newSem(t, 0)
	wantErr(t, s.TryWait(), "sem_trywait", "offset 0", syscall.EAGAIN)
	err := s.TimedWait(time.Now().Add(5 * time.Millisecond))
	wantErr(t, err, "sem_timedwait", "offset 0", syscall.ETIMEDOUT)
	wantErr(t, err, "sem_timedwait", "offset 0", os.ErrDeadlineExceeded)
	if !os.IsTimeout(err) {
		t.Errorf("%v is no time-out", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	results := make(chan error)
	for range 20 {
		go func() { results <- s.WaitContext(ctx) }()
	}
	eventually(t, "all wait", func() bool { return waiters(room) == 20 })
	cancel()
	for range 20 {
		wantErr(t, within(t, "a wait ends", results), "sem_wait", "offset 0", context.Canceled)
	}
	if d := binary.LittleEndian.Uint64(room); d != 0 {
		t.Errorf("at rest, but %#x", d)
	}
	must(t, s.Post())
	wantErr(t, s.WaitContext(ctx), "sem_wait", "offset 0", context.Canceled)
	wantValue(t, s, 1)
}

// TestSemCanceledWaiterPassesOn cancels goroutines at the moment in which a post
// may choose them, with a C thread waiting behind.
func TestSemCanceledWaiterPassesOn(t *testing.T) {
	room, s := newSem(t, 0)
	c := startC(t, buildPeer(t))
	taken := 0
	for i := range 500 {
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error)
		go func() { result <- s.WaitContext(ctx) }()
		eventually(t, "Go waits", func() bool { return waiters(room) == 1 })
		c.send("wait")
		eventually(t, "C waits", func() bool { return waiters(room) == 2 })
		posted := make(chan error, 1)
		post := func() { posted <- s.Post() }
		if i%2 == 0 {
			go cancel()
			post()
		} else {
			go post()
			cancel()
		}
		must(t, <-posted)
		if err := within(t, "the wait ends", result); err == nil {
			taken++
			must(t, s.Post())
		}
		if got := c.answer(); got != "0" {
			t.Fatalf("C: wait: %s", got)
		}
		cancel()
	}
	t.Logf("taken %d of 500 times", taken)
	if d := binary.LittleEndian.Uint64(room); d != 0 {
		t.Errorf("at rest, but %#x", d)
	}
}

// TestSemDeadWaiter kills a C thread that waits: it stays counted, and that is
// all.
func TestSemDeadWaiter(t *testing.T) {
	room, s := newSem(t, 0)
	program := buildPeer(t)
	c := startC(t, program)
	c.send("wait")
	eventually(t, "C waits", func() bool { return waiters(room) == 1 })
	c.kill()
	must(t, s.Post())
	wantValue(t, s, 1)
	must(t, s.Wait())
	heir := startC(t, program)
	heir.send("wait")
	eventually(t, "the next C waits", func() bool { return waiters(room) == 2 })
	must(t, s.Post())
	if got := heir.answer(); got != "0" {
		t.Fatalf("C: wait: %s", got)
	}
	if n := waiters(room); n != 1 {
		t.Errorf("%d waiters, want the dead one", n)
	}
}

// TestSemClose sees waiters off.
func TestSemClose(t *testing.T) {
	s := openSem(t, "/closing", 0)
	other, err := posix.SemOpen("/closing", 0, 0, 0)
	must(t, err)
	defer other.Close()
	results := make(chan error)
	for range 3 {
		go func() { results <- s.Wait() }()
		go func() { results <- s.TimedWait(time.Now().Add(patience)) }()
	}
	file := func() uint32 {
		b, err := os.ReadFile(pathOf(t, "/closing"))
		must(t, err)
		return waiters(b)
	}
	eventually(t, "all wait", func() bool { return file() == 6 })
	must(t, s.Close())
	for range 6 {
		if err := within(t, "a waiter leaves", results); !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	}
	if n := file(); n != 0 {
		t.Errorf("%d waiters left", n)
	}
	_, valueErr := s.Value()
	for _, err := range []error{s.Wait(), s.TryWait(), s.Post(), s.TimedWait(time.Now()), valueErr, s.Close()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	must(t, other.Post())
	wantValue(t, other, 1)
}

// TestSemCloseIsRaced closes while others post and wait: nobody touches what is
// not mapped any more.
func TestSemCloseIsRaced(t *testing.T) {
	openSem(t, "/raced", 0)
	for range 200 {
		s, err := posix.SemOpen("/raced", 0, 0, 0)
		must(t, err)
		var done sync.WaitGroup
		for range 4 {
			done.Go(func() {
				for s.Post() == nil && s.Wait() == nil {
				}
			})
		}
		must(t, s.Close())
		done.Wait()
	}
}

// BenchmarkSem posts and waits without contention, beside C in the same run.
func BenchmarkSem(b *testing.B) {
	_, s := newSem(b, 0)
	c := startC(b, buildPeer(b))
	for b.Loop() {
		s.Post()
		s.Wait()
	}
	here := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	there, err := strconv.ParseFloat(c.do("bench_sem 1000000"), 64)
	must(b, err)
	b.ReportMetric(there, "C-ns/op")
	b.ReportMetric(here/there, "ratio")
}
