package pshared_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// Offsets in the body of a mutex.
const (
	mutexState = 8
	spare      = 16 // what the format does not use: where tests keep what they guard
)

// mutexes opens n members of the mutex, and removes it at the end.
func mutexes(t testing.TB, n int) []*pshared.Mutex {
	t.Helper()
	handles := make([]*pshared.Mutex, n)
	for i := range handles {
		handles[i] = got(pshared.OpenMutex("mutex"))(t)
		t.Cleanup(func() { handles[i].Close() })
	}
	t.Cleanup(func() { pshared.Remove("mutex") })
	return handles
}

func TestMutexExcludes(t *testing.T) {
	const goroutines, rounds = 3, 5000
	all := mutexes(t, 4)
	w := peek(t, "mutex")
	var wg sync.WaitGroup
	for i := range goroutines * len(all) {
		mu := all[i%len(all)]
		wg.Go(func() {
			for k := range rounds {
				if err := mu.Lock(); err != nil {
					t.Error(err)
					return
				}
				n := w.get64(spare)
				if k%16 == 0 {
					runtime.Gosched() // so that the others find it locked
				}
				w.put64(spare, n+1)
				if err := mu.Unlock(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	within(t, time.Minute, "counting", wg.Wait)
	if n := w.get64(spare); n != goroutines*rounds*4 {
		t.Errorf("counted %d; want %d", n, goroutines*rounds*4)
	}
	if s := all[0].Stats(); s != (pshared.Stats{Members: 4}) {
		t.Errorf("%+v; want 4 members and nothing else", s)
	}
	must(t, all[0].Check())
	if w.get64(mutexState) != 0 {
		t.Errorf("state %#x after the last unlock", w.get64(mutexState))
	}
}

func TestMutexTryLock(t *testing.T) {
	all := mutexes(t, 2)
	a, b := all[0], all[1]
	if ok, err := a.TryLock(); !ok || err != nil {
		t.Errorf("a free one: %v, %v", ok, err)
	}
	for _, mu := range all { // not recursive either
		if ok, err := mu.TryLock(); ok || err != nil {
			t.Errorf("a locked one: %v, %v", ok, err)
		}
	}
	wantErr(t, "unlock by another member", b.Unlock(), pshared.ErrNotOwner)
	wantErr(t, "mark by another member", b.MarkConsistent(), pshared.ErrNotOwner)
	must(t, a.Unlock())
	wantErr(t, "unlock twice", a.Unlock(), pshared.ErrNotOwner)
	if ok, err := b.TryLock(); !ok || err != nil {
		t.Errorf("a free one: %v, %v", ok, err)
	}
	must(t, b.Unlock())
}

// One goroutine locks, another of the same process unlocks.
func TestMutexChangesGoroutine(t *testing.T) {
	mu := mutexes(t, 1)[0]
	must(t, mu.Lock())
	unlocked := make(chan error)
	go func() { unlocked <- mu.Unlock() }()
	must(t, <-unlocked)
	must(t, mu.Lock())
	must(t, mu.Unlock())
}

func TestMutexContext(t *testing.T) {
	all := mutexes(t, 2)
	must(t, all[0].Lock())
	ctx, cancel := context.WithCancel(t.Context())
	wrong := make(chan error)
	w := peek(t, "mutex")
	go func() { wrong <- all[1].LockContext(ctx) }()
	w.sleeps(t, mutexState)
	begin := time.Now()
	cancel()
	wantErr(t, "cancelled in its sleep", <-wrong, context.Canceled)
	if d := time.Since(begin); d > time.Second {
		t.Errorf("it took %v to give up", d)
	}
	wantErr(t, "cancelled before", all[1].LockContext(ctx), context.Canceled)
	ctx, cancel = context.WithTimeout(t.Context(), 5*time.Millisecond)
	defer cancel()
	wantErr(t, "timed out", all[1].LockContext(ctx), context.DeadlineExceeded)
	must(t, all[0].Unlock())
	must(t, all[1].LockContext(t.Context()))
	must(t, all[1].Unlock())
	if n := all[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups lost", n)
	}
}

// Waiters give up at every moment, also when they have just been chosen: nobody
// is forgotten, so that the patient ones make their rounds.
func TestMutexCancelStorm(t *testing.T) {
	const patient, fickle, rounds = 4, 4, 400
	all := mutexes(t, 3)
	done, finish := context.WithCancel(t.Context())
	var patients, others sync.WaitGroup
	hold := func(mu *pshared.Mutex) {
		time.Sleep(time.Duration(rand.IntN(30)) * time.Microsecond)
		if err := mu.Unlock(); err != nil {
			t.Error(err)
		}
	}
	for i := range fickle {
		others.Go(func() {
			for done.Err() == nil {
				ctx, cancel := context.WithTimeout(done, time.Duration(rand.IntN(200))*time.Microsecond)
				if err := all[i%3].LockContext(ctx); err == nil {
					hold(all[i%3])
				} else if ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	for i := range patient {
		patients.Go(func() {
			for range rounds {
				if err := all[i%3].Lock(); err != nil {
					t.Error(err)
					return
				}
				hold(all[i%3])
			}
		})
	}
	within(t, time.Minute, "the patient", patients.Wait)
	finish()
	within(t, time.Minute, "the fickle", others.Wait)
	if n := all[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups lost", n)
	}
}

// Who sleeps on while the lock goes from hand to hand has not been forgotten.
func TestMutexHandOver(t *testing.T) {
	all := mutexes(t, 4)
	must(t, all[0].Lock())
	var wg sync.WaitGroup
	for _, mu := range all[1:] {
		wg.Go(func() {
			if err := mu.Lock(); err != nil {
				t.Error(err)
			}
			time.Sleep(250 * time.Millisecond) // longer than anybody dozes, or scans
			if err := mu.Unlock(); err != nil {
				t.Error(err)
			}
		})
	}
	peek(t, "mutex").sleeps(t, mutexState)
	must(t, all[0].Unlock())
	within(t, time.Minute, "three owners", wg.Wait)
	if n := all[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups counted as lost", n)
	}
}

func TestMutexOwnerLeaves(t *testing.T) {
	all := mutexes(t, 3)
	for _, asleep := range []bool{false, true} {
		owner := got(pshared.OpenMutex("mutex"))(t)
		must(t, owner.Lock())
		locked := make(chan error, 1)
		if asleep {
			go func() { locked <- all[0].Lock() }()
			peek(t, "mutex").sleeps(t, mutexState)
		}
		owner.Close()
		if !asleep {
			locked <- all[0].Lock()
		}
		wantErr(t, "after the owner has left", <-locked, pshared.ErrOwnerDied)
		if ok, err := all[1].TryLock(); ok || err != nil {
			t.Errorf("it is held: %v, %v", ok, err)
		}
		must(t, all[0].MarkConsistent())
		must(t, all[0].Unlock())
		if ok, err := all[1].TryLock(); !ok || err != nil {
			t.Errorf("mended: %v, %v", ok, err)
		}
		must(t, all[1].Unlock())
	}
	if s := all[0].Stats(); s.Deaths != 0 || s.Repairs != 2 {
		t.Errorf("%+v; want no deaths and 2 repairs", s)
	}
}

// The second owner dies before it has said that all is well: the third one hears
// of it still.
func TestMutexDeathTwice(t *testing.T) {
	all := mutexes(t, 1)
	for i, want := range []error{nil, pshared.ErrOwnerDied, pshared.ErrOwnerDied} {
		owner := got(pshared.OpenMutex("mutex"))(t)
		if err := owner.Lock(); !errors.Is(err, want) {
			t.Errorf("owner %d: %v; want %v", i, err, want)
		}
		owner.Close()
	}
	if ok, err := all[0].TryLock(); !ok || !errors.Is(err, pshared.ErrOwnerDied) {
		t.Errorf("TryLock: %v, %v; want it locked, and ErrOwnerDied", ok, err)
	}
	must(t, all[0].MarkConsistent())
	must(t, all[0].Unlock())
}

func TestMutexNotRecoverable(t *testing.T) {
	all := mutexes(t, 3)
	owner := got(pshared.OpenMutex("mutex"))(t)
	must(t, owner.Lock())
	owner.Close()
	wantErr(t, "lock", all[0].Lock(), pshared.ErrOwnerDied)
	waiting := make(chan error)
	for _, mu := range all[1:] {
		go func() { waiting <- mu.Lock() }()
	}
	peek(t, "mutex").sleeps(t, mutexState)
	must(t, all[0].Unlock())
	for range all[1:] {
		wantErr(t, "who waited", <-waiting, pshared.ErrNotRecoverable)
	}
	wantErr(t, "lock", all[0].Lock(), pshared.ErrNotRecoverable)
	_, err := all[0].TryLock()
	wantErr(t, "try", err, pshared.ErrNotRecoverable)
	wantErr(t, "unlock", all[0].Unlock(), pshared.ErrNotOwner)
	must(t, all[0].Check())
}

func TestMutexDamaged(t *testing.T) {
	all := mutexes(t, 2)
	w := peek(t, "mutex")
	must(t, all[0].Lock())
	live := w.get64(mutexState)
	must(t, all[0].Unlock())
	for what, word := range map[string]uint64{
		"a slot beyond the table":        uint64(layout.MakeOwner(2000, 1)),
		"an epoch without a slot":        1 << 32,
		"a bit that nobody uses":         live | 1<<5,
		"bits between flags and slot":    live | 1<<9,
		"those of nobody":                1 << 9,
		"draining, as no mutex does":     live | layout.LockDraining,
		"owned and not recoverable":      live | layout.LockNotRecoverable,
		"not recoverable, somebody":      layout.LockNotRecoverable | layout.LockWaiters,
		"all ones":                       ^uint64(0),
		"somebody else's dead, damaged":  uint64(layout.MakeOwner(40, 7)) | 1<<7,
		"another's slot, and a bad flag": live + 1<<16 | 1<<6,
	} {
		w.put64(mutexState, word)
		within(t, 10*time.Second, what, func() {
			wantErr(t, what+": Lock", all[0].Lock(), shm.ErrCorrupt)
			wantErr(t, what+": LockContext", all[0].LockContext(t.Context()), shm.ErrCorrupt)
			_, err := all[1].TryLock()
			wantErr(t, what+": TryLock", err, shm.ErrCorrupt)
			wantErr(t, what+": Check", all[1].Check(), shm.ErrCorrupt)
			if err := all[1].Unlock(); !errors.Is(err, shm.ErrCorrupt) && !errors.Is(err, pshared.ErrNotOwner) {
				t.Errorf("%s: Unlock: %v", what, err)
			}
		})
		if w.get64(mutexState) != word {
			t.Errorf("%s: the word has become %#x", what, w.get64(mutexState))
		}
	}

	// Damage under a sleeper.
	w.put64(mutexState, 0)
	must(t, all[0].Lock())
	waiting := make(chan error)
	go func() { waiting <- all[1].Lock() }()
	w.sleeps(t, mutexState)
	w.put64(mutexState, uint64(layout.MakeOwner(2000, 1)))
	within(t, 10*time.Second, "a sleeper over damage", func() {
		wantErr(t, "a sleeper over damage", <-waiting, shm.ErrCorrupt)
	})
	w.put64(mutexState, 0)
}
