//go:build linux && (amd64 || arm64)

package park

import (
	"runtime/debug"
	"sync"
	"time"
)

// confirm is how long a word must have been changed, without the wake-up that
// should follow, for that to count as lost: longer than a live waker, on a busy
// machine, needs between the two.
const confirm = 60 * time.Millisecond

// list holds the words that are slept on, and compares them now and then. The
// sleepers stay queued in the kernel meanwhile, so no wake-up falls between two
// sleeps: one that is missing here is missing.
type list struct {
	every  time.Duration  // from one scan to the next
	rescue func(x *Watch) // wakes the sleeper of x alone; the mutex is held
	looks  uint8          // scans after which a sleeper who wants to look himself is woken

	mu       sync.Mutex
	armed    []*Watch // each knows its place here
	scanning bool     // a scan is due or runs
}

// state is what has become of a Watch.
type state uint8

const (
	armed   state = iota
	fired         // fn is called, or about to be
	stopped       // fn will not be called
)

// put adds x.
// Preconditions: l.mu is held.
func (l *list) put(x *Watch) {
	x.state, x.scans, x.strikes, x.rescued, x.lost = armed, 0, 0, false, false
	x.place = len(l.armed)
	l.armed = append(l.armed, x)
	if !l.scanning {
		l.scanning = true
		time.AfterFunc(l.every, l.scan)
	}
}

// take removes x, which is armed.
// Preconditions: l.mu is held.
func (l *list) take(x *Watch, to state) {
	last := len(l.armed) - 1
	l.armed[x.place] = l.armed[last]
	l.armed[x.place].place = x.place
	l.armed[last] = nil
	l.armed = l.armed[:last]
	x.state = to
}

// chunk is how many words are compared without giving others the lock.
const chunk = 256

// What a scan does that finds a word changed for so many times in a row.
const (
	strikeRescue = 2 // has the sleeper woken; if it slept until then, the wake-up was lost
	strikeCall   = 5 // calls fn: nothing has come out of the kernel
)

// scan compares every word once, and helps where a wake-up is missing.
func (l *list) scan() {
	debug.SetPanicOnFault(true)
	var missing []*Watch
	changes := false
	for i, end := 0, false; !end; {
		l.mu.Lock()
		for n := 0; n < chunk && i < len(l.armed); n++ {
			x := l.armed[i]
			if !x.overdue() {
				x.strikes = 0
				i++
				// Only a word that has not changed is looked at: for one that has,
				// a wake-up is due, which must find the sleeper asleep.
				if x.scans++; x.looks && x.scans >= l.looks {
					x.scans = 0
					x.sleeper.wake()
				}
				continue
			}
			changes = true
			x.strikes = min(x.strikes+1, strikeCall)
			switch {
			case x.strikes == strikeRescue:
				x.rescued = true
				l.rescue(x)
				i++
			case x.strikes >= strikeCall && x.fn != nil:
				l.take(x, fired) // and look at the one that has come in its place
				shared.backend.remove(x)
				missing = append(missing, x)
			default:
				i++
			}
		}
		if end = i >= len(l.armed); end {
			if l.scanning = len(l.armed) > 0; l.scanning {
				again := l.every
				if changes {
					again = confirm
				}
				time.AfterFunc(again, l.scan)
			}
		}
		l.mu.Unlock()
	}
	call(missing)
}

// call calls the functions of watches that have fired.
// Preconditions: no lock is held.
func call(fired []*Watch) {
	for _, x := range fired {
		x.fn()
	}
}

// changed reports whether the word is not what it was. A word that cannot be
// read any more (its file was truncated, for instance) has changed: whoever
// waits for it shall see for himself.
// Preconditions: the lock of x's list is held and x is armed, so that the word is
// mapped; the goroutine turns faults into panics.
func (x *Watch) changed() bool { return x.found(nil) }

// overdue reports whether the sleeper should have been woken.
// Preconditions: as for changed.
func (x *Watch) overdue() bool { return x.found(x.due) }

func (x *Watch) found(due func(uint32) bool) (found bool) {
	defer func() {
		if recover() != nil {
			found = true
		}
	}()
	word := x.w.Load()
	return word != x.val && (due == nil || due(word))
}
