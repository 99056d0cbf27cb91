//go:build linux && (amd64 || arm64)

package park

import (
	"context"
	"math/bits"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

// directSleepers is how many goroutines of a process sleep in futex(2), with a
// thread each. BenchmarkWake shows what the others pay.
const directSleepers = 8

// doze is how long a sleeper trusts that it will be woken, before it looks again
// whether there is something. It only matters when a waker has died: ten looks a
// second cost a process that does nothing but wait about a thousandth of a
// processor.
const doze = 100 * time.Millisecond

// directList scans the words of the direct sleepers, and has them look.
var directList = list{every: doze, rescue: rescueDirect, looks: 1}

// sleeper is the place of one direct sleeper. It belongs to a goroutine from
// acquire to release.
type sleeper struct {
	watch   Watch // in directList while the goroutine sleeps
	waiters [2]sys.FutexWaiter

	// cancel is changed when the context of whoever sleeps here is done, or of
	// one who did a moment ago, and when a wake-up is missing. It stands apart:
	// others write it.
	_      [64]byte
	cancel atomic.Uint32
	wake   func() // changes it and wakes the sleeper
	_      [64]byte
}

var (
	sleepers     [directSleepers]sleeper
	freeSleepers atomic.Uint32 // one bit each
)

func init() {
	freeSleepers.Store(1<<directSleepers - 1)
	for i := range sleepers {
		s := &sleepers[i]
		s.watch.sleeper = s
		s.wake = func() {
			s.cancel.Add(1)
			sys.FutexWakePrivate(&s.cancel, 1)
		}
	}
}

// acquire returns a free sleeper, or nil.
func acquire() *sleeper {
	for {
		free := freeSleepers.Load()
		if free == 0 {
			return nil
		}
		if freeSleepers.CompareAndSwap(free, free&(free-1)) {
			return &sleepers[bits.TrailingZeros32(free)]
		}
	}
}

func (s *sleeper) release() {
	for i := range sleepers {
		if s == &sleepers[i] {
			freeSleepers.Or(1 << i)
		}
	}
}

// rescueDirect wakes a sleeper whose word has changed. Without futex_waitv it
// cannot tell whom it wakes: one of several sleepers of the same word is enough for
// the wake-up to count as lost.
func rescueDirect(x *Watch) {
	if haveWaitv() {
		x.sleeper.wake()
		return
	}
	n, err := sys.FutexWake(x.w, sys.FutexAll)
	x.lost = err == nil && n > 0
}

// sleep is the direct form of the package's sleep, with the same results.
// Preconditions: ctx cannot end, or the kernel has futex_waitv.
func (s *sleeper) sleep(ctx context.Context, w *mem.Uint32, val uint32, due func(uint32) bool, ready func() bool) (lost bool, err error) {
	var end time.Time
	if ctx.Done() != nil {
		end, _ = ctx.Deadline()
		stop := context.AfterFunc(ctx, s.wake)
		defer stop()
	}
	// What this goroutine has made runnable waits for this P: let it run before
	// the thread goes to sleep with the P.
	runtime.Gosched()
	waitv := haveWaitv()
	for {
		// The order matters: wake changes the word after ctx is done. If ctx is not
		// done now, wake is still to come and ends the sleep, or prevents it.
		cancel := s.cancel.Load()
		if err := ctx.Err(); err != nil {
			return false, err
		}
		deadline, last := deadline(end, ready != nil && !waitv)
		s.watch.w, s.watch.val, s.watch.due, s.watch.looks = w, val, due, ready != nil && waitv
		directList.mu.Lock()
		directList.put(&s.watch)
		directList.mu.Unlock()
		var woken int
		if waitv {
			// The word comes last: of two words that were woken the kernel names
			// the last.
			s.waiters[0].Private(&s.cancel, cancel)
			s.waiters[1].Shared(w, val)
			woken, err = sys.FutexWaitv(s.waiters[:], deadline)
		} else {
			woken, err = 1, sys.FutexWait(w, val, deadline)
		}
		directList.mu.Lock()
		directList.take(&s.watch, stopped)
		lost, rescued := s.watch.lost, s.watch.rescued
		directList.mu.Unlock()
		switch {
		case err == nil && woken == 1:
			return lost, nil
		case err == nil && rescued:
			return true, nil
		case err == nil || err == unix.EAGAIN && w.Load() == val || err == unix.EINTR:
			// By wake, for one of its reasons.
			if ready != nil && ctx.Err() == nil && ready() {
				return s.missed(w, val), nil
			}
		case err == unix.EAGAIN: // the word had changed
			return lost, nil
		case err == unix.ETIMEDOUT && last:
			return lost, context.DeadlineExceeded
		case err == unix.ETIMEDOUT:
			if ready() {
				return lost || s.missed(w, val), nil
			}
		default:
			return lost, err
		}
	}
}

// deadline returns until when to sleep: until the context's end at the latest
// (last), and no longer than doze if there is something to look at then.
func deadline(end time.Time, dozing bool) (deadline *unix.Timespec, last bool) {
	left := time.Duration(doze)
	if !end.IsZero() {
		if d := time.Until(end); !dozing || d < left {
			left, last = d, true
		}
	} else if !dozing {
		return nil, false
	}
	ts := after(max(left, 0))
	return &ts, last
}

// missed is for one who has looked and found something: it reports
// whether the waker really does not come. The word has not been changed, so the
// wake-up is still due, unless the kernel says otherwise.
func (s *sleeper) missed(w *mem.Uint32, val uint32) bool {
	deadline := after(confirm)
	for {
		err := sys.FutexWait(w, val, &deadline)
		if err != unix.EINTR {
			return err == unix.ETIMEDOUT
		}
	}
}
