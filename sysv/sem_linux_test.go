//go:build linux && (amd64 || arm64)

package sysv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

func init() {
	roles["undo"] = func() {
		err := SemID(idArgument(1)).Op(
			SemBuf{Num: 0, Op: -1, Flags: Undo},
			SemBuf{Num: 1, Op: 5, Flags: Undo},
			SemBuf{Num: 2, Op: 5},
			SemBuf{Num: 3, Op: 5, Flags: Undo})
		if err != nil {
			panic(err)
		}
		say("taken")
	}
}

func TestSemRoundTrip(t *testing.T) {
	key := newKey(t)
	id := newSem(t, key, 3, 0o640)
	s, err := id.Stat()
	must(t, err)
	if s.ID != id || s.Key != key || s.Count != 3 || s.Mode != 0o640 || !s.OTime.IsZero() || s.ChangeTime.IsZero() ||
		s.UID != uint32(os.Geteuid()) || s.GID != uint32(os.Getegid()) || s.CreatorUID != s.UID || s.CreatorGID != s.GID {
		t.Errorf("new set: %+v", s)
	}
	if v, err := id.All(); err != nil || !reflect.DeepEqual(v, []uint16{0, 0, 0}) {
		t.Errorf("new set: %v, %v", v, err)
	}

	must(t, id.SetAll([]uint16{1, 2, 32767}))
	must(t, id.SetValue(1, 7))
	if v, err := id.All(); err != nil || !reflect.DeepEqual(v, []uint16{1, 7, 32767}) {
		t.Errorf("All() = %v, %v", v, err)
	}
	if o, err := id.OTime(); err != nil || !o.IsZero() {
		t.Errorf("setting values is no operation, and yet OTime is %v, %v", o, err)
	}
	if pid, err := id.PID(1); err != nil || pid != os.Getpid() {
		t.Errorf("PID(1) = %d, %v", pid, err)
	}

	// Atomic: all or none.
	wantErr(t, id.Op(SemBuf{Num: 0, Op: -1}, SemBuf{Num: 1, Op: -8, Flags: NoWait}), syscall.EAGAIN)
	must(t, id.Op(SemBuf{Num: 0, Op: -1}, SemBuf{Num: 0, Op: 0}, SemBuf{Num: 1, Op: 3}))
	if v, err := id.All(); err != nil || !reflect.DeepEqual(v, []uint16{0, 10, 32767}) {
		t.Errorf("All() = %v, %v", v, err)
	}
	if o, err := id.OTime(); err != nil || time.Since(o) > time.Minute {
		t.Errorf("OTime() = %v, %v", o, err)
	}
	many := slices.Repeat([]SemBuf{{Num: 1, Op: -1}}, 10) // more than are converted on the stack
	must(t, id.Op(many...))
	if v, err := id.Value(1); err != nil || v != 0 {
		t.Errorf("Value(1) = %d, %v", v, err)
	}

	must(t, id.Set(Perm{UID: s.UID, GID: s.GID, Mode: 0o7604}))
	if s, err := id.Stat(); err != nil || s.Perm() != (Perm{s.UID, s.GID, 0o604}) {
		t.Errorf("set: %+v, %v", s, err)
	}
	must(t, id.Remove())
	wantErr(t, id.Remove(), syscall.EINVAL)
	wantErr(t, id.Op(SemBuf{Op: 1}), syscall.EINVAL)
	_, err = id.OTime()
	wantErr(t, err, syscall.EINVAL)
	wantErr(t, id.SetAll([]uint16{1}), syscall.EINVAL)
}

