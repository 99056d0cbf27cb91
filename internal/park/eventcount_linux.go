//go:build linux && (amd64 || arm64)

package park

import (
	"context"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// EventCount is one word of shared memory at which goroutines of any process wait
// for something to be published elsewhere. Zero is a valid start. A pointer to a
// [mem.Uint32] in a shared structure converts to it: (*EventCount)(&s.Word).
//
//	 31                             1   0
//	+--------------------------------+---+
//	| sequence                       | s |   s: somebody sleeps, perhaps
//	+--------------------------------+---+
//
// A waiter reads the word, looks for what it wants, sets the bit, looks again, and
// sleeps as long as the word is what it then was. A waker publishes, reads the
// word, and only if the bit is set moves it to the next sequence number, without
// the bit, and wakes all. So whoever publishes while nobody sleeps pays one load.
//
// Why nothing is missed: the publication and the waiter's setting of the bit are
// sequentially consistent stores, and each is followed by a load of the other's.
// At least one of the two loads sees the other's store: the waiter finds what was
// published, or the waker finds the bit. In the second case the word changes, and
// the kernel compares it with the waiter's value before it lets it sleep. The new
// number is what a waker that merely stored 0 would lack: another waiter's bit,
// set just after the store, would make the word look as if nothing had happened
// (tests/models/eventcount.pml has both).
//
// # Deaths
//
// A process may die after each of its stores:
//
//   - a waiter that has set the bit: the next waker moves the number once for
//     nothing. There is no count of waiters that could be wrong.
//   - a waker that has published: nobody is told. Waiters who sleep look again
//     within 100 ms (direct ones) or 1 s, later 8 s (those of the shared waiter);
//     and the survivor who repairs what the dead one left calls [EventCount.NotifyAll]. Those who come later find it before they sleep.
//   - a waker that has moved the number: those who sleep have a word that has
//     changed. A scan finds it (see the package comment). The bit is clear, so
//     until then later wakers do not wake them either.
//
// Whoever is found so is counted as a lost wake-up.
type EventCount mem.Uint32

// sleepersBit says that somebody sleeps.
const sleepersBit = 1

func (e *EventCount) word() *mem.Uint32 { return (*mem.Uint32)(e) }

// Notify wakes all who wait. The caller has published what they wait for, by an
// operation of package mem or sync/atomic, which are sequentially consistent: a
// plain store may become visible after Notify's load, and then nobody is woken.
// Cost: one load, inlined, if nobody sleeps; else a system call.
func (e *EventCount) Notify() {
	// Pairs with the compare-and-swap in Await: that one's next look sees what our
	// caller published, or this load sees its bit.
	if e.word().Load()&sleepersBit != 0 {
		e.wake()
	}
}

// wake moves the word to the next number and wakes all. If that fails, or the bit
// is not there any more, another waker has moved the number since Notify's load,
// when the publication that we are here for could be seen already: those who slept
// then are that one's to wake, and those who have come since have looked since.
func (e *EventCount) wake() {
	// Pairs with the comparison in the kernel, which does not let a waiter sleep
	// on v after this.
	v := e.word().Load()
	if v&sleepersBit != 0 && e.word().CompareAndSwap(v, v+1) {
		WakeAll(e.word())
	}
}

// NotifyAll moves the number and wakes all, whether or not the word says that
// somebody sleeps. It is for repair after a death: the dead may have moved the
// number and not woken those who slept.
func (e *EventCount) NotifyAll() {
	for {
		v := e.word().Load()
		if e.word().CompareAndSwap(v, (v|sleepersBit)+1) {
			WakeAll(e.word())
			return
		}
	}
}

// Await returns when ready says true, or with ctx's error when that is done
// first. ready looks at shared memory, on this goroutine, and may take what it
// finds. It is called at least once, more often than there are wake-ups, and not
// any more after it has said true.
//
// lost reports that ready found something, or the word had changed, and no
// wake-up came (see the package comment); the caller counts it in the object.
//
// Cost: that of ready, if it says true at once. It does not spin: see [Spinner].
func (e *EventCount) Await(ctx context.Context, ready func() bool) (lost bool, err error) {
	w := e.word()
	for {
		v := w.Load()
		if ready() {
			return lost, nil
		}
		if v&sleepersBit == 0 {
			// Pairs with the load in Notify. The word must be v still: else there
			// was a wake-up after we had read it.
			if !w.CompareAndSwap(v, v|sleepersBit) {
				continue
			}
			v |= sleepersBit
			if ready() {
				return lost, nil
			}
		}
		// If the bit was there when we read the word, we have looked since.
		found := false
		l, err := sleep(ctx, w, v, nil, func() bool { found = ready(); return found })
		lost = lost || l
		if found || err != nil {
			return lost, err
		}
	}
}
