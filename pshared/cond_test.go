package pshared_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// Offset in the body of a condition.
const condSignals = 8

func conds(t testing.TB, n int) []*pshared.Cond {
	t.Helper()
	handles := make([]*pshared.Cond, n)
	for i := range handles {
		handles[i] = got(pshared.OpenCond("cond"))(t)
		t.Cleanup(func() { handles[i].Close() })
	}
	t.Cleanup(func() { pshared.Remove("cond") })
	return handles
}

// A buffer of one place, between members: each signal reaches somebody who can
// use it. Where giving up is allowed nothing gets lost either.
func TestCondBuffer(t *testing.T) {
	for _, fickle := range []bool{false, true} {
		t.Run(map[bool]string{false: "patient", true: "fickle"}[fickle], func(t *testing.T) {
			const items = 1500
			mus, cs := mutexes(t, 3), conds(t, 6)
			nonempty, nonfull := cs[:3], make([]*pshared.Cond, 3)
			for i := range nonfull {
				nonfull[i] = got(pshared.OpenCond("nonfull"))(t)
				defer nonfull[i].Close()
			}
			defer pshared.Remove("nonfull")
			w := peek(t, "mutex") // spare: items in the buffer; spare+8: items taken
			wait := func(c *pshared.Cond, mu *pshared.Mutex) {
				ctx, cancel := background, context.CancelFunc(func() {})
				if fickle && rand.IntN(2) == 0 {
					ctx, cancel = context.WithTimeout(background, time.Duration(rand.IntN(300))*time.Microsecond)
				}
				defer cancel()
				if err := c.Wait(ctx, mu); err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
			}
			var wg sync.WaitGroup
			for i := range 3 {
				wg.Go(func() { // puts
					for range items {
						must(t, mus[i].Lock())
						for w.get64(spare) == 1 {
							wait(nonfull[i], mus[i])
						}
						w.put64(spare, 1)
						must(t, mus[i].Unlock())
						nonempty[i].Signal()
					}
				})
				wg.Go(func() { // takes
					for range items {
						must(t, mus[i].Lock())
						for w.get64(spare) == 0 {
							wait(nonempty[i], mus[i])
						}
						w.put64(spare, 0)
						w.put64(spare+8, w.get64(spare+8)+1)
						nonfull[i].Signal()
						must(t, mus[i].Unlock())
					}
				})
			}
			within(t, time.Minute, "the buffer", wg.Wait)
			if n := w.get64(spare + 8); n != 3*items {
				t.Errorf("%d items taken; want %d", n, 3*items)
			}
			if a, b := cs[0].Stats().LostWakes, mus[0].Stats().LostWakes; a+b != 0 {
				t.Errorf("%d+%d wake-ups lost", a, b)
			}
		})
	}
}

// Signal wakes one and leaves the others asleep; Broadcast wakes all.
func TestCondSignalOne(t *testing.T) {
	mu, c := mutexes(t, 1)[0], conds(t, 2)
	awake := make(chan int, 3)
	for i := range 3 {
		go func() {
			must(t, mu.Lock())
			if err := c[0].Wait(background, mu); err != nil {
				t.Error(err)
			}
			must(t, mu.Unlock())
			awake <- i
		}()
		// One after the other, so that all sleep for sure.
		asleep(t, 1)
	}
	c[1].Signal()
	<-awake
	select {
	case <-awake:
		t.Error("a second one woke after one signal")
	case <-time.After(300 * time.Millisecond): // longer than anybody dozes
	}
	c[1].Broadcast()
	within(t, 20*time.Second, "the other two", func() { <-awake; <-awake })
	c[1].Signal() // nobody there
	if n := c[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups counted as lost", n)
	}
}

func TestCondContext(t *testing.T) {
	mu, c := mutexes(t, 1)[0], conds(t, 1)[0]
	wantErr(t, "without the mutex", c.Wait(background, mu), pshared.ErrNotOwner)
	must(t, mu.Lock())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	for range 2 { // timed out, and done before
		wantErr(t, "time", c.Wait(ctx, mu), context.DeadlineExceeded)
		if ok, _ := mu.TryLock(); ok {
			t.Error("the mutex is free after a Wait that has given up")
		}
	}
	must(t, mu.Unlock())
}

// Who dies, or leaves, makes everybody look: it may have had a signal in hand.
func TestCondMemberLeaves(t *testing.T) {
	mu, c := mutexes(t, 1)[0], conds(t, 1)[0]
	other := got(pshared.OpenCond("cond"))(t)
	errs := make(chan error)
	go func() {
		must(t, mu.Lock())
		err := c.Wait(background, mu)
		must(t, mu.Unlock())
		errs <- err
	}()
	peek(t, "cond").sleeps(t, condSignals)
	other.Close()
	within(t, 20*time.Second, "the waiter", func() { must(t, <-errs) })
}

// The mutex of a condition dies with its owner: the waiter gets it so.
func TestCondOwnerDied(t *testing.T) {
	mu, c := mutexes(t, 1)[0], conds(t, 1)[0]
	errs := make(chan error)
	go func() {
		must(t, mu.Lock())
		errs <- c.Wait(background, mu)
	}()
	peek(t, "cond").sleeps(t, condSignals)
	owner := got(pshared.OpenMutex("mutex"))(t)
	must(t, owner.Lock())
	c.Signal()
	asleep(t, 1)
	owner.Close()
	wantErr(t, "the waiter", <-errs, pshared.ErrOwnerDied)
	must(t, mu.MarkConsistent())
	must(t, mu.Unlock())
	_, err := pshared.OpenCond("mutex")
	wantErr(t, "a mutex", err, shm.ErrKind)
}
