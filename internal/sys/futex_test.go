//go:build linux && (amd64 || arm64)

package sys

import (
	"runtime"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// in returns the instant d from now on a clock.
func in(t *testing.T, clock int32, d time.Duration) *unix.Timespec {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(clock, &now); err != nil {
		t.Fatal(err)
	}
	ts := unix.NsecToTimespec(now.Nano() + int64(d))
	return &ts
}

// until calls wake until it has woken somebody: the sleeper may still be on its
// way.
func until(t *testing.T, wake func() (int, error)) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); {
		n, err := wake()
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			return
		}
	}
	t.Fatal("nobody to wake in 10 s")
}

func TestFutexWait(t *testing.T) {
	shared, private := new(mem.Uint32), new(atomic.Uint32)
	waits := map[string]struct {
		clock int32
		wait  func(val uint32, deadline *unix.Timespec) error
		wake  func() (int, error)
	}{
		"shared": {unix.CLOCK_MONOTONIC,
			func(val uint32, d *unix.Timespec) error { return FutexWait(shared, val, d) },
			func() (int, error) { return FutexWake(shared, 1) }},
		"realtime": {unix.CLOCK_REALTIME,
			func(val uint32, d *unix.Timespec) error { return FutexWaitRealtime(shared, val, d) },
			func() (int, error) { return FutexWake(shared, FutexAll) }},
		"bits": {unix.CLOCK_MONOTONIC,
			func(val uint32, d *unix.Timespec) error { return FutexWaitBits(shared, val, d, 4) },
			func() (int, error) { return FutexWakeBits(shared, 1, 4|1) }},
		"bits, plain wake": {unix.CLOCK_MONOTONIC,
			func(val uint32, d *unix.Timespec) error { return FutexWaitBits(shared, val, d, 4) },
			func() (int, error) { return FutexWake(shared, 1) }},
		"private": {unix.CLOCK_MONOTONIC,
			func(val uint32, d *unix.Timespec) error { return FutexWaitPrivate(private, val, d) },
			func() (int, error) { return FutexWakePrivate(private, 1) }},
	}
	for name, f := range waits {
		t.Run(name, func(t *testing.T) {
			if err := f.wait(1, nil); err != unix.EAGAIN {
				t.Errorf("another value: %v; want EAGAIN", err)
			}
			begin, deadline := time.Now(), in(t, f.clock, 20*time.Millisecond)
			err := syscall.Errno(unix.EINTR)
			for err == unix.EINTR {
				err = f.wait(0, deadline).(syscall.Errno)
			}
			if took := time.Since(begin); err != unix.ETIMEDOUT || took < 20*time.Millisecond {
				t.Errorf("time-out: %v after %v; want ETIMEDOUT after 20ms", err, took)
			}
			woken := make(chan error)
			go func() { woken <- f.wait(0, nil) }()
			until(t, f.wake)
			if err := <-woken; err != nil {
				t.Errorf("woken: %v", err)
			}
		})
	}
}

