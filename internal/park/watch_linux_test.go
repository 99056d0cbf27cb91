//go:build linux && (amd64 || arm64)

package park

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

func TestWatch(t *testing.T) {
	backends(t, func(t *testing.T) {
		w := new(mem.Uint32)
		called := make(chan string, 10)
		say := func(s string) func() { return func() { called <- s } }

		within(t, 20*time.Second, func() {
			NewWatch(w, 1, say("changed before"))
			if s := <-called; s != "changed before" {
				t.Error(s)
			}

			x := NewWatch(w, 0, say("woken"))
			w.Store(1)
			WakeAll(w)
			if s := <-called; s != "woken" {
				t.Error(s)
			}
			if x.Stop() {
				t.Error("Stop says that a function was not called that was")
			}
			if x.Lost() {
				t.Error("lost, though woken")
			}

			// A wake-up without a change, too, if it is the only one.
			NewWatch(w, 1, say("woken only"))
			eventually(t, "somebody to wake", func() bool { return Wake(w, 1) == 1 })
			if s := <-called; s != "woken only" {
				t.Error(s)
			}

			x = NewWatch(w, 1, say("stopped"))
			for range 2 {
				if !x.Stop() {
					t.Error("Stop does not stop")
				}
			}
			w.Store(2)
			WakeAll(w)
			y := NewWatch(w, 3, say("after")) // and what came before has been dealt with
			if s := <-called; s != "after" {
				t.Error(s)
			}
			if y.Stop() {
				t.Error("Stop says that a function was not called that was")
			}
		})
		sleepsOn(t, &shared.list, 0)
	})
}

// One watch after the other, as soon as the last has fired: each is armed while the
// backend is about to sleep, or just awake, and none is forgotten until a scan.
func TestWatchInTurn(t *testing.T) {
	backends(t, func(t *testing.T) {
		rounds := 20_000
		if testing.Short() {
			rounds = 3000
		}
		var wg sync.WaitGroup
		for g := range 3 {
			wg.Go(func() {
				w := new(mem.Uint32)
				called := make(chan struct{}, 1)
				for i := range rounds {
					for range (i + g) % 64 { // a little later each time
						w.Load()
					}
					x := NewWatch(w, 1, func() { called <- struct{}{} })
					<-called
					shared.mu.Lock()
					found := x.rescued
					shared.mu.Unlock()
					if found {
						t.Errorf("round %d: found by the scan", i)
						return
					}
				}
			})
		}
		within(t, time.Minute, wg.Wait)
	})
}

// A wake-up for one that hits a watch just stopped goes to the next sleeper.
func TestStoppedHandsOn(t *testing.T) {
	backends(t, func(t *testing.T) {
		w := new(mem.Uint32)
		x := NewWatch(w, 0, func() { t.Error("called, though stopped") })
		queuedInKernel(t)
		woken := make(chan error)
		before := rawSleepers(t, w)
		go func() { woken <- sys.FutexWait(w, 0, nil) }()
		eventually(t, "both asleep", func() bool { return rawSleepers(t, w) > before })
		shared.mu.Lock() // so that the backend cannot take the watch back from the kernel
		shared.take(x, stopped)
		shared.backend.remove(x)
		w.Store(1)
		Wake(w, 1)
		shared.mu.Unlock()
		within(t, 20*time.Second, func() {
			// A signal makes the kernel look at the word again.
			if err := <-woken; err != nil && err != unix.EAGAIN {
				t.Error(err)
			}
		})
	})
}

// What a function may do, under a lock that NewWatch and Stop are also called under.
func TestWatchInFunction(t *testing.T) {
	backends(t, func(t *testing.T) {
		var mu sync.Mutex
		w := new(mem.Uint32)
		done := make(chan struct{})
		var x *Watch
		var again func()
		again = func() {
			mu.Lock()
			defer mu.Unlock()
			x.Stop()
			v := w.Load()
			if v == 1000 {
				close(done)
				return
			}
			x = NewWatch(w, v, again)
		}
		within(t, 20*time.Second, func() {
			mu.Lock()
			x = NewWatch(w, 0, again)
			mu.Unlock()
			for range 1000 {
				mu.Lock()
				w.Add(1)
				WakeAll(w)
				mu.Unlock()
			}
			<-done
		})
	})
}

