package pshared_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// Offsets in the body of an RWMutex. Slot i's readers are at 128+128*i.
const (
	rwWriter = 8
	rwSpare  = 32
)

func rwmutexes(t testing.TB, n int) []*pshared.RWMutex {
	t.Helper()
	handles := make([]*pshared.RWMutex, n)
	for i := range handles {
		handles[i] = got(pshared.OpenRWMutex("rwmutex"))(t)
		t.Cleanup(func() { handles[i].Close() })
	}
	t.Cleanup(func() { pshared.Remove("rwmutex") })
	return handles
}

// Readers never see a half-done write, and no write is lost.
func TestRWMutexExcludes(t *testing.T) {
	const rounds = 2000
	all := rwmutexes(t, 3)
	w := peek(t, "rwmutex")
	var wg sync.WaitGroup
	for i := range 9 {
		rw := all[i%3]
		wg.Go(func() {
			for k := range rounds {
				if (i+k)%4 == 0 {
					if err := rw.Lock(); err != nil {
						t.Error(err)
						return
					}
					w.put64(rwSpare, w.get64(rwSpare)+1)
					w.put64(rwSpare+8, w.get64(rwSpare+8)+1)
					if err := rw.Unlock(); err != nil {
						t.Error(err)
					}
					continue
				}
				if err := rw.RLock(); err != nil {
					t.Error(err)
					return
				}
				if a, b := w.get64(rwSpare), w.get64(rwSpare+8); a != b {
					t.Errorf("read %d and %d", a, b)
				}
				if err := rw.RUnlock(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	within(t, time.Minute, "readers and writers", wg.Wait)
	if n := w.get64(rwSpare); n != 9*rounds/4 {
		t.Errorf("%d writes; want %d", n, 9*rounds/4)
	}
	if s := all[0].Stats(); s != (pshared.Stats{Members: 3}) {
		t.Errorf("%+v", s)
	}
	must(t, all[0].Check())
}

func TestRWMutexShares(t *testing.T) {
	all := rwmutexes(t, 2)
	a, b := all[0], all[1]
	must(t, a.RLock())
	must(t, a.RLock())
	must(t, b.RLock())
	if ok, err := b.TryLock(); ok || err != nil {
		t.Errorf("TryLock beside readers: %v, %v", ok, err)
	}
	if ok, err := b.TryRLock(); !ok || err != nil {
		t.Errorf("TryRLock after TryLock has failed: %v, %v", ok, err)
	}
	for range 2 {
		must(t, a.RUnlock())
		must(t, b.RUnlock())
	}
	wantErr(t, "RUnlock once more", a.RUnlock(), pshared.ErrNotOwner)
	wantErr(t, "Unlock of nobody's", a.Unlock(), pshared.ErrNotOwner)
	must(t, a.Lock())
	if ok, err := b.TryRLock(); ok || err != nil {
		t.Errorf("TryRLock beside a writer: %v, %v", ok, err)
	}
	wantErr(t, "Unlock by another", b.Unlock(), pshared.ErrNotOwner)
	wantErr(t, "RUnlock by a writer", a.RUnlock(), pshared.ErrNotOwner)
	must(t, a.Unlock())
}

// A waiting writer goes before new readers, and lets them in when it gives up.
func TestRWMutexWriterFirst(t *testing.T) {
	all := rwmutexes(t, 3)
	w := peek(t, "rwmutex")
	must(t, all[0].RLock())
	ctx, cancel := context.WithCancel(t.Context())
	writer, reader := make(chan error), make(chan error)
	go func() { writer <- all[1].LockContext(ctx) }()
	eventually(t, "a writer waits", func() bool { return w.get32(rwWriter)&layout.LockDraining != 0 })
	if ok, err := all[2].TryRLock(); ok || err != nil {
		t.Errorf("TryRLock behind a waiting writer: %v, %v", ok, err)
	}
	go func() { reader <- all[2].RLock() }()
	w.sleeps(t, rwWriter)
	cancel()
	wantErr(t, "the writer", <-writer, context.Canceled)
	must(t, <-reader)
	must(t, all[2].RUnlock())

	go func() { writer <- all[1].Lock() }()
	eventually(t, "a writer waits", func() bool { return w.get32(rwWriter)&layout.LockDraining != 0 })
	asleep(t, 1)
	must(t, all[0].RUnlock())
	must(t, <-writer)
	must(t, all[1].Unlock())
	if n := all[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups lost", n)
	}
}

// Readers who went to sleep while the writer was waiting for others sleep on
// while it writes, however long.
func TestRWMutexLongWrite(t *testing.T) {
	all := rwmutexes(t, 3)
	w := peek(t, "rwmutex")
	must(t, all[0].RLock())
	var wg sync.WaitGroup
	wg.Go(func() {
		must(t, all[1].Lock())
		time.Sleep(300 * time.Millisecond)
		must(t, all[1].Unlock())
	})
	eventually(t, "a writer waits", func() bool { return w.get32(rwWriter)&layout.LockDraining != 0 })
	for range 4 {
		wg.Go(func() {
			must(t, all[2].RLock())
			must(t, all[2].RUnlock())
		})
	}
	w.sleeps(t, rwWriter)
	must(t, all[0].RUnlock())
	within(t, time.Minute, "everybody", wg.Wait)
	if n := all[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups counted as lost", n)
	}
}

func TestRWMutexCancelStorm(t *testing.T) {
	const rounds = 300
	all := rwmutexes(t, 3)
	done, finish := context.WithCancel(t.Context())
	var patients, others sync.WaitGroup
	one := func(ctx context.Context, rw *pshared.RWMutex, write bool) {
		lock, unlock := rw.RLockContext, rw.RUnlock
		if write {
			lock, unlock = rw.LockContext, rw.Unlock
		}
		err := lock(ctx)
		if err == nil {
			time.Sleep(time.Duration(rand.IntN(30)) * time.Microsecond)
			err = unlock()
		}
		if err != nil && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	for i := range 6 {
		others.Go(func() {
			for done.Err() == nil {
				ctx, cancel := context.WithTimeout(done, time.Duration(rand.IntN(200))*time.Microsecond)
				one(ctx, all[i%3], i%2 == 0)
				cancel()
			}
		})
	}
	for i := range 4 {
		patients.Go(func() {
			for range rounds {
				one(background, all[i%3], i%2 == 0)
			}
		})
	}
	within(t, time.Minute, "the patient", patients.Wait)
	finish()
	within(t, time.Minute, "the fickle", others.Wait)
	if n := all[0].Stats().LostWakes; n != 0 {
		t.Errorf("%d wake-ups lost", n)
	}
	must(t, all[0].Lock()) // no reader is left over
	must(t, all[0].Unlock())
}

// What readers held goes with them, and nobody needs to mend anything.
func TestRWMutexReaderLeaves(t *testing.T) {
	all := rwmutexes(t, 1)
	reader := got(pshared.OpenRWMutex("rwmutex"))(t)
	for range 3 {
		must(t, reader.RLock())
	}
	writer := make(chan error)
	go func() { writer <- all[0].Lock() }()
	w := peek(t, "rwmutex")
	eventually(t, "a writer waits", func() bool { return w.get32(rwWriter)&layout.LockDraining != 0 })
	asleep(t, 1)
	reader.Close()
	must(t, <-writer)
	must(t, all[0].Unlock())
	// The next one in the same slot has none of them.
	reader = got(pshared.OpenRWMutex("rwmutex"))(t)
	defer reader.Close()
	wantErr(t, "RUnlock", reader.RUnlock(), pshared.ErrNotOwner)
}

func TestRWMutexWriterLeaves(t *testing.T) {
	all := rwmutexes(t, 2)
	writer := got(pshared.OpenRWMutex("rwmutex"))(t)
	must(t, writer.Lock())
	reader := make(chan error)
	go func() { reader <- all[0].RLock() }()
	peek(t, "rwmutex").sleeps(t, rwWriter)
	writer.Close()
	wantErr(t, "a sleeping reader", <-reader, pshared.ErrOwnerDied)
	wantErr(t, "RLock", all[1].RLock(), pshared.ErrOwnerDied)
	_, err := all[1].TryRLock()
	wantErr(t, "TryRLock", err, pshared.ErrOwnerDied)
	wantErr(t, "RUnlock", all[0].RUnlock(), pshared.ErrNotOwner)

	// One that mends, and gives up half-way: still to be mended.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantErr(t, "cancelled", all[0].LockContext(ctx), context.Canceled)
	wantErr(t, "Lock", all[0].Lock(), pshared.ErrOwnerDied)
	must(t, all[0].MarkConsistent())
	must(t, all[0].Unlock())
	must(t, all[1].RLock())
	must(t, all[1].RUnlock())

	// Not mended: lost.
	writer = got(pshared.OpenRWMutex("rwmutex"))(t)
	must(t, writer.Lock())
	writer.Close()
	wantErr(t, "Lock", all[0].Lock(), pshared.ErrOwnerDied)
	go func() { reader <- all[1].RLock() }()
	peek(t, "rwmutex").sleeps(t, rwWriter)
	must(t, all[0].Unlock())
	wantErr(t, "a sleeping reader", <-reader, pshared.ErrNotRecoverable)
	wantErr(t, "Lock", all[0].Lock(), pshared.ErrNotRecoverable)
	wantErr(t, "RLock", all[0].RLock(), pshared.ErrNotRecoverable)
}

// A writer that dies while it still waits for readers has written nothing.
func TestRWMutexDrainingWriterLeaves(t *testing.T) {
	all := rwmutexes(t, 2)
	w := peek(t, "rwmutex")
	must(t, all[0].RLock())
	writer := got(pshared.OpenRWMutex("rwmutex"))(t)
	errs := make(chan error)
	go func() { errs <- writer.Lock() }()
	eventually(t, "a writer waits", func() bool { return w.get32(rwWriter)&layout.LockDraining != 0 })
	go func() { errs <- all[1].RLock() }()
	w.sleeps(t, rwWriter)
	writer.Close()
	for range 2 {
		if err := <-errs; err != nil {
			wantErr(t, "the writer", err, shm.ErrClosed)
		}
	}
	must(t, all[0].RUnlock())
	must(t, all[1].RUnlock())
	must(t, all[1].Lock())
	must(t, all[1].Unlock())
}

func TestRWMutexDamaged(t *testing.T) {
	all := rwmutexes(t, 2)
	w := peek(t, "rwmutex")
	for what, word := range map[string]uint64{
		"a slot beyond the table":     uint64(layout.MakeOwner(2000, 1)),
		"a slot beyond it, draining":  uint64(layout.MakeOwner(2000, 1)) | layout.LockDraining,
		"an epoch without a slot":     1 << 32,
		"a bit that nobody uses":      1 << 6,
		"bits between flags and slot": 1 << 10,
		"nobody drains":               layout.LockDraining,
		"not recoverable, somebody":   layout.LockNotRecoverable | layout.LockWaiters,
		"all ones":                    ^uint64(0),
	} {
		w.put64(rwWriter, word)
		within(t, 10*time.Second, what, func() {
			wantErr(t, what+": Lock", all[0].Lock(), shm.ErrCorrupt)
			wantErr(t, what+": RLock", all[0].RLock(), shm.ErrCorrupt)
			_, err := all[1].TryLock()
			wantErr(t, what+": TryLock", err, shm.ErrCorrupt)
			_, err = all[1].TryRLock()
			wantErr(t, what+": TryRLock", err, shm.ErrCorrupt)
			if err := all[1].Unlock(); !errors.Is(err, shm.ErrCorrupt) && !errors.Is(err, pshared.ErrNotOwner) {
				t.Errorf("%s: Unlock: %v", what, err)
			}
			wantErr(t, what+": Check", all[1].Check(), shm.ErrCorrupt)
		})
	}
	// A reader's count that is not of this epoch, of a slot that is free: void.
	w.put64(rwWriter, 0)
	w.put64(layout.Line+layout.Line*7, 99<<32|5)
	must(t, all[0].Lock())
	must(t, all[0].Unlock())
	// The configuration.
	w.put32(4, 7)
	_, err := pshared.OpenRWMutex("rwmutex")
	wantErr(t, "a table of another size", err, shm.ErrCorrupt)
	w.put32(4, pshared.DefaultMembers)
}