func TestSemGetErrors(t *testing.T) {
	key, missing := newKey(t), newKey(t)
	id := newSem(t, key, 2, 0o600)
	l, err := SemLimits()
	must(t, err)
	if l.MaxValue != 32767 || l.MaxPerSet < 1 || l.MaxOps < 1 || l.MaxSets < 1 || l.MaxSemaphores < 1 {
		t.Errorf("SemLimits() = %+v", l)
	}
	for _, c := range []struct {
		name   string
		key    Key
		nsems  int
		flags  Flag
		want   syscall.Errno
		advice string
	}{
		{"existing", key, 2, 0o600, 0, ""},
		{"existing, any number", key, 0, Create, 0, ""},
		{"existing, fewer", key, 1, Exclusive, 0, ""},
		{"existing, more", key, 3, 0, syscall.EINVAL, "3 semaphores asked, the set with this key"},
		{"exclusive", key, 3, Create | Exclusive, syscall.EEXIST, ""},
		{"missing", missing, 1, 0, syscall.ENOENT, ""},
		{"none", missing, 0, Create, syscall.EINVAL, "0 semaphores asked"},
		{"private, none", Private, 0, 0o600, syscall.EINVAL, "0 semaphores asked"},
		{"negative", missing, -1, Create, syscall.EINVAL, "-1 semaphores asked"},
		{"above SEMMSL", missing, l.MaxPerSet + 1, Create, syscall.EINVAL, "SEMMSL"},
		{"beyond an int of C", missing, 1<<32 + 1, Create, syscall.EINVAL, "SEMMSL"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := SemGet(c.key, c.nsems, c.flags)
			if c.want == 0 {
				if err != nil || got != id {
					t.Fatalf("= %d, %v, want %d", got, err, id)
				}
				return
			}
			wantErr(t, err, c.want)
			if got != -1 || !strings.Contains(err.Error(), c.advice) {
				t.Errorf("= %d, %v; want -1 and %q", got, err, c.advice)
			}
			if _, err := SemGet(missing, 0, 0); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the failure has made something: %v", err)
			}
		})
	}
	if s, err := id.Stat(); err != nil || s.Count != 2 || s.Mode != 0o600 {
		t.Errorf("the existing set has changed: %+v, %v", s, err)
	}
}

func TestSemLimitsReached(t *testing.T) {
	isolate.Require(t)
	newSem(t, Private, 2, 0o600)
	for _, c := range []struct{ value, advice string }{
		{"250 32000 32 1", "SEMMNI, the 4th number of the sysctl kernel.sem, permits 1"},
		{"250 3 32 100", "SEMMNS, the 2nd number of the sysctl kernel.sem, permits 3"},
	} {
		t.Run(c.value, func(t *testing.T) {
			setSysctl(t, "sem", c.value)
			_, err := SemGet(newKey(t), 2, Create|0o600)
			wantErr(t, err, syscall.ENOSPC)
			if !strings.Contains(err.Error(), c.advice) {
				t.Errorf("%v; want %q", err, c.advice)
			}
		})
	}
	if u, err := SemUsage(); err != nil || u != (SemUse{Sets: 1, Semaphores: 2}) {
		t.Errorf("SemUsage() = %+v, %v", u, err)
	}
}