// Thousands of completions at once: more than the ring holds, and more requests
// than it takes.
func TestWatchBurst(t *testing.T) {
	const n = 6000
	backends(t, func(t *testing.T) {
		words := make([]mem.Uint32, n*32)
		var calls [n]atomic.Int32
		var wg sync.WaitGroup
		for i := range n {
			wg.Add(1)
			NewWatch(&words[i*32], 0, func() { calls[i].Add(1); wg.Done() })
		}
		within(t, 30*time.Second, func() {
			queued := n
			if chosen() == kindFutex {
				queued = maxFutexThreads // the others have no thread
			}
			woken := 0
			eventually(t, "all queued", func() bool {
				for i := range n {
					if words[i*32].Load() == 0 {
						shared.mu.Lock() // its thread cannot take completions from the ring
						if sleeping := Wake(&words[i*32], 1); sleeping == 1 {
							words[i*32].Store(1)
							woken++
						}
						shared.mu.Unlock()
					}
				}
				return woken >= queued
			})
			for i := range n {
				words[i*32].Store(1)
			}
			wg.Wait()
		})
		for i := range calls {
			if c := calls[i].Load(); c != 1 {
				t.Fatalf("function %d was called %d times", i, c)
			}
		}
	})
}

// Whoever stops a watch may unmap the word at once.
func TestStopThenUnmap(t *testing.T) {
	scanEvery := func(d time.Duration) (before time.Duration) {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		before, shared.every = shared.every, d
		return before
	}
	defer scanEvery(scanEvery(100 * time.Microsecond))
	backends(t, func(t *testing.T) {
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
					page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
					if err != nil {
						t.Error(err)
						return
					}
					words, err := mem.Array[mem.Uint32](page, 0, 1024)
					if err != nil {
						t.Error(err)
						return
					}
					var watches []*Watch
					for i := range 8 {
						watches = append(watches, NewWatch(&words[i], 0, func() {}))
					}
					WakeAll(&words[3])
					words[4].Store(1)
					for _, x := range watches {
						x.Stop()
					}
					unix.Munmap(page)
				}
			})
		}
		wg.Wait()
		sleepsOn(t, &shared.list, 0)
		w := new(mem.Uint32)
		done := make(chan struct{})
		NewWatch(w, 0, func() { close(done) })
		w.Store(1)
		WakeAll(w)
		within(t, 10*time.Second, func() { <-done })
	})
}

// A word whose file is truncated is reported, and kills nobody.
func TestWatchTruncated(t *testing.T) {
	backends(t, func(t *testing.T) {
		f, words := memory(t)
		called := make(chan struct{})
		x := NewWatch(&words[sharedSize/4-1], 0, func() { close(called) })
		queuedInKernel(t) // and read there already
		if err := f.Truncate(0); err != nil {
			t.Fatal(err)
		}
		within(t, 20*time.Second, func() { <-called })
		if x.Stop() {
			t.Error("not called")
		}
		if b, ok := shared.backend.(*futexThreads); ok {
			// A thread on a word that has gone cannot be woken.
			eventually(t, "its thread left", func() bool {
				shared.mu.Lock()
				defer shared.mu.Unlock()
				return b.threads == 0
			})
		}
	})
}

// A change without a wake-up is found by the scan, and counts as lost.
func TestWatchLost(t *testing.T) {
	backends(t, func(t *testing.T) {
		w := new(mem.Uint32)
		called := make(chan struct{})
		x := NewWatch(w, 0, func() { close(called) })
		if k := chosen(); k == kindUring || k == kindWaitv {
			queuedInKernel(t)
		} else {
			eventually(t, "a thread asleep on it", func() bool { return rawSleepers(t, w) > 0 }) // threads of other tests may still be leaving
		}
		begin := time.Now()
		w.Store(1)
		within(t, 20*time.Second, func() { <-called })
		if !x.Lost() {
			t.Error("not counted as lost")
		}
		if took := time.Since(begin); took < confirm/2 {
			t.Errorf("took %v: nobody can know so soon", took)
		}
	})
}

// queuedInKernel waits until the backend has carried out what was asked for.
func queuedInKernel(t *testing.T) {
	t.Helper()
	eventually(t, "all queued", func() bool {
		shared.mu.Lock()
		defer shared.mu.Unlock()
		switch b := shared.backend.(type) {
		case *uring:
			return b.asleep && len(b.arm) == 0
		case *waitv:
			return b.groups[0].asleep
		}
		return true
	})
	eventually(t, "a thread asleep", func() bool { return threadsAsleep(t) > 0 })
}

