package topic

import (
	"context"
	"iter"
	"sync"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

// Observer looks at a topic that it has mapped read-only: nobody can tell that it is
// there. Its methods may be called by any goroutine.
type Observer struct {
	c   *control
	typ *schema.Schema

	mu     sync.Mutex
	closed bool
	views  sync.WaitGroup // loops that read
	gone   chan struct{}  // closed by Close
}

// Message is a record as an [Observer] sees it.
type Message struct {
	Info
	// Data is a copy of the record, valid until the next iteration.
	Data []byte
	// Sent is when it was sent, if it was sampled; else the zero time.
	Sent time.Time
}

// Observe opens a topic of any type, to look at. Permission to read will do.
func Observe(name string) (*Observer, error) {
	obj, err := object.Open(name, object.Spec{Kind: layout.KindTopic, Shm: shm.Options{ReadOnly: true}})
	if err != nil {
		return nil, err
	}
	o := &Observer{gone: make(chan struct{})}
	if o.c, err = find(obj); err == nil {
		o.typ, err = obj.Schema()
	}
	if err != nil {
		obj.Segment.Close()
		return nil, port.Fail("observe", obj.Name, err)
	}
	return o, nil
}

// Name returns the name that the topic was opened by.
func (o *Observer) Name() string { return o.c.object.Name }

// Schema returns the type of the records, as the topic describes it itself. There is no
// error but that of a description that cannot be read, which Observe has looked for.
func (o *Observer) Schema() (*schema.Schema, error) { return o.typ, nil }

// MaxRecord returns the length of the longest record in bytes.
func (o *Observer) MaxRecord() int { return lane.MaxRecord(o.c.laneSize) }

// Stats returns the state and counters; see [Topic.Stats].
func (o *Observer) Stats() Stats {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return Stats{}
	}
	return o.c.stats()
}

// Check looks for damage; see [Topic.Check].
func (o *Observer) Check() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return port.Fail("check", o.c.object.Name, shm.ErrClosed)
	}
	return port.Fail("check", o.c.object.Name, o.c.check())
}

// Close ends the loops of All, waits for them, and ends the use of the topic. It must
// not be called in such a loop. Closing again does nothing.
func (o *Observer) Close() error {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return nil
	}
	o.closed = true
	close(o.gone)
	o.mu.Unlock()
	o.views.Wait()
	return o.c.object.Segment.Close()
}

// An observer cannot sleep where it would be woken, since it writes nothing: it looks
// again after a pause, which grows while nothing comes.
const (
	minPause = 20 * time.Microsecond
	maxPause = 2 * time.Millisecond
)

// All returns the records to come, without an end, those of each publisher in their
// order. It never holds anybody up: when records were overwritten before it could read
// them a [MissedError] comes in between, with a zero Message. Any other error is the
// last.
//
// Cost: while nothing comes, a look at each lane every 2 ms.
func (o *Observer) All(ctx context.Context, from From) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		fail := func(err error) { yield(Message{}, port.Fail("observe", o.c.object.Name, err)) }
		o.mu.Lock()
		if o.closed {
			o.mu.Unlock()
			fail(shm.ErrClosed)
			return
		}
		o.views.Add(1)
		o.mu.Unlock()
		defer o.views.Done()
		all, err := o.follow(from)
		if err != nil {
			fail(err)
			return
		}
		for pause := minPause; ; {
			if err := o.ended(ctx); err != nil {
				fail(err)
				return
			}
			found, more := o.round(all, yield)
			if !more {
				return
			}
			if found {
				pause = minPause
				continue
			}
			select {
			case <-ctx.Done():
			case <-o.gone:
			case <-time.After(pause):
			}
			pause = min(pause*5/4, maxPause)
		}
	}
}

// ended says why there is nothing more to look for, however much there is.
func (o *Observer) ended(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-o.gone:
		return shm.ErrClosed
	default:
		return nil
	}
}

// follow begins to read all lanes.
func (o *Observer) follow(from From) (all []*lane.Follower, err error) {
	for i := range o.c.lanes {
		at, err := o.c.lanes[i].Begin(from == Oldest)
		if err != nil {
			return nil, err
		}
		all = append(all, lane.NewFollower(o.c.lanes[i], at))
	}
	return all, nil
}

// round reads some records of each lane. more is false when the loop has come to its
// end.
func (o *Observer) round(all []*lane.Follower, yield func(Message, error) bool) (found, more bool) {
	for i := range o.c.usedLanes() {
		f := all[i]
		for range burst {
			p, missed, ok, err := f.Peek()
			switch {
			case err != nil:
				yield(Message{}, port.Fail("observe", o.c.object.Name, err))
				return true, false
			case missed != 0:
				more = yield(Message{}, port.Fail("observe", o.c.object.Name, &MissedError{Publisher: i, Count: missed}))
			case ok:
				m := Message{Info: Info{Publisher: i, Number: f.At().Number}, Data: p, Sent: instant(f.Stamp())}
				more = yield(m, nil)
				f.Skip()
			}
			if missed == 0 && !ok {
				break
			}
			if found = true; !more {
				return true, false
			}
			select {
			case <-o.gone:
				yield(Message{}, port.Fail("observe", o.c.object.Name, shm.ErrClosed))
				return true, false
			default:
			}
		}
	}
	return found, true
}
