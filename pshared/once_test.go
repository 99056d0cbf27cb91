package pshared_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// Offset in the body of a once.
const onceState = 8

func onces(t testing.TB, n int) []*pshared.Once {
	t.Helper()
	handles := make([]*pshared.Once, n)
	for i := range handles {
		handles[i] = got(pshared.OpenOnce("once"))(t)
		t.Cleanup(func() { handles[i].Close() })
	}
	t.Cleanup(func() { pshared.Remove("once") })
	return handles
}

func TestOnce(t *testing.T) {
	all := onces(t, 3)
	w := peek(t, "once")
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			err := all[i%3].Do(func() error {
				time.Sleep(150 * time.Millisecond) // the others fall asleep
				w.put64(spare, w.get64(spare)+1)
				return nil
			})
			if err != nil || w.get64(spare) != 1 || !all[i%3].Done() {
				t.Errorf("Do: %v, run %d times, done %v", err, w.get64(spare), all[i%3].Done())
			}
		})
	}
	within(t, time.Minute, "twelve", wg.Wait)
	if s := all[0].Stats(); s != (pshared.Stats{Members: 3}) {
		t.Errorf("%+v", s)
	}
	must(t, all[0].Check())
}

// What fails has not been done.
func TestOnceFails(t *testing.T) {
	all := onces(t, 2)
	broken := errors.New("broken")
	if err := all[0].Do(func() error { return broken }); err != broken {
		t.Errorf("Do: %v; want f's own error", err)
	}
	func() {
		defer func() {
			if recover() != broken {
				t.Error("the panic did not get through")
			}
		}()
		all[0].Do(func() error { panic(broken) })
	}()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		all[0].Do(func() error { runtime.Goexit(); return nil })
	}()
	<-gone
	if all[1].Done() {
		t.Error("done")
	}
	// A waiter takes over from one that fails.
	running, fail := make(chan struct{}), make(chan struct{})
	go all[0].Do(func() error { close(running); <-fail; return broken })
	<-running
	errs := make(chan error)
	go func() { errs <- all[1].Do(func() error { return nil }) }()
	peek(t, "once").sleeps(t, onceState)
	close(fail)
	must(t, <-errs)
	if !all[0].Done() {
		t.Error("not done")
	}
}

func TestOnceContext(t *testing.T) {
	all := onces(t, 2)
	running, finish := make(chan struct{}), make(chan struct{})
	go all[0].Do(func() error { close(running); <-finish; return nil })
	<-running
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	f := func() error { t.Error("run twice"); return nil }
	wantErr(t, "time", all[1].DoContext(ctx, f), context.DeadlineExceeded)
	close(finish)
	must(t, all[1].Do(f))
	must(t, all[1].DoContext(ctx, f)) // done: no need to wait
}

func TestOnceDamaged(t *testing.T) {
	o := onces(t, 1)[0]
	w := peek(t, "once")
	for what, word := range map[string]uint64{
		"a slot beyond the table": uint64(layout.MakeOwner(2000, 1)),
		"an epoch without a slot": 1 << 32,
		"waiters for nobody":      layout.LockWaiters,
		"done, and at work":       uint64(layout.MakeOwner(0, 1)) | layout.OnceDone,
		"done, and more":          layout.OnceDone | 1<<7,
		"all ones":                ^uint64(0),
	} {
		w.put64(onceState, word)
		within(t, 10*time.Second, what, func() {
			wantErr(t, what+": Do", o.Do(func() error { return nil }), shm.ErrCorrupt)
			wantErr(t, what+": Check", o.Check(), shm.ErrCorrupt)
			if o.Done() {
				t.Errorf("%s: done", what)
			}
		})
	}
}