func TestSemErrors(t *testing.T) {
	id := newSem(t, Private, 2, 0o600)
	must(t, id.SetAll([]uint16{3, 32767}))
	l, err := SemLimits()
	must(t, err)
	get := func(f func(int) (int, error), num int) error { _, err := f(num); return err }
	for _, c := range []struct {
		name string
		err  error
		want syscall.Errno
	}{
		{"no operations", id.Op(), syscall.EINVAL},
		{"too many operations", id.Op(make([]SemBuf, l.MaxOps+1)...), syscall.E2BIG},
		{"no such number", id.Op(SemBuf{Num: 2, Op: 1}), syscall.EFBIG},
		{"above the highest value", id.Op(SemBuf{Num: 1, Op: 1}), syscall.ERANGE},
		{"above the highest value, after another", id.Op(SemBuf{Num: 0, Op: -1}, SemBuf{Num: 1, Op: 1}), syscall.ERANGE},
		{"unknown flags", id.Op(SemBuf{Op: 1, Flags: 1 << 16}), syscall.EINVAL},
		{"unknown flags, timed", id.TimedOp(0, SemBuf{Op: 1, Flags: 1 << 16}), syscall.EINVAL},
		{"unknown flags, context", id.OpContext(t.Context(), SemBuf{Op: 1, Flags: 1 << 16}), syscall.EINVAL},
		{"no such number, context", id.OpContext(t.Context(), SemBuf{Num: 2, Op: 1}), syscall.EFBIG},
		{"would wait", id.Op(SemBuf{Op: -4, Flags: NoWait}), syscall.EAGAIN},
		{"would wait for 0", id.Op(SemBuf{Op: 0, Flags: NoWait}), syscall.EAGAIN},
		{"would wait, context", id.OpContext(t.Context(), SemBuf{Op: -4, Flags: NoWait}), syscall.EAGAIN},
		{"time-out", id.TimedOp(time.Millisecond, SemBuf{Op: -4}), syscall.EAGAIN},
		{"value too high", id.SetValue(0, 32768), syscall.ERANGE},
		{"value below 0", id.SetValue(0, -1), syscall.ERANGE},
		{"value beyond an int of C", id.SetValue(0, 1<<32), syscall.ERANGE},
		{"set no such number", id.SetValue(2, 0), syscall.EINVAL},
		{"set negative number", id.SetValue(-1, 0), syscall.EINVAL},
		{"set number beyond an int of C", id.SetValue(1<<32, 0), syscall.EINVAL},
		{"values too high", id.SetAll([]uint16{0, 32768}), syscall.ERANGE},
		{"too few values", id.SetAll([]uint16{0}), syscall.EINVAL},
		{"too many values", id.SetAll([]uint16{0, 0, 0}), syscall.EINVAL},
		{"no values", id.SetAll(nil), syscall.EINVAL},
		{"value of no such number", get(id.Value, 2), syscall.EINVAL},
		{"value of a number beyond an int of C", get(id.Value, 1<<32), syscall.EINVAL},
		{"pid of no such number", get(id.PID, 2), syscall.EINVAL},
		{"sleepers of no such number", get(id.NCount, 2), syscall.EINVAL},
		{"sleepers of no such number", get(id.ZCount, -1), syscall.EINVAL},
		{"no such id", SemID(-1).Op(SemBuf{Op: 1}), syscall.EINVAL},
		{"no such owner", id.Set(Perm{UID: math.MaxUint32}), syscall.EINVAL},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantErr(t, c.err, c.want)
			if want := c.name == "time-out"; errors.Is(c.err, os.ErrDeadlineExceeded) != want || c.err.(*Error).Timeout() != want {
				t.Errorf("%v: time-out is not %v", c.err, want)
			}
		})
	}
	if v, err := id.All(); err != nil || !reflect.DeepEqual(v, []uint16{3, 32767}) {
		t.Errorf("a failure has changed the values: %v, %v", v, err)
	}
	if err := id.SetAll([]uint16{0}); !strings.Contains(err.Error(), "1 value for a set of 2 semaphores") {
		t.Error(err)
	}
}

// What is to be undone has the range of a value. It can leave it without the value doing so.
func TestSemUndoRange(t *testing.T) {
	id := newSem(t, Private, 1, 0o600)
	must(t, id.SetValue(0, 32767))
	must(t, id.Op(SemBuf{Op: -32767, Flags: Undo}))
	must(t, id.Op(SemBuf{Op: 1}))
	wantErr(t, id.Op(SemBuf{Op: -1, Flags: Undo}), syscall.ERANGE)
	if v, err := id.Value(0); err != nil || v != 1 {
		t.Errorf("value %d, %v, want 1", v, err)
	}
	must(t, id.Op(SemBuf{Op: -1})) // possible without undo
	must(t, id.SetValue(0, 1))     // forgets what was to be undone
	must(t, id.Op(SemBuf{Op: -1, Flags: Undo}))
}

func TestSemWaitCounts(t *testing.T) {
	id := newSem(t, Private, 2, 0o600)
	must(t, id.SetValue(1, 1))
	done := make(chan error, 2)
	go func() { done <- id.Op(SemBuf{Num: 0, Op: -2}) }()
	go func() { done <- id.Op(SemBuf{Num: 1, Op: 0}) }()
	eventually(t, "one sleeps for a rise", func() bool { n, err := id.NCount(0); return err == nil && n == 1 })
	eventually(t, "one sleeps for 0", func() bool { n, err := id.ZCount(1); return err == nil && n == 1 })
	must(t, id.Op(SemBuf{Num: 0, Op: 2}, SemBuf{Num: 1, Op: -1}))
	must(t, within(t, "the first", done))
	must(t, within(t, "the second", done))
	if v, err := id.All(); err != nil || !reflect.DeepEqual(v, []uint16{0, 0}) {
		t.Errorf("All() = %v, %v", v, err)
	}
}

