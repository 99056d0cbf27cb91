package lane

import (
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
)

// few is how many sleepers a writer wakes itself that has been told of a rest: more
// than one, so that the others do not depend on one process that may be stopped.
const few = 8

// WakeFew has the writer wake only a few of those who sleep, so that a thousand cost
// it what eight do. These wake the others: who sleeps at the event count calls
// WakeRest each time it looks.
//
// rest is the number of the event count for which that is still to be done, with
// bit 0 set; 0 if there is none. It is stored when the number has moved: then all who
// slept on the old one are in the kernel's queue, and a later WakeAll finds them. If
// the writer dies before, or all of the few do, everybody is woken as after any death.
func (w *Writer) WakeFew(rest *mem.Uint32) { w.rest = rest }

// notify wakes those who sleep at the event count.
func (w *Writer) notify() {
	if w.rest == nil {
		(*park.EventCount)(w.data).Notify()
		return
	}
	// As EventCount.Notify, whose compare-and-swap this is.
	v := w.data.Load()
	if v&sleeps == 0 || !w.data.CompareAndSwap(v, v+1) {
		return
	}
	w.rest.Store(v) // v has bit 0
	if park.Wake(w.data, few) < few {
		w.rest.CompareAndSwap(v, 0) // that was everybody
	}
}

// WakeRest wakes all who sleep at an event count if only a few have been woken, and
// reports whether it has. It is cheap if there is nobody to wake: one load.
func WakeRest(data, rest *mem.Uint32) bool {
	// Pairs with the store in notify. Of several who find the same number each wakes
	// all: any of them may be stopped, and nobody waits for another.
	n := rest.Load()
	return n != 0 && wakeRest(data, rest, n)
}

func wakeRest(data, rest *mem.Uint32, n uint32) bool {
	park.WakeAll(data)
	// After the wake-up: who dies between the two has done it. A newer number stays.
	rest.CompareAndSwap(n, 0)
	return true
}
