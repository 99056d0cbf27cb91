package queue

import (
	"context"
	"runtime"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
)

func eventCount(w *mem.Uint32) *park.EventCount { return (*park.EventCount)(w) }

// place is the queue as a member.Place. Who has died may have taken a wake-up with
// it: both ends look again.
type place layout.Queue

func (p *place) Recheck() {
	eventCount(&p.Items).NotifyAll()
	eventCount(&p.Space).NotifyAll()
}

// sleeps is the bit of an event count that says that somebody sleeps.
const sleeps = 1

// wake wakes one of those who sleep at an event count, for one thing that can be seen.
//
// Who sleeps has set the bit, looked, and found nothing. The bit stays as long as the
// kernel finds somebody to wake: that one is woken after our thing could be seen, and
// looks. If it finds nobody, somebody may be on the way to sleep, and we do as
// [park.EventCount.Notify] does: the word changes, so that one does not sleep.
func (q *Queue[T]) wake(w *mem.Uint32) {
	// Pairs with the compare-and-swap of who goes to sleep: its next look sees what
	// we have done, or this load sees its bit.
	if w.Load()&sleeps != 0 {
		q.rouse(w)
	}
	runtime.KeepAlive(q) // as in count
}

func (q *Queue[T]) rouse(w *mem.Uint32) {
	if park.Wake(w, 1) == 0 {
		eventCount(w).Notify()
	}
	q.row.Wakes.Add(1)
	q.stamp.Store(true)
}

// sleep waits at one of the event counts until ready says true, or ctx is done.
func (q *Queue[T]) sleep(ctx context.Context, w *mem.Uint32, ready func() bool) (lost bool, err error) {
	q.table.Block((*place)(q.control))
	defer q.table.Unblock((*place)(q.control))
	return eventCount(w).Await(ctx, ready)
}

// lostWake counts a sleep over something that was there.
func (q *Queue[T]) lostWake() {
	q.row.LostWakes.Add(1)
	q.table.Head().LostWakes.Add(1)
}

// now is the time as counters and stamps have it.
func now() uint64 { return uint64(time.Now().UnixNano()) }

// stampEvery is how many messages there are for one with a stamp, if nobody sleeps: a
// prime, so that it does not always fall on the same slot.
const stampEvery = 509