func sleeping(t testing.TB, id SemID, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d sleep", n), func() bool {
		got, err := id.NCount(0)
		must(t, err)
		return got == n
	})
}

func TestSemRemovedWhileBlocked(t *testing.T) {
	for name, op := range map[string]func(SemID) error{
		"Op":        func(id SemID) error { return id.Op(SemBuf{Op: -1}) },
		"TimedOp":   func(id SemID) error { return id.TimedOp(time.Hour, SemBuf{Op: -1}) },
		"OpContext": func(id SemID) error { return id.OpContext(t.Context(), SemBuf{Op: -1}) },
	} {
		t.Run(name, func(t *testing.T) {
			id := newSem(t, Private, 1, 0o600)
			done := make(chan error, 1)
			go func() { done <- op(id) }()
			sleeping(t, id, 1)
			must(t, id.Remove())
			err := within(t, "EIDRM", done)
			wantErr(t, err, syscall.EIDRM)
			if !errors.Is(err, fs.ErrNotExist) || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%v is not fs.ErrNotExist, or is a time-out", err)
			}
		})
	}
}

func TestSemTimedOp(t *testing.T) {
	id := newSem(t, Private, 1, 0o600)
	for _, timeout := range []time.Duration{-time.Second, 0, time.Nanosecond, 50 * time.Millisecond} {
		start := time.Now()
		err := id.TimedOp(timeout, SemBuf{Op: -1})
		elapsed := time.Since(start)
		wantErr(t, err, syscall.EAGAIN)
		if !errors.Is(err, os.ErrDeadlineExceeded) || elapsed < timeout || elapsed > timeout+5*time.Second {
			t.Errorf("%v: %v after %v", timeout, err, elapsed)
		}
	}
	must(t, id.TimedOp(0, SemBuf{Op: 1}))
	must(t, id.TimedOp(-1, SemBuf{Op: -1}))
	err := id.TimedOp(time.Hour, SemBuf{Op: -1, Flags: NoWait})
	wantErr(t, err, syscall.EAGAIN)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("NoWait is taken for a time-out: %v", err)
	}
}

// storm interrupts the thread that f runs on as fast as it can until f returns.
func storm(t *testing.T, asleep func(), f func() error) error {
	t.Helper()
	thread, done := make(chan int, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- syscall.Gettid()
		done <- f()
	}()
	tid := <-thread
	asleep()
	deadline := time.Now().Add(patience)
	for n := 0; ; n++ {
		select {
		case err := <-done:
			if n < 10 {
				t.Errorf("%d signals: no storm", n)
			}
			return err
		default:
			if time.Now().After(deadline) {
				t.Fatal("still not back")
			}
			must(t, syscall.Tgkill(os.Getpid(), tid, syscall.SIGURG))
		}
	}
}

func TestSemInterrupted(t *testing.T) {
	id := newSem(t, Private, 1, 0o600)
	const timeout = 300 * time.Millisecond
	start := time.Now()
	err := storm(t, func() { sleeping(t, id, 1) }, func() error { return id.TimedOp(timeout, SemBuf{Op: -1}) })
	elapsed := time.Since(start)
	wantErr(t, err, syscall.EAGAIN)
	if !errors.Is(err, os.ErrDeadlineExceeded) || elapsed < timeout || elapsed > timeout+5*time.Second {
		t.Errorf("%v after %v, want a time-out after %v", err, elapsed, timeout)
	}

	post := func() { time.AfterFunc(100*time.Millisecond, func() { id.SetValue(0, 1) }) }
	for name, op := range map[string]func() error{
		"Op":        func() error { return id.Op(SemBuf{Op: -1}) },
		"TimedOp":   func() error { return id.TimedOp(time.Hour, SemBuf{Op: -1}) },
		"OpContext": func() error { return id.OpContext(t.Context(), SemBuf{Op: -1}) },
	} {
		if err := storm(t, post, op); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if v, err := id.Value(0); err != nil || v != 0 {
			t.Errorf("%s: value %d, %v", name, v, err)
		}
	}
}

// eachWay runs a test with the two ways of waiting with a context.
func eachWay(t *testing.T, f func(t *testing.T)) {
	t.Run("signals", func(t *testing.T) {
		if !interruptible() {
			t.Fatal("SIGURG does not reach this thread")
		}
		f(t)
	})
	t.Run("polling", func(t *testing.T) {
		old := interruptible
		interruptible = func() bool { return false }
		defer func() { interruptible = old }()
		f(t)
	})
}