// threadsAsleep counts the threads of this process that sleep in one of our calls.
func threadsAsleep(t *testing.T) (n int) {
	return countCalls(t, func(call []string) bool {
		switch call[0] {
		case "202", "98": // futex, x86-64 and arm64
			return call[2] == "0x9" // FUTEX_WAIT_BITSET, not private: none of Go's own
		}
		return call[0] == "449" || call[0] == "426" // futex_waitv, io_uring_enter
	})
}

// lostAtLast tries until a wake-up counts as lost. A signal, of the runtime or for a
// child, makes the kernel look at the word again, and then none is: it was found.
func lostAtLast(t *testing.T, try func() (lost bool, err error)) {
	t.Helper()
	for range 10 {
		lost, err := try()
		if err != nil {
			t.Error(err)
		}
		if lost {
			return
		}
	}
	t.Error("no wake-up counted as lost")
}

// nobodyAsleep waits until no thread sleeps any more of those that other tests had.
func nobodyAsleep(t *testing.T) {
	t.Helper()
	eventually(t, "no thread asleep", func() bool { return threadsAsleep(t) == 0 })
}

// rawSleepers counts the threads of this process that sleep in futex(2) on w.
func rawSleepers(t *testing.T, w *mem.Uint32) (n int) {
	address := fmt.Sprint(w.Pointer())
	return countCalls(t, func(call []string) bool {
		return (call[0] == "202" || call[0] == "98") && call[1] == address && call[2] == "0x9"
	})
}

// countCalls counts the threads of this process that sleep in a system call: its number
// and arguments. One that has been preempted on the way there does not sleep yet.
func countCalls(t *testing.T, count func(call []string) bool) (n int) {
	calls, err := filepath.Glob("/proc/self/task/*/syscall")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range calls {
		b, _ := os.ReadFile(name)
		if call := strings.Fields(string(b)); len(call) > 2 && count(call) && asleep(filepath.Dir(name)) {
			n++
		}
	}
	return n
}

// asleep tells the state of a thread, field 3 of proc_pid_stat(5).
func asleep(task string) bool {
	b, _ := os.ReadFile(filepath.Join(task, "stat"))
	i := strings.LastIndexByte(string(b), ')')
	return i >= 0 && strings.HasPrefix(string(b[i+1:]), " S")
}

// When there is nothing to watch, nothing is left: no thread, no descriptor.
func TestIdleEnds(t *testing.T) {
	backends(t, func(t *testing.T) {
		w := new(mem.Uint32)
		x := NewWatch(w, 0, func() {})
		x.Stop()
		eventually(t, "an end", func() bool {
			shared.mu.Lock()
			defer shared.mu.Unlock()
			switch b := shared.backend.(type) {
			case *uring:
				return !b.running
			case *waitv:
				return len(b.groups) == 0
			case *futexThreads:
				return b.threads == 0
			}
			return false
		})
		eventually(t, "the ring closed", func() bool { return ringFD(t) < 0 })
	})
}

// ringFD returns the descriptor of the ring, or -1.
func ringFD(t *testing.T) int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if target, _ := os.Readlink("/proc/self/fd/" + e.Name()); target == "anon_inode:[io_uring]" {
			var fd int
			for _, c := range e.Name() {
				fd = fd*10 + int(c-'0')
			}
			return fd
		}
	}
	return -1
}

// A ring that fails is replaced by another one, and when that fails, too, by the
// next backend. Nobody notices.
func TestRingFails(t *testing.T) {
	if probeUring() != nil {
		t.Skip("this kernel has no io_uring")
	}
	use(t, kindUring)
	w, v := new(mem.Uint32), new(mem.Uint32)
	calls := make(chan string, 10)
	NewWatch(v, 0, func() { calls <- "v" })
	for _, want := range []kind{kindUring, kindWaitv} {
		eventually(t, "a ring", func() bool { return ringFD(t) >= 0 })
		queuedInKernel(t)
		unix.Close(ringFD(t))
		// It has to enter the ring again to notice.
		NewWatch(w, w.Load(), func() { calls <- "w" })
		w.Add(1)
		WakeAll(w)
		within(t, 20*time.Second, func() {
			if s := <-calls; s != "w" {
				t.Error("called for ", s)
			}
		})
		if k := chosen(); k != want {
			name, why := Backend()
			t.Errorf("%s (%s); want %s", name, why, want)
		}
	}
	v.Store(1)
	WakeAll(v)
	within(t, 20*time.Second, func() {
		if s := <-calls; s != "v" {
			t.Error("called for ", s)
		}
	})
	if _, why := Backend(); !strings.Contains(why, "io_uring: bad file descriptor") {
		t.Errorf("Backend says %q", why)
	}
	use(t, kindUring)
}
