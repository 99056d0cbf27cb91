package pshared_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// Offsets in the body of a semaphore: the permits are at 64.
const (
	semValue   = 8
	semPermits = 64
)

func semaphores(t testing.TB, n int, c pshared.SemaphoreConfig) []*pshared.Semaphore {
	t.Helper()
	handles := make([]*pshared.Semaphore, n)
	for i := range handles {
		handles[i] = got(pshared.OpenSemaphore("semaphore", c))(t)
		t.Cleanup(func() { handles[i].Close() })
	}
	t.Cleanup(func() { pshared.Remove("semaphore") })
	return handles
}

// bothKinds runs a test with three permits, plain and with undo.
func bothKinds(t *testing.T, test func(t *testing.T, c pshared.SemaphoreConfig)) {
	t.Run("plain", func(t *testing.T) { test(t, pshared.SemaphoreConfig{Value: 3}) })
	t.Run("undo", func(t *testing.T) { test(t, pshared.SemaphoreConfig{Value: 3, Undo: true}) })
}

func TestSemaphoreLimits(t *testing.T) {
	bothKinds(t, func(t *testing.T, c pshared.SemaphoreConfig) {
		all := semaphores(t, 3, c)
		var inside atomic.Int32
		var wg sync.WaitGroup
		for i := range 9 {
			wg.Go(func() {
				for range 2000 {
					if err := all[i%3].Acquire(); err != nil {
						t.Error(err)
						return
					}
					if n := inside.Add(1); n > 3 {
						t.Errorf("%d inside", n)
					}
					inside.Add(-1)
					if err := all[i%3].Release(); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		within(t, time.Minute, "nine", wg.Wait)
		if n := all[0].Value(); n != 3 {
			t.Errorf("value %d at the end; want 3", n)
		}
		if s := all[0].Stats(); s != (pshared.Stats{Members: 3}) {
			t.Errorf("%+v", s)
		}
		must(t, all[0].Check())
	})
}

func TestSemaphoreTry(t *testing.T) {
	bothKinds(t, func(t *testing.T, c pshared.SemaphoreConfig) {
		s := semaphores(t, 1, c)[0]
		for i := range 4 {
			if ok, err := s.TryAcquire(); ok != (i < 3) || err != nil {
				t.Errorf("%d: %v, %v", i, ok, err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		wantErr(t, "none left", s.AcquireContext(ctx), context.DeadlineExceeded)
		wantErr(t, "done before", s.AcquireContext(ctx), context.DeadlineExceeded)
		must(t, s.Release())
		if n := s.Value(); n != 1 {
			t.Errorf("value %d; want 1", n)
		}
		must(t, s.AcquireContext(t.Context()))
	})
}

func TestSemaphoreRelease(t *testing.T) {
	plain := semaphores(t, 1, pshared.SemaphoreConfig{Value: pshared.MaxSemaphore - 1})[0]
	must(t, plain.Release()) // nobody has acquired: it counts
	wantErr(t, "beyond the largest", plain.Release(), syscall.EOVERFLOW)
	if n := plain.Value(); n != pshared.MaxSemaphore {
		t.Errorf("value %d; want %d", n, pshared.MaxSemaphore)
	}
	plain.Close()
	must(t, pshared.Remove("semaphore"))

	undo := semaphores(t, 2, pshared.SemaphoreConfig{Value: 2, Undo: true})
	must(t, undo[0].Acquire())
	wantErr(t, "another's permit", undo[1].Release(), pshared.ErrNotOwner)
	must(t, undo[0].Release())
	wantErr(t, "once more", undo[0].Release(), pshared.ErrNotOwner)
}

// Every release reaches somebody, whoever gives up when.
func TestSemaphoreCancelStorm(t *testing.T) {
	bothKinds(t, func(t *testing.T, c pshared.SemaphoreConfig) {
		all := semaphores(t, 3, c)
		done, finish := context.WithCancel(t.Context())
		var patients, others sync.WaitGroup
		for i := range 6 {
			others.Go(func() {
				for done.Err() == nil {
					ctx, cancel := context.WithTimeout(done, time.Duration(rand.IntN(200))*time.Microsecond)
					err := all[i%3].AcquireContext(ctx)
					if err == nil {
						time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
						err = all[i%3].Release()
					}
					if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
						t.Error(err)
					}
					cancel()
				}
			})
		}
		for i := range 6 {
			patients.Go(func() {
				for range 300 {
					if err := all[i%3].Acquire(); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
					if err := all[i%3].Release(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		within(t, time.Minute, "the patient", patients.Wait)
		finish()
		within(t, time.Minute, "the fickle", others.Wait)
		if n := all[0].Value(); n != 3 {
			t.Errorf("value %d at the end; want 3", n)
		}
		if n := all[0].Stats().LostWakes; n != 0 {
			t.Errorf("%d wake-ups lost", n)
		}
	})
}

// Several releases at once wake as many, though the first of them has taken the
// flag away.
func TestSemaphoreBurst(t *testing.T) {
	all := semaphores(t, 2, pshared.SemaphoreConfig{})
	w := peek(t, "semaphore")
	for range 50 {
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := all[0].Acquire(); err != nil {
					t.Error(err)
				}
			})
		}
		w.sleeps(t, semValue)
		for range 5 {
			must(t, all[1].Release())
		}
		within(t, 20*time.Second, "five", wg.Wait)
	}
	if n := all[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups lost", n)
	}
}

func TestSemaphoreHolderLeaves(t *testing.T) {
	all := semaphores(t, 1, pshared.SemaphoreConfig{Value: 2, Undo: true})
	holder := got(pshared.OpenSemaphore("semaphore", pshared.SemaphoreConfig{Value: 2, Undo: true}))(t)
	must(t, holder.Acquire())
	must(t, holder.Acquire())
	errs := make(chan error)
	go func() { errs <- all[0].Acquire() }()
	w := peek(t, "semaphore")
	eventually(t, "somebody sleeps", func() bool { return w.get32(12)&1 != 0 })
	holder.Close()
	must(t, <-errs)
	if n := all[0].Value(); n != 1 {
		t.Errorf("value %d; want 1", n)
	}
	must(t, all[0].Acquire())
	if n := all[0].Stats().Repairs; n != 2 {
		t.Errorf("%d repairs; want 2", n)
	}
}

func TestSemaphoreConfig(t *testing.T) {
	for _, c := range []pshared.SemaphoreConfig{
		{Value: -1}, {Value: pshared.MaxSemaphore + 1}, {Undo: true}, {Value: pshared.MaxPermits + 1, Undo: true},
	} {
		_, err := pshared.OpenSemaphore("semaphore", c)
		wantErr(t, "made", err, syscall.EINVAL)
	}
	semaphores(t, 1, pshared.SemaphoreConfig{Value: 2, Undo: true})
	for _, c := range []pshared.SemaphoreConfig{{Value: 2}, {Value: 3, Undo: true}} {
		_, err := pshared.OpenSemaphore("semaphore", c)
		wantErr(t, "another kind", err, shm.ErrKind)
	}
}

func TestSemaphoreDamaged(t *testing.T) {
	undo := semaphores(t, 2, pshared.SemaphoreConfig{Value: 2, Undo: true})
	w := peek(t, "semaphore")
	must(t, undo[1].Acquire())
	live := w.get64(semPermits)
	for what, word := range map[string]uint64{
		"a slot beyond the table": uint64(layout.MakeOwner(2000, 1)),
		"an epoch without a slot": 1 << 32,
		"a flag":                  live | 1,
		"bits beside the slot":    live | 1<<9,
		"all ones":                ^uint64(0),
	} {
		w.put64(semPermits, word)
		w.put64(semPermits+8, word)
		within(t, 10*time.Second, what, func() {
			wantErr(t, what+": Acquire", undo[0].Acquire(), shm.ErrCorrupt)
			_, err := undo[0].TryAcquire()
			wantErr(t, what+": TryAcquire", err, shm.ErrCorrupt)
			wantErr(t, what+": Release", undo[0].Release(), pshared.ErrNotOwner)
			wantErr(t, what+": Check", undo[0].Check(), shm.ErrCorrupt)
		})
	}
	for what, n := range map[string]uint32{"too many permits": pshared.MaxPermits + 1, "permits beyond the end": 4000, "all ones": ^uint32(0)} {
		w.put32(4, n)
		_, err := pshared.OpenSemaphore("semaphore", pshared.SemaphoreConfig{Value: 2, Undo: true})
		wantErr(t, what, err, shm.ErrCorrupt)
	}
	for _, s := range undo {
		s.Close()
	}
	must(t, pshared.Remove("semaphore"))

	plain := semaphores(t, 1, pshared.SemaphoreConfig{})[0]
	w = peek(t, "semaphore")
	for _, word := range []uint32{^uint32(0), ^uint32(0) - 1} {
		w.put32(semValue, word)
		within(t, 10*time.Second, "a value too large", func() {
			wantErr(t, "Acquire", plain.Acquire(), shm.ErrCorrupt)
			wantErr(t, "Release", plain.Release(), shm.ErrCorrupt)
			wantErr(t, "Check", plain.Check(), shm.ErrCorrupt)
		})
	}
}