func TestSemOpContext(t *testing.T) {
	eachWay(t, func(t *testing.T) {
		id := newSem(t, Private, 1, 0o600)
		op := func(ctx context.Context) chan error {
			done := make(chan error, 1)
			go func() { done <- id.OpContext(ctx, SemBuf{Op: -1}) }()
			return done
		}

		// Done already: nothing happens, though it could.
		must(t, id.SetValue(0, 1))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := within(t, "the end", op(ctx)); !errors.Is(err, context.Canceled) || err.(*Error).Timeout() {
			t.Errorf("cancelled before: %v", err)
		}
		if v, err := id.Value(0); err != nil || v != 1 {
			t.Errorf("value %d, %v", v, err)
		}
		must(t, within(t, "no wait", op(t.Context())))

		// Cancelled while asleep.
		ctx, cancel = context.WithCancel(t.Context())
		done := op(ctx)
		sleeping(t, id, 1)
		start := time.Now()
		cancel()
		err := within(t, "cancelling", done)
		if elapsed := time.Since(start); !errors.Is(err, context.Canceled) || elapsed > 5*time.Second {
			t.Errorf("%v after %v", err, elapsed)
		}
		sleeping(t, id, 0)

		// Deadline while asleep.
		ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		start = time.Now()
		err = within(t, "the deadline", op(ctx))
		if elapsed := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || !err.(*Error).Timeout() || elapsed < 20*time.Millisecond {
			t.Errorf("%v after %v", err, elapsed)
		}

		// Woken.
		ctx, cancel = context.WithCancel(t.Context())
		defer cancel()
		done = op(ctx)
		sleeping(t, id, 1)
		must(t, id.SetValue(0, 1))
		must(t, within(t, "waking", done))

		// A NoWait operation among those that may wait.
		must(t, id.SetValue(0, 1))
		wantErr(t, id.OpContext(ctx, SemBuf{Op: -1}, SemBuf{Op: -1, Flags: NoWait}), syscall.EAGAIN)
		must(t, id.SetValue(0, 0))

		// Many at once.
		const many = 20
		ctx, cancel = context.WithCancel(t.Context())
		all := make(chan error, many)
		for range many {
			go func() { all <- id.OpContext(ctx, SemBuf{Op: -1}) }()
		}
		sleeping(t, id, many)
		cancel()
		for range many {
			if err := within(t, "cancelling many", all); !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		if v, err := id.Value(0); err != nil || v != 0 {
			t.Errorf("value %d, %v", v, err)
		}
	})
}

// raceContext lets a call that sleeps be cancelled and served at once, many times. start begins the call and returns
// when it sleeps or is about to; serve lets it go on; served reports whether it took what was served, and cleans up.
func raceContext(t *testing.T, start func(context.Context) <-chan error, serve func() error, served func() bool) {
	t.Helper()
	taken, cancelled := 0, 0
	for i := range 300 {
		ctx, cancel := context.WithCancel(t.Context())
		done := start(ctx)
		var err error
		switch i % 4 {
		case 0: // surely served
			must(t, serve())
			must(t, within(t, "the call served", done))
			cancel()
		case 1: // surely cancelled
			cancel()
			if err = within(t, "the call cancelled", done); err == nil {
				t.Fatal("cancelled, nothing served, and yet the call succeeds")
			}
			must(t, serve())
		case 2:
			go cancel()
			must(t, serve())
			err = within(t, "either", done)
		default: // serve a little later each time, past the moment in which cancelling takes effect
			cancel()
			for start := time.Now(); time.Since(start) < time.Duration(i)*time.Microsecond; {
				runtime.Gosched()
			}
			must(t, serve())
			err = within(t, "either", done)
		}
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if got := served(); got != (err == nil) {
			t.Fatalf("the call returns %v, and yet whether it took place is %v", err, got)
		}
		if err == nil {
			taken++
		} else {
			cancelled++
		}
	}
	t.Logf("taken %d times, cancelled %d times", taken, cancelled)
}

// An operation takes place if and only if OpContext says so, whoever wins.
func TestSemOpContextRace(t *testing.T) {
	eachWay(t, func(t *testing.T) {
		id := newSem(t, Private, 1, 0o600)
		raceContext(t,
			func(ctx context.Context) <-chan error {
				done := make(chan error, 1)
				go func() { done <- id.OpContext(ctx, SemBuf{Op: -1}) }()
				sleeping(t, id, 1)
				return done
			},
			func() error { return id.Op(SemBuf{Op: 1}) },
			func() bool {
				v, err := id.Value(0)
				must(t, err)
				must(t, id.SetValue(0, 0))
				return v == 0
			})
	})
}

func TestSemUndo(t *testing.T) {
	for name, end := range map[string]func(*actor) error{
		"killed": func(a *actor) error { return a.Process.Kill() },
		"exit":   func(a *actor) error { return a.stdin.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			id := newSem(t, Private, 4, 0o600)
			must(t, id.SetAll([]uint16{1, 10, 20, 0}))
			a := play(t, "undo", id)
			a.says(t, "taken")
			if v, err := id.All(); err != nil || !reflect.DeepEqual(v, []uint16{0, 15, 25, 5}) {
				t.Errorf("taken: %v, %v", v, err)
			}
			if pid, err := id.PID(0); err != nil || pid != a.Process.Pid {
				t.Errorf("PID(0) = %d, %v, want %d", pid, err, a.Process.Pid)
			}
			must(t, id.Op(SemBuf{Num: 3, Op: -3}))
			if pid, err := id.PID(3); err != nil || pid != os.Getpid() {
				t.Errorf("PID(3) = %d, %v, want %d", pid, err, os.Getpid())
			}

			// Whoever waits for what the process has taken gets it at the process's end.
			done := make(chan error, 1)
			go func() { done <- id.Op(SemBuf{Num: 0, Op: -1}) }()
			sleeping(t, id, 1)
			must(t, end(a))
			must(t, within(t, "the kernel's undoing", done))
			a.Wait() // the kernel undoes one semaphore after the other
			// Taken by this process; undone; never to be undone; undone as far as it goes, from 2 to 0.
			if v, err := id.All(); err != nil || !reflect.DeepEqual(v, []uint16{0, 10, 25, 0}) {
				t.Errorf("undone: %v, %v", v, err)
			}
			if pid, err := id.PID(3); err != nil || pid != a.Process.Pid {
				t.Errorf("PID(3) = %d, %v, want %d", pid, err, a.Process.Pid)
			}
		})
	}
}

