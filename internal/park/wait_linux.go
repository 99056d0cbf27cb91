//go:build linux && (amd64 || arm64)

package park

import (
	"context"
	"time"

	"github.com/seed-247006a4/shoal/internal/crash"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

// Wait sleeps until w is not val, or somebody wakes w, or ctx is done: then it
// returns ctx's error, at once. It may also return for nothing: the caller looks
// and, as a rule, comes again.
//
// lost reports that the word had changed without a wake-up (see the package
// comment); the caller counts it in the object.
//
// A wake-up meant for one sleeper ([Wake]) never ends with one who has given up:
// it is handed on.
//
// Cost: two system calls and two thread switches; with a context that can end, an
// allocation.
func Wait(ctx context.Context, w *mem.Uint32, val uint32) (lost bool, err error) {
	return sleep(ctx, w, val, nil, nil)
}

// WaitDue is [Wait] for a word that may change while its sleepers are right to
// sleep on: a lock that has gone from hand to hand, where each unlock has woken
// one of many. due says, of the word as it is now, whether those who sleep should
// have been woken by now; only then does a wake-up that is missing count as lost,
// and the sleeper is roused. It is called at any time, under locks: it looks at
// nothing else.
func WaitDue(ctx context.Context, w *mem.Uint32, val uint32, due func(word uint32) bool) (lost bool, err error) {
	return sleep(ctx, w, val, due, nil)
}

// Wake wakes at most n of those who sleep on w, in any process, and returns how
// many. Cost: one system call.
func Wake(w *mem.Uint32, n int) (woken int) {
	woken, err := sys.FutexWake(w, n)
	if err != nil {
		return 0 // not mapped: the caller's next access will tell
	}
	return woken
}

// WakeAll wakes all who sleep on w, in all processes, and returns how many.
func WakeAll(w *mem.Uint32) (woken int) { return Wake(w, sys.FutexAll) }

// sleep is WaitDue, for somebody who has looked and found nothing. With due nil
// every change is one that a wake-up should have followed. If ready is not nil it
// is called now and then, on this goroutine; sleep also returns when it says true,
// which without a wake-up counts as lost, too.
func sleep(ctx context.Context, w *mem.Uint32, val uint32, due func(uint32) bool, ready func() bool) (lost bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	if ctx.Done() == nil || haveWaitv() {
		if s := acquire(); s != nil {
			defer s.release()
			lost, err = s.sleep(ctx, w, val, due, ready)
			crash.Woken()
			if err != nil && ctx.Done() != nil {
				handOn(w)
			}
			return lost, err
		}
	}
	return sleepShared(ctx, w, val, due, ready)
}

// How long a sleeper of the shared waiter trusts that it will be woken, before it
// looks again: at first, and at most. In between it doubles. With thousands of
// sleepers every look counts; those whose word has changed are found by the scan,
// and after a death the repair wakes everybody.
const (
	firstLook = time.Second
	lastLook  = 8 * time.Second
)

// sleepShared sleeps without a thread.
func sleepShared(ctx context.Context, w *mem.Uint32, val uint32, due func(uint32) bool, ready func() bool) (lost bool, err error) {
	woken := make(chan struct{}, 1)
	x := newWatch(w, val, due, func() { woken <- struct{}{} })
	var look <-chan time.Time // nil, and never ready, without ready
	interval := firstLook
	if ready != nil {
		look = time.After(interval) // collected when it is not used any more
	}
	for {
		select {
		case <-woken:
			return x.Lost(), nil
		case <-ctx.Done():
			if x.Stop() {
				return false, ctx.Err()
			}
			return x.Lost(), nil // the wake-up has come to us: take it
		case <-look:
			if !ready() {
				interval = min(2*interval, lastLook)
				look = time.After(interval)
				continue
			}
			// If its waker lives, the wake-up is on its way.
			select {
			case <-woken:
				return x.Lost(), nil
			case <-time.After(confirm):
			}
			return x.Stop() || x.Lost(), nil
		}
	}
}
