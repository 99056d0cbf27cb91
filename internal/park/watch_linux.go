//go:build linux && (amd64 || arm64)

package park

import (
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

// Watch is one word that the shared waiter watches, from [NewWatch] until its
// function is called or [Watch.Stop].
type Watch struct {
	w   *mem.Uint32
	val uint32
	fn  func()                 // nil for a direct sleeper
	due func(word uint32) bool // see WaitDue; nil: as soon as the word is not val

	sleeper *sleeper // the direct sleeper, or nil
	looks   bool     // he wants to be woken now and then

	// Guarded by the mutex of the list that the watch is in.
	state   state
	scans   uint8 // that have found the word unchanged
	strikes uint8 // consecutive scans that have found the word changed
	rescued bool  // woken for that
	lost    bool  // and slept until then
	place   int   // in the list

	// For the backend; guarded by the same mutex.
	seat  int          // uring: index of its slot
	group *waitvGroup  // waitv
	nudge *futexThread // futex
}

// NewWatch has fn called, once, when the word w is woken or is not val (any more).
// It never waits. fn is called on a goroutine of the shared waiter, never on the
// caller's, so NewWatch may be called under a lock that fn takes. But others wait
// meanwhile: fn shall do no more than take short locks, start goroutines, send on
// channels with room, and call NewWatch and Stop.
//
// A wake-up without a change may be overlooked when several words are woken at
// once, and fn may, rarely, be called for nothing: it looks at the word.
//
// w must stay mapped until fn is called or Stop has returned. Cost: an
// allocation, and as a rule a system call.
func NewWatch(w *mem.Uint32, val uint32, fn func()) *Watch { return newWatch(w, val, nil, fn) }

func newWatch(w *mem.Uint32, val uint32, due func(uint32) bool, fn func()) *Watch {
	x := &Watch{w: w, val: val, due: due, fn: fn}
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.backend == nil {
		shared.backend = chosen().make()
	}
	shared.put(x)
	shared.backend.add(x)
	return x
}

// Stop ends the watch and reports whether it has: then fn will not be called, and
// the word is not read any more. If not, fn has been called or is about to be. It
// waits for nothing, not for fn either. It may be called again.
func (x *Watch) Stop() bool {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if x.state == armed {
		shared.take(x, stopped)
		shared.backend.remove(x)
	}
	return x.state == stopped
}

// Lost reports whether fn was called for a word that had changed without a
// wake-up (see the package comment). It is of use in fn and after it.
func (x *Watch) Lost() bool {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	return x.lost
}

// hub is the shared waiter: the watches of this process, and what watches them.
type hub struct {
	list
	backend backend // nil before the first use
}

var shared hub

func init() {
	shared.every = time.Second
	shared.rescue = func(x *Watch) { shared.backend.rescue(x) }
}

// backend watches the words of many watches. Its methods are called with the
// hub's mutex held and do not wait.
type backend interface {
	// add begins to watch. When the word is woken or differs, x is taken from the
	// list as fired and its fn called without the lock, on a goroutine of the backend.
	add(x *Watch)
	// remove is told that x, which was added, is not armed any more, for another
	// reason than the backend's own.
	remove(x *Watch)
	// rescue wakes the sleeper of x, which is armed and whose word has changed,
	// so that it fires. It sets x.lost if the sleeper slept until then.
	rescue(x *Watch)
}

// fire takes x from the list if it is still armed, and adds it to those whose fn
// is to be called.
// Preconditions: h.mu is held.
func (h *hub) fire(x *Watch, to []*Watch) []*Watch {
	if x.state != armed {
		return to
	}
	h.take(x, fired)
	return append(to, x)
}

// fall hands all watches over to the next backend.
// Preconditions: h.mu is held; failed is not used any more after that.
func (h *hub) fall(failed kind, err error) {
	h.backend = choice.fall(failed, err).make()
	for _, x := range h.armed {
		h.backend.add(x)
	}
}

// handOn passes on a wake-up that a stopped watch has swallowed: it may have been
// meant for one sleeper of many. The word may be gone; the kernel then says so,
// and to wake somebody for nothing does no harm.
func handOn(w *mem.Uint32) { sys.FutexWake(w, 1) }
