package pshared_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// Offset in the body of an event.
const eventState = 8

func events(t testing.TB, n int, reset pshared.EventReset) []*pshared.Event {
	t.Helper()
	handles := make([]*pshared.Event, n)
	for i := range handles {
		handles[i] = got(pshared.OpenEvent("event", reset))(t)
		t.Cleanup(func() { handles[i].Close() })
	}
	t.Cleanup(func() { pshared.Remove("event") })
	return handles
}

// A door lets all pass who wait, and who come as long as it is open.
func TestEventManual(t *testing.T) {
	e := events(t, 2, pshared.ManualReset)
	if e[0].IsSet() || e[0].TryWait() {
		t.Error("set at birth")
	}
	w := peek(t, "event")
	var wg sync.WaitGroup
	wait := func() {
		if err := e[0].Wait(); err != nil {
			t.Error(err)
		}
	}
	for range 5 {
		wg.Go(wait)
	}
	w.sleeps(t, eventState)
	e[1].Set()
	e[1].Set()
	within(t, 20*time.Second, "five", wg.Wait)
	wait()
	if !e[0].IsSet() || !e[0].TryWait() || !e[0].TryWait() {
		t.Error("it does not stay set")
	}
	e[0].Reset()
	e[0].Reset()
	if e[1].IsSet() || e[1].TryWait() {
		t.Error("set after Reset")
	}
	// Opened and closed at once: who waited passes all the same, asleep or not yet.
	for i := range 200 {
		for range 3 {
			wg.Go(wait)
		}
		eventually(t, "three waiters", func() bool { return e[0].Begun() == 3 })
		if i%2 == 0 {
			w.sleeps(t, eventState)
		}
		e[1].Set()
		e[1].Reset()
		within(t, 20*time.Second, "three", wg.Wait)
	}
	if n := e[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups lost", n)
	}
}

// A bell lets one pass for each ring, and keeps one ring for who comes late.
func TestEventAuto(t *testing.T) {
	e := events(t, 2, pshared.AutoReset)
	e[0].Set()
	e[0].Set()
	if !e[1].TryWait() || e[1].TryWait() {
		t.Error("two rings with nobody there are one")
	}
	var passed atomic.Int32
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := e[0].Wait(); err != nil {
				t.Error(err)
			}
			passed.Add(1)
		})
		asleep(t, 1)
	}
	for i := range 4 {
		e[1].Set()
		eventually(t, "one more", func() bool { return passed.Load() == int32(i+1) })
		if i == 0 {
			time.Sleep(300 * time.Millisecond) // longer than anybody dozes
			if n := passed.Load(); n != 1 {
				t.Errorf("%d passed at one ring", n)
			}
		}
	}
	wg.Wait()
	if n := e[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups counted as lost", n)
	}
}

func TestEventContext(t *testing.T) {
	for _, reset := range []pshared.EventReset{pshared.ManualReset, pshared.AutoReset} {
		e := got(pshared.OpenEvent("context", reset))(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		for range 2 {
			wantErr(t, "time", e.WaitContext(ctx), context.DeadlineExceeded)
		}
		e.Set()
		must(t, e.WaitContext(ctx)) // it is set: no need to wait
		cancel()
		e.Close()
		must(t, pshared.Remove("context"))
	}
}

// Rings handed back and forth, beside waiters who give up just when they have
// been chosen: a ring that they miss goes to the patient one.
func TestEventCancelStorm(t *testing.T) {
	const rounds = 3000
	ring := events(t, 3, pshared.AutoReset)
	answer := got(pshared.OpenEvent("answer", pshared.AutoReset))(t)
	defer pshared.Remove("answer")
	defer answer.Close()
	done, finish := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for done.Err() == nil {
				ctx, cancel := context.WithTimeout(done, time.Duration(rand.IntN(150))*time.Microsecond)
				switch err := ring[i%2].WaitContext(ctx); {
				case err == nil:
					answer.Set()
				case !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled):
					t.Error(err)
				}
				cancel()
			}
		})
	}
	wg.Go(func() {
		for ring[2].WaitContext(done) == nil {
			answer.Set()
		}
	})
	within(t, time.Minute, "the rounds", func() {
		for range rounds {
			ring[0].Set()
			must(t, answer.Wait())
		}
	})
	finish()
	within(t, time.Minute, "the end", wg.Wait)
	if n := ring[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups lost", n)
	}
}

func TestEventConfig(t *testing.T) {
	events(t, 1, pshared.AutoReset)
	_, err := pshared.OpenEvent("event", pshared.ManualReset)
	wantErr(t, "another kind", err, shm.ErrKind)
	w := peek(t, "event")
	w.put32(4, 2)
	_, err = pshared.OpenEvent("event", pshared.AutoReset)
	wantErr(t, "no kind", err, shm.ErrCorrupt)
}
