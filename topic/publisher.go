package topic

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/shm"
)

// Publisher sends to a topic. It serves one goroutine at a time; see the package
// comment.
type Publisher[T any] struct {
	port    port.Port
	topic   *Topic[T]
	number  int
	lane    *lane.Writer
	cursors []layout.Cursor // of all subscribers, in its lane
	limit   int             // of a record
	payload port.Payload[T]

	gate, joins uint64 // see look

	lent  bool   // a loan is open
	loan  []byte // its place
	run   int    // for how many records it is, if it is a reservation
	value T      // the slice in it, if T is []byte
}

// Number is that of the publisher's lane, from 0: what [Info] calls it.
func (p *Publisher[T]) Number() int { return p.number }

// enter begins an operation.
func (p *Publisher[T]) enter(op string) error {
	if !p.port.Enter() {
		return p.port.Refused(op)
	}
	if p.lent {
		return p.port.Fail(op, fmt.Errorf("a loan is open: commit or cancel it first: %w", ErrBusy))
	}
	return nil
}

// fits reports whether n bytes can be a record.
func (p *Publisher[T]) fits(n int) bool {
	return n <= p.limit && (p.payload.Length < 0 || n == p.payload.Length)
}

// misfit is the error for a record that does not fit.
func (p *Publisher[T]) misfit(n int) error {
	if n > p.limit {
		return p.port.Fail("send to", fmt.Errorf("%d bytes, records here have at most %d: %w", n, p.limit, ErrTooLarge))
	}
	return p.port.Fail("send to", fmt.Errorf("%d bytes, records here have %d: %w", n, p.payload.Length, syscall.EINVAL))
}

// Send copies v into the topic. If a reliable subscriber leaves no room it does what
// the topic's policy says: it waits until ctx is done, and then returns ctx's error; or
// it returns ErrFull. In both cases nothing has been sent. Otherwise ctx is not looked
// at.
//
// Cost, with room: two locked instructions and the copy.
func (p *Publisher[T]) Send(ctx context.Context, v T) error {
	return p.send(ctx, p.payload.Bytes(&v))
}

func (p *Publisher[T]) send(ctx context.Context, b []byte) error {
	if err := p.enter("send to"); err != nil {
		return err
	}
	if !p.fits(len(b)) {
		return p.misfit(len(b))
	}
	if !p.lane.Send(b) {
		if err := p.await(ctx, len(b)); err != nil {
			return p.port.Fail("send to", err)
		}
		p.lane.Send(b)
	}
	p.port.Leave()
	return nil
}

// TrySend is Send that never waits: it reports whether there was room.
func (p *Publisher[T]) TrySend(v T) (bool, error) {
	if err := p.enter("send to"); err != nil {
		return false, err
	}
	b := p.payload.Bytes(&v)
	if !p.fits(len(b)) {
		return false, p.misfit(len(b))
	}
	if !p.lane.Send(b) {
		room, err := p.look(p.lane.Needs(len(b)))
		if err != nil {
			return false, p.port.Fail("send to", err)
		}
		if !room {
			p.full()
			p.port.Leave()
			return false, nil
		}
		p.lane.Send(b)
	}
	p.port.Leave()
	return true, nil
}

// SendBatch sends all of vs, in order. One synchronisation serves many records:
// they are committed together, up to an eighth of the lane at a time. It returns how
// many were sent; fewer than all only with an error, as Send returns it.
//
// A batch of one is Send by reference: of a T of more than a few words, just filled,
// the copy that Go makes for a call by value takes longer than the rest of Send.
func (p *Publisher[T]) SendBatch(ctx context.Context, vs []T) (sent int, err error) {
	if len(vs) == 1 {
		if err := p.send(ctx, p.payload.Bytes(&vs[0])); err != nil {
			return 0, err
		}
		return 1, nil
	}
	if err := p.enter("send to"); err != nil {
		return 0, err
	}
	eighth, size := p.topic.laneSize/8, p.payload.Size()
	for i := 0; i < len(vs); i++ {
		b := p.payload.Bytes(&vs[i])
		if !p.fits(len(b)) {
			p.lane.Commit()
			return i, p.misfit(len(b))
		}
		if !p.lane.Append(b) {
			p.lane.Commit() // subscribers must see it to make room
			sent = i
			if err := p.await(ctx, len(b)); err != nil {
				return sent, p.port.Fail("send to", err)
			}
			p.lane.Append(b)
		}
		if size > 0 {
			i += p.lane.AppendRun(p.payload.All(vs[i+1:]), size, eighth)
		}
		if p.lane.Run() >= eighth {
			p.lane.Commit()
		}
	}
	p.lane.Commit()
	p.port.Leave()
	return len(vs), nil
}

func (p *Publisher[T]) full() {
	p.lane.Control.Full.Release(p.lane.Control.Full.Load() + 1)
}

// await waits for room for n bytes.
// Preconditions: no run is open.
func (p *Publisher[T]) await(ctx context.Context, n int) (err error) {
	need := p.lane.Needs(n)
	room, err := p.look(need)
	if !room && err == nil {
		p.full()
		if p.topic.policy == Refuse {
			return ErrFull
		}
		began := time.Now()
		err = p.sleep(ctx, need)
		port.AddTime(&p.lane.Control.Blocked, time.Since(began))
	}
	return err
}

// sleep waits until the publisher may go on up to need.
func (p *Publisher[T]) sleep(ctx context.Context, need uint64) (err error) {
	room, want := false, max(need, p.lane.Committed()+p.topic.laneSize/8)
	ready := func() bool {
		if room, err = p.look(want); room || err != nil {
			return true
		}
		return p.port.Closing()
	}
	// As long as it spins it wants an eighth of the lane: who goes on when there is room
	// for one record soon waits again, and looks at the cursors while they are written.
	if !p.port.Spin(ready) {
		want = need
		lost, done := p.port.Sleep(ctx, ready)
		// Subscribers tell of room when an eighth is free, and not before.
		if lost && room && p.gate >= p.lane.Committed()+p.topic.laneSize/8 {
			p.port.LostWake(&p.lane.Control.LostWakes)
		}
		if done != nil && !ready() {
			err = done
		}
	}
	if err == nil && !room {
		return shm.ErrClosed
	}
	return err
}

// Close gives the lane back: another publisher may take it. Who waits in Send returns
// with shm.ErrClosed. An open loan is cancelled, and must not be touched any more.
// Closing again does nothing.
func (p *Publisher[T]) Close() error {
	p.topic.leave(p)
	return nil
}

func (p *Publisher[T]) close() {
	if !p.port.Shut() {
		return
	}
	p.lane.Cancel()
	p.lane.Publish()
	port.GiveBack(p.topic.table, &p.lane.Control.Owner)
}
