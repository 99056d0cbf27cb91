// Package port is what the ends of rings, topics and queues have in common: one
// goroutine at a time, sleeping until something happens, being closed under whoever
// sleeps, and words that belong to a member of the object until it leaves or dies.
package port

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// Errors that rings, topics and queues have in common.
var (
	// ErrBusy: it belongs to a live process, or is in use by another goroutine, or has
	// a loan that is still open.
	ErrBusy = errors.New("in use")

	// ErrTooLarge: a record is longer than the object allows.
	ErrTooLarge = errors.New("record is too large")
)

// Fail wraps err, unless it is nil, for an operation on an object.
func Fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	if e, ok := err.(*shm.Error); ok {
		return e
	}
	e := &shm.Error{Op: op, Object: name, Err: err}
	if errors.Is(err, ErrTooLarge) {
		e.Advice = "make it with a larger size"
	}
	return e
}

// Port is one end of an object in this process. Its methods are called between
// Enter and Leave, unless they say otherwise.
type Port struct {
	guard   mem.Guard // taken by whoever is in a method
	closing atomic.Bool
	object  *object.Object
	table   *member.Table
	place   member.Place
	event   *park.EventCount // where it sleeps
	spin    park.Spinner
}

// Init says whose end it is, and where it sleeps. After each death place.Recheck
// must call NotifyAll there.
func (p *Port) Init(o *object.Object, t *member.Table, place member.Place, event *park.EventCount) {
	p.object, p.table, p.place, p.event = o, t, place, event
}

// Enter begins an operation. If it reports false there is none: return Refused.
func (p *Port) Enter() bool { return p.guard.Enter() }

// Leave ends an operation.
func (p *Port) Leave() { p.guard.Leave() }

// Refused is the error for an Enter that failed.
func (p *Port) Refused(op string) error {
	if p.closing.Load() {
		return Fail(op, p.object.Name, shm.ErrClosed)
	}
	return Fail(op, p.object.Name, fmt.Errorf("the port serves one goroutine at a time, and another is at work: %w", ErrBusy))
}

// Fail leaves the port with an error.
func (p *Port) Fail(op string, err error) error {
	p.guard.Leave()
	return Fail(op, p.object.Name, err)
}

// Closing reports whether somebody wants to close the port: who waits gives up. It is
// asked at each look of who waits, so that is where it holds the port.
func (p *Port) Closing() bool {
	p.guard.Hold()
	return p.closing.Load()
}

// Spin looks for a while until ready says true; see [park.Spinner].
func (p *Port) Spin(ready func() bool) bool { return p.spin.Spin(ready) }

// Sleep waits for what ready looks for, until ctx is done or the port is closed; see
// [park.EventCount.Await]. Lost wake-ups are counted in the object; the caller counts
// them at the port.
func (p *Port) Sleep(ctx context.Context, ready func() bool) (lost bool, err error) {
	p.table.Block(p.place)
	defer p.table.Unblock(p.place)
	return p.event.Await(ctx, ready)
}

// LostWake counts a sleep over something that was there, in the object and in the
// port's own counter, which only its owner changes.
func (p *Port) LostWake(counter *mem.Uint64) {
	p.table.Head().LostWakes.Add(1)
	counter.Release(counter.Load() + 1)
}

// Shut sends away who waits in the port, and lets nobody in any more: afterwards
// the caller is the only one inside, and need not leave. It reports false if that has
// happened before. It is called outside.
func (p *Port) Shut() bool {
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

// AddTime adds to a counter that only its port's owner changes.
func AddTime(counter *mem.Uint64, d time.Duration) { counter.Release(counter.Load() + uint64(d)) }