func TestFutexWakeMisses(t *testing.T) {
	word := new(mem.Uint32)
	woken := make(chan error)
	go func() { woken <- FutexWaitBits(word, 0, in(t, unix.CLOCK_MONOTONIC, 100*time.Millisecond), 4) }()
	for waiting := true; waiting; {
		select {
		case err := <-woken:
			if err != unix.ETIMEDOUT && err != unix.EINTR {
				t.Errorf("woken by a wake for others: %v", err)
			}
			waiting = false
		default:
			if n, err := FutexWakeBits(word, FutexAll, 8|1); n != 0 || err != nil {
				t.Errorf("a wake for others woke %d, %v", n, err)
			}
		}
	}
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := mem.At[mem.Uint32](page, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Munmap(page)
	if _, err := FutexWake(gone, 1); err != unix.EFAULT {
		t.Errorf("wake on an unmapped word: %v; want EFAULT", err)
	}
}

func TestFutexWaitv(t *testing.T) {
	words := make([]mem.Uint32, FutexWaitvMax-1)
	private := new(atomic.Uint32)
	f := make([]FutexWaiter, FutexWaitvMax)
	f[0].Private(private, 0)
	for i := range words {
		f[i+1].Shared(&words[i], 0)
	}
	if _, err := FutexWaitv(f, in(t, unix.CLOCK_MONOTONIC, time.Millisecond)); err == unix.ENOSYS {
		t.Skip("no futex_waitv(2): Linux 5.16")
	} else if err != unix.ETIMEDOUT && err != unix.EINTR {
		t.Errorf("time-out: %v; want ETIMEDOUT", err)
	}
	for index, wake := range map[int]func() (int, error){
		0:   func() (int, error) { return FutexWakePrivate(private, 1) },
		1:   func() (int, error) { return FutexWake(&words[0], 1) },
		127: func() (int, error) { return FutexWake(&words[126], 1) },
	} {
		woken := make(chan int)
		go func() {
			n, err := FutexWaitv(f, nil)
			if err != nil {
				t.Errorf("word %d: %v", index, err)
			}
			woken <- n
		}()
		until(t, wake)
		if n := <-woken; n != index {
			t.Errorf("woken by word %d; want %d", n, index)
		}
	}
	words[5].Store(1)
	if _, err := FutexWaitv(f, nil); err != unix.EAGAIN {
		t.Errorf("another value: %v; want EAGAIN", err)
	}
}

func TestIoUring(t *testing.T) {
	r := newRing(t, 4, 8)
	words := make([]mem.Uint32, 20)
	private := new(atomic.Uint32)
	if r.Room() != 4 {
		t.Fatalf("room for %d; want 4", r.Room())
	}
	r.WaitShared(&words[0], 1, 100) // changed
	r.WaitShared(&words[1], 0, 101)
	r.WaitPrivate(private, 0, 102)
	if r.Room() != 1 {
		t.Errorf("room for %d; want 1", r.Room())
	}
	expect(t, r, map[uint64]syscall.Errno{100: unix.EAGAIN})
	if n, err := FutexWake(&words[1], 5); n != 1 || err != nil {
		t.Errorf("woke %d, %v; want 1", n, err)
	}
	expect(t, r, map[uint64]syscall.Errno{101: 0})
	if n, err := FutexWakePrivate(private, 5); n != 1 || err != nil {
		t.Errorf("woke %d, %v; want 1", n, err)
	}
	expect(t, r, map[uint64]syscall.Errno{102: 0})

	r.WaitShared(&words[2], 0, 103)
	r.Cancel(103, 104)
	r.Cancel(999, 105)
	expect(t, r, map[uint64]syscall.Errno{103: unix.ECANCELED, 104: 0, 105: unix.ENOENT})

	ts := unix.NsecToTimespec(1e6)
	if err := r.Enter(&ts); err != unix.ETIME && err != unix.EINTR {
		t.Errorf("nothing to come: %v; want ETIME", err)
	}
	if r.Pending() {
		t.Error("a completion that nobody asked for")
	}
}

// More completions than fit into the ring are kept by the kernel, and all come.
func TestIoUringOverflow(t *testing.T) {
	r := newRing(t, 4, 8)
	words := make([]mem.Uint32, 20)
	want := map[uint64]syscall.Errno{}
	for i := range words {
		for r.Room() == 0 {
			if err := r.Enter(&unix.Timespec{}); err != nil && err != unix.EINTR {
				t.Fatal(err)
			}
		}
		r.WaitShared(&words[i], 0, uint64(i))
		want[uint64(i)] = 0
	}
	for r.Room() < 4 {
		if err := r.Enter(&unix.Timespec{}); err != nil && err != unix.EINTR {
			t.Fatal(err)
		}
	}
	for i := range words {
		if n, err := FutexWake(&words[i], 1); n != 1 || err != nil {
			t.Fatalf("woke %d of word %d, %v", n, i, err)
		}
	}
	expect(t, r, want)
}

// newRing makes a ring for a test, which stays on its thread.
func newRing(t *testing.T, entries, completions uint32) *IoUring {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread) // run after the ring is closed
	r, err := NewIoUring(entries, completions)
	if err != nil {
		t.Skip("no io_uring: ", err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// expect takes as many completions as are wanted, and compares them.
func expect(t *testing.T, r *IoUring, want map[uint64]syscall.Errno) {
	t.Helper()
	var seen []uint64
	for len(seen) < len(want) {
		if err := r.Enter(&unix.Timespec{Sec: 5}); err != nil && err != unix.EINTR {
			t.Fatalf("after %v of %v: %v", seen, want, err)
		}
		for {
			data, result, ok := r.Next()
			if !ok {
				break
			}
			if errno, ok := want[data]; !ok || Errno(result) != errno || slices.Contains(seen, data) {
				t.Errorf("request %d: %v; want one of %v", data, Errno(result), want)
			}
			seen = append(seen, data)
		}
	}
}
