//go:build linux && (amd64 || arm64)

package park

import "time"

// Follower is a [Spinner] for somebody who follows a stream and has seen all of it
// so far.
//
// A reader that is faster than its writer looks at each record as soon as it is
// there, and takes the cache line away from the writer, who is about to write the
// next one beside it: both go in lock-step, at the pace of a cache line that is
// thrown to and fro (measured, records of 64 bytes: 7 to 12 million a second). If it
// lets the writer get ahead for some µs each time it has seen all, then both work on
// lines of their own, and prefetch them (30 to 40 million). But if each record is the
// answer to one of our own, or records are rare, every wait is delay.
//
// The two differ in how long records let us wait, and in how many there are
// afterwards. Who has run dry often, and found the next record after a look or two,
// nearly each time, backs off. If that brings few records it was wrong, and it takes twice
// as many short waits before it is tried again.
//
// One that is about as fast as its writer need not run dry at all: it takes each record
// while the writer fills the next, and waits for the line instead of for the record. So
// who has not run dry for long looks how far the writer is ahead, and if that is but a
// few lines it lets it get further, as long as it goes on.
//
// The zero value is ready for use, by one goroutine at a time.
type Follower struct {
	spinner Spinner
	taken   uint64        // when it last ran dry
	short   uint32        // short waits, less four for each other; 0 when it has backed off
	trust   uint32        // how many it takes to back off
	back    time.Duration // how long it backs off; 0: not at all
	look    uint64        // how much is taken when it looks how far the writer is ahead
}

const (
	shortLooks = 2  // looks in a wait that counts as short, with one more for each record before it
	denseRun   = 16 // records behind a back-off that make it worthwhile
	firstTrust = 16
	lastTrust  = 4096
	firstBack  = 1500 * time.Nanosecond
	lastBack   = 6 * time.Microsecond

	longRun  = 256      // records without running dry, behind which it looks how far the writer is ahead
	tooClose = 4 << 10  // bytes: where processors fetch ahead, and a writer's stores wait to be done
	wellOff  = 16 << 10 // bytes: how far it lets the writer get, where that takes no longer than lastBack
	pace     = time.Microsecond
)

// Spin is [Spinner.Spin] for somebody who has taken so much of the stream in all.
func (f *Follower) Spin(taken uint64, ready func() bool) bool {
	run := taken - f.taken
	f.look = taken + longRun
	f.taken = taken
	if f.back != 0 {
		first := f.short != 0
		if !first && run < denseRun {
			f.distrust()
		} else if f.wait(); ready() {
			if !first {
				f.back = min(2*f.back, lastBack)
				f.trust = firstTrust
			}
			f.short = 0
			return true
		} else if first {
			f.distrust()
		} else {
			// The writer is late, but has been fast.
			f.spinner.budget.Store(int64(maxSpin))
		}
	} else if ready() {
		return true
	}
	looks := f.spinner.spin(ready)
	switch f.trust = max(f.trust, firstTrust); {
	case looks == 0 || f.back != 0:
		f.short, f.back = 0, 0
	case uint64(looks) > shortLooks+run:
		f.short -= min(f.short, 4)
	case f.short < f.trust:
		f.short++
	default:
		f.back = firstBack
	}
	return looks != 0
}

// distrust ends backing off that was not worthwhile.
func (f *Follower) distrust() {
	f.trust = min(2*f.trust, lastTrust)
	f.back, f.short = 0, 0
}

// wait backs off.
func (f *Follower) wait() {
	for left := f.back; left > 0; left -= maxBurst {
		pauseFor(min(left, maxBurst)) // a burst is no preemption point
	}
}

// Dense reports whether records come so densely that backing off pays.
func (f *Follower) Dense() bool { return f.back != 0 }

// Tight reports whether it is time to look how far the writer is ahead, by [Follower.KeepOff].
func (f *Follower) Tight(taken uint64) bool { return taken >= f.look }

// KeepOff lets the writer get ahead, if it is close and fast. sent is how much it has
// written; the last of that took size bytes.
func (f *Follower) KeepOff(taken, size uint64, sent func() uint64) {
	ahead := sent() - taken
	f.look = taken + min(max(ahead, denseRun), 1<<20) // a damaged count is looked at again
	if ahead*size >= tooClose {
		return
	}
	for left := lastBack; left > 0 && ahead*size < wellOff; left -= pace {
		before := ahead
		pauseFor(pace)
		if ahead = sent() - taken; ahead < before+denseRun {
			f.look = taken + longRun // it is slow, or has come to its end
			return
		}
	}
	f.look = taken + ahead
}
