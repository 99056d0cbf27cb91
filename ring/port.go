package ring

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

func eventCount(w *mem.Uint32) *park.EventCount { return (*park.EventCount)(w) }

// port is what Writer and Reader have in common.
type port[T any] struct {
	guard   mem.Guard // taken by whoever is in a method
	closing atomic.Bool
	ring    *Ring[T]
	owner   *mem.Uint64
	event   *park.EventCount // where it sleeps
	spin    park.Spinner
}

// refused is the error for an Enter that failed.
func (p *port[T]) refused(op string) error {
	if p.closing.Load() {
		return fail(op, p.ring.object.Name, shm.ErrClosed)
	}
	return fail(op, p.ring.object.Name, fmt.Errorf("the port serves one goroutine at a time, and another is at work: %w", ErrBusy))
}

// fail leaves the port with an error.
func (p *port[T]) fail(op string, err error) error {
	p.guard.Leave()
	return fail(op, p.ring.object.Name, err)
}

// shut sends away who waits in the port, and lets nobody in any more. It reports
// false if that has happened before.
// Preconditions: the ring's mu is held.
func (p *port[T]) shut() bool {
	p.closing.Store(true)
	for pause := 10 * time.Microsecond; !p.guard.Shut(); pause = min(2*pause, time.Millisecond) {
		if p.guard.IsShut() {
			return false
		}
		p.event.NotifyAll() // it may be just about to sleep
		time.Sleep(pause)
	}
	return true
}

// place is the ring as a member.Place. Who has died may have taken a wake-up with
// it: both ends look again.
type place[T any] Ring[T]

func (p *place[T]) Recheck() {
	eventCount(&p.lane.Control.Data).NotifyAll()
	eventCount(&p.lane.Control.Space).NotifyAll()
}

// sleep waits for what ready looks for; see park.EventCount.Await.
func (p *port[T]) sleep(ctx context.Context, ready func() bool) (lost bool, err error) {
	place := (*place[T])(p.ring)
	p.ring.table.Block(place)
	defer p.ring.table.Unblock(place)
	return p.event.Await(ctx, ready)
}

// lostWake counts a sleep over something that was there.
func (p *port[T]) lostWake() { p.ring.table.Head().LostWakes.Add(1) }

// add adds to a counter that only its port's owner changes.
func add(counter *mem.Uint64, d time.Duration) { counter.Release(counter.Load() + uint64(d)) }
