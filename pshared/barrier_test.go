package pshared_test

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// Offsets in the body of a barrier; the places are at 64.
const (
	barrierPhase  = 8
	barrierPlaces = 64
)

func barriers(t testing.TB, n int) []*pshared.Barrier {
	t.Helper()
	handles := make([]*pshared.Barrier, n)
	for i := range handles {
		handles[i] = got(pshared.OpenBarrier("barrier", n))(t)
		t.Cleanup(func() { handles[i].Close() })
	}
	t.Cleanup(func() { pshared.Remove("barrier") })
	return handles
}

// Nobody is ever more than one phase ahead.
func TestBarrierPhases(t *testing.T) {
	const rounds = 1500
	all := barriers(t, 4)
	w := peek(t, "barrier")
	_, err := pshared.OpenBarrier("barrier", 4)
	wantErr(t, "a fifth party", err, pshared.ErrNoSlot)
	at := func(i int) int { return barrierPhase + 24 + 8*i } // behind the words of the format
	var wg sync.WaitGroup
	for i, b := range all {
		wg.Go(func() {
			for phase := range uint64(rounds) {
				w.put64(at(i), phase+1)
				if err := b.Wait(); err != nil {
					t.Error(err)
					return
				}
				for k := range all {
					if n := w.get64(at(k)); n != phase+1 && n != phase+2 {
						t.Errorf("party %d is at %d, %d at %d", i, phase+1, k, n)
						return
					}
				}
			}
		})
	}
	within(t, time.Minute, "the phases", wg.Wait)
	if n := w.get64(barrierPhase) >> 1; n != rounds {
		t.Errorf("phase %d; want %d", n, rounds)
	}
	if s := all[0].Stats(); s.LostWakes != 0 || s.Repairs != 0 {
		t.Errorf("%+v", s)
	}
	must(t, all[0].Check())
}

// One who gives up has arrived; its next Wait is for the same phase, even if that
// has ended meanwhile.
func TestBarrierContext(t *testing.T) {
	all := barriers(t, 2)
	w := peek(t, "barrier")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	for range 2 {
		wantErr(t, "alone", all[0].WaitContext(ctx), context.DeadlineExceeded)
	}
	within(t, 20*time.Second, "both", func() {
		must(t, all[1].Wait()) // the first one has arrived
		must(t, all[0].Wait()) // and is told so, without arriving in the next phase
	})
	if n := w.get64(barrierPhase) >> 1; n != 1 {
		t.Errorf("phase %d; want 1", n)
	}
	wantErr(t, "in the next phase", all[1].WaitContext(ctx), context.DeadlineExceeded)
	errs := make(chan error)
	go func() { errs <- all[1].Wait() }()
	asleep(t, 1)
	must(t, all[0].Wait())
	must(t, <-errs)
}

// A party that is gone is missed once, and its place is free.
func TestBarrierPartyGoes(t *testing.T) {
	for _, arrived := range []bool{false, true} {
		for _, asleep := range []bool{false, true} {
			all := barriers(t, 3)
			w := peek(t, "barrier")
			errs := make(chan error, 2)
			wait := func() {
				for _, b := range all[:2] {
					go func() { errs <- b.Wait() }()
				}
			}
			want := pshared.ErrPeerDied
			if arrived {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				wantErr(t, "arrive", all[2].WaitContext(ctx), context.Canceled)
				want = nil
			}
			if asleep && !arrived {
				wait()
				w.sleeps(t, barrierPhase)
				all[2].Close()
			} else {
				all[2].Close()
				wait()
			}
			within(t, 20*time.Second, "two", func() {
				for range 2 {
					wantErr(t, "the phase of the death", <-errs, want)
				}
			})
			if arrived { // then it is missed in the next one
				wait()
				for range 2 {
					wantErr(t, "the phase after", <-errs, pshared.ErrPeerDied)
				}
			}
			wait()
			for range 2 {
				wantErr(t, "later", <-errs, nil)
			}
			must(t, all[0].Check())
			fresh := got(pshared.OpenBarrier("barrier", 3))(t)
			wait()
			must(t, fresh.Wait())
			for range 2 {
				wantErr(t, "with a new party", <-errs, nil)
			}
			fresh.Close()
			all[0].Close()
			all[1].Close()
			must(t, pshared.Remove("barrier"))
		}
	}
}

func TestBarrierLeave(t *testing.T) {
	all := barriers(t, 3)
	w := peek(t, "barrier")
	errs := make(chan error, 2)
	for _, b := range all[:2] {
		go func() { errs <- b.Wait() }()
	}
	w.sleeps(t, barrierPhase)
	all[2].Leave()
	for range 2 {
		wantErr(t, "the others", <-errs, nil)
	}
	all[2].Leave()
	wantErr(t, "who has left", all[2].Wait(), shm.ErrClosed)
	fresh := got(pshared.OpenBarrier("barrier", 3))(t)
	defer fresh.Close()
	all[2].Leave() // the place is another's by now
	all[2].Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	wantErr(t, "the others are waited for", fresh.WaitContext(ctx), context.DeadlineExceeded)
}

// Nobody goes on before all places have been taken for the first time.
func TestBarrierIncomplete(t *testing.T) {
	b := got(pshared.OpenBarrier("barrier", 2))(t)
	defer pshared.Remove("barrier")
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	wantErr(t, "alone", b.WaitContext(ctx), context.DeadlineExceeded)
}

func TestBarrierConfig(t *testing.T) {
	for _, n := range []int{-1, 0, pshared.MaxParties + 1} {
		_, err := pshared.OpenBarrier("barrier", n)
		wantErr(t, "made", err, syscall.EINVAL)
	}
	barriers(t, 2)
	_, err := pshared.OpenBarrier("barrier", 3)
	wantErr(t, "more parties", err, shm.ErrKind)
}

func TestBarrierDamaged(t *testing.T) {
	all := barriers(t, 2)
	w := peek(t, "barrier")
	live := w.get64(barrierPlaces + 8)
	for what, word := range map[string]uint64{
		"a slot beyond the table": uint64(layout.MakeOwner(2000, 1)),
		"an epoch without a slot": 1 << 32,
		"a bit that nobody uses":  live | 1<<6,
		"bits beside the slot":    live | 1<<9,
		"odd, but not arrived":    live | layout.PlaceOdd,
	} {
		w.put64(barrierPlaces+8, word)
		within(t, 10*time.Second, what, func() {
			wantErr(t, what+": Wait", all[0].Wait(), shm.ErrCorrupt)
			wantErr(t, what+": Check", all[0].Check(), shm.ErrCorrupt)
			_, err := pshared.OpenBarrier("barrier", 2)
			wantErr(t, what+": Open", err, shm.ErrCorrupt)
		})
	}
	for _, n := range []uint32{0, pshared.MaxParties + 1, 1000, ^uint32(0)} {
		w.put32(4, n)
		if _, err := pshared.OpenBarrier("barrier", 2); !errors.Is(err, shm.ErrCorrupt) {
			t.Errorf("%d parties: %v", n, err)
		}
	}
}