// What is to be undone belongs to the process: the end of a thread undoes
// nothing.
func TestSemUndoIsPerProcess(t *testing.T) {
	id := newSem(t, Private, 1, 0o600)
	thread := make(chan int, 1)
	var operate func()
	operate = func() {
		runtime.LockOSThread() // and never unlocks: the thread ends with the goroutine
		if syscall.Gettid() == os.Getpid() {
			// The main thread never ends. It is occupied now: take another.
			done := make(chan struct{})
			go func() { defer close(done); operate() }()
			<-done
			return
		}
		if err := id.Op(SemBuf{Op: 1, Flags: Undo}); err != nil {
			t.Error(err)
		}
		thread <- syscall.Gettid()
	}
	go operate()
	tid := within(t, "the operation", thread)
	eventually(t, "the thread has ended", func() bool {
		_, err := os.Stat(fmt.Sprintf("/proc/self/task/%d", tid))
		return errors.Is(err, fs.ErrNotExist)
	})
	if v, err := id.Value(0); err != nil || v != 1 {
		t.Errorf("value %d, %v, want 1", v, err)
	}
	must(t, id.SetValue(0, 0)) // and forget it
}

func TestSemList(t *testing.T) {
	key := newKey(t)
	id := newSem(t, key, 7, 0)
	must(t, newSem(t, Private, 1, 0o600).Remove())
	newSem(t, Private, 2, 0o600)
	list, err := SemList()
	must(t, err)
	i := slices.IndexFunc(list, func(s SemInfo) bool { return s.ID == id })
	if i < 0 || list[i].Key != key || list[i].Count != 7 {
		t.Errorf("not listed: %+v", list)
	}
	sameWithoutStatAny(t, &semStatAny, list, SemList)
}
