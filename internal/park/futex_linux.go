//go:build linux && (amd64 || arm64)

package park

import (
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"github.com/seed-247006a4/shoal/internal/sys"
)

// maxFutexThreads is how many words the futex backend gives a thread each. A Go
// program may have 10,000 threads; this leaves it most of them.
const maxFutexThreads = 256

// ownLook is when a thread looks by itself. It is long: a wake-up that comes
// between two sleeps cannot be told from a lost one, which the scan can.
const ownLook = 3 * time.Second

// pollEvery is how long a thousand words without a thread are left alone between
// two looks at them.
const pollEvery = time.Millisecond

// futexThreads is the futex backend, for kernels before 5.16 and sandboxes: a
// thread for each word, as far as they go, and one goroutine that looks at the
// others at intervals. Its fields are guarded by the hub's mutex.
type futexThreads struct {
	threads int
	polled  []*Watch
	polling bool
}

// futexThread is a thread that sleeps on one word.
type futexThread struct {
	bits uint32 // its group among the sleepers of a word: 1 of 32
	left atomic.Bool
}

func (f *futexThreads) add(x *Watch) {
	if f.threads < maxFutexThreads {
		f.threads++
		x.nudge = &futexThread{bits: 1 << (f.threads % 32)}
		go f.sleep(x)
		return
	}
	f.polled = append(f.polled, x)
	if !f.polling {
		f.polling = true
		go f.poll()
	}
}

func (f *futexThreads) remove(x *Watch) {
	if t := x.nudge; t != nil {
		// A wake-up for the sleepers of its group: the thread leaves. It may be on its way
		// to sleep, whoever else of its group was woken.
		sys.FutexWakeBits(x.w, sys.FutexAll, t.bits)
		go t.expel(x)
	} else if i := slices.Index(f.polled, x); i >= 0 {
		f.polled = slices.Delete(f.polled, i, i+1)
	}
}

// rescue cannot tell whom it wakes: one of several sleepers of the same word is
// enough for the wake-up to count as lost.
func (f *futexThreads) rescue(x *Watch) {
	n, err := sys.FutexWake(x.w, sys.FutexAll)
	x.lost = err == nil && n > 0
}

// expel wakes a thread until it has left, for a tenth of a second at most: if it
// sleeps on a word that has been unmapped meanwhile, it cannot be woken before
// its own deadline.
func (t *futexThread) expel(x *Watch) {
	for range 1000 {
		time.Sleep(100 * time.Microsecond)
		if t.left.Load() {
			return
		}
		sys.FutexWakeBits(x.w, sys.FutexAll, t.bits)
	}
}

// sleep sleeps until x has fired or is stopped.
func (f *futexThreads) sleep(x *Watch) {
	debug.SetPanicOnFault(true)
	woken := false
	for {
		shared.mu.Lock()
		var fired []*Watch
		if x.state == armed && (woken || x.changed()) {
			fired = shared.fire(x, nil)
		}
		if x.state != armed {
			x.nudge.left.Store(true)
			f.threads--
			f.promote()
			if woken && x.state == stopped {
				handOn(x.w)
			}
			shared.mu.Unlock()
			call(fired)
			return
		}
		shared.mu.Unlock()
		deadline := after(ownLook)
		woken = sys.FutexWaitBits(x.w, x.val, &deadline, x.nudge.bits) == nil
	}
}

// promote gives a free thread to a word without one.
// Preconditions: the hub's mutex is held.
func (f *futexThreads) promote() {
	if n := len(f.polled); n > 0 {
		x := f.polled[n-1]
		f.polled[n-1], f.polled = nil, f.polled[:n-1]
		f.add(x)
	}
}

// poll looks at the words without a thread until there are none.
func (f *futexThreads) poll() {
	debug.SetPanicOnFault(true)
	for {
		shared.mu.Lock()
		var fired []*Watch
		f.polled = slices.DeleteFunc(f.polled, func(x *Watch) bool {
			if x.state == armed && !x.changed() {
				return false
			}
			fired = shared.fire(x, fired)
			return true
		})
		n := len(f.polled)
		f.polling = n > 0
		shared.mu.Unlock()
		call(fired)
		if n == 0 {
			return
		}
		time.Sleep(pollEvery * time.Duration(1+n/1000))
	}
}
