package ring

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/shm"
)

// receiver is a [Reader] of bytes; see sender.
type receiver struct {
	port   port.Port
	body   *body
	lane   *lane.Reader
	cursor *layout.Cursor
	follow park.Follower
	fixed  int // length of all records in bytes; -1 if each has its own
}

// receive copies the next record, and releases it: to dst, or, if that is nil, to
// memory of its own, which it returns. It waits only if told so; ok is false if there
// is none.
func (r *receiver) receive(ctx context.Context, wait bool, dst []byte) (own []byte, ok bool, err error) {
	if !r.port.Enter() {
		return nil, false, r.port.Refused("receive from")
	}
	p, ok, err := r.next(ctx, wait)
	if err != nil {
		return nil, false, r.port.Fail("receive from", err)
	}
	if ok {
		if dst == nil {
			own = mem.Clone(p)
		} else {
			mem.Move(dst, p)
		}
		r.lane.Release()
	}
	r.port.Leave()
	return own, ok, nil
}

// receiveBatch fills a batch with copies of what is there, and releases all together.
func (r *receiver) receiveBatch(ctx context.Context, to batch) (got int, err error) {
	if !r.port.Enter() {
		return 0, r.port.Refused("receive from")
	}
	if r.follow.Tight(r.lane.Received()) {
		r.keepOff()
	}
	for got < to.n {
		if to.size > 0 && to.size == r.fixed {
			if got += r.lane.TakeRun(to.values[got*to.size:], to.size); got == to.n {
				break
			}
		}
		p, ok, _ := r.lane.Peek() // an error comes again
		if !ok || r.fixed >= 0 && len(p) != r.fixed {
			if got > 0 {
				break
			}
			if p, _, err = r.next(ctx, true); err != nil {
				return 0, r.port.Fail("receive from", err)
			}
		}
		to.put(got, p)
		r.lane.Skip()
		got++
	}
	if got > 0 {
		r.lane.Release()
	}
	r.port.Leave()
	return got, nil
}

// What step does first.
const (
	stay    = iota
	release // the record that was peeked at
	skip    // that record: it is released with others
)

// step goes on to the next record, and returns it in place. It waits only if told
// so, and returns nil if there is none.
func (r *receiver) step(ctx context.Context, first int, wait bool) (p []byte, err error) {
	if !r.port.Enter() {
		return nil, r.port.Refused("receive from")
	}
	switch first {
	case release:
		r.lane.Release()
	case skip:
		if r.lane.Skip(); r.lane.Owing() || !r.lane.Ready() {
			r.lane.Release()
		}
	}
	p, _, err = r.next(ctx, wait)
	if err != nil {
		return nil, r.port.Fail("receive from", err)
	}
	r.port.Leave()
	return p, nil
}

func (r *receiver) release() error {
	if !r.port.Enter() {
		return r.port.Refused("release to")
	}
	r.lane.Release()
	r.port.Leave()
	return nil
}

// next returns the next record, in place. It waits only if told so; ok is false if
// there is none.
func (r *receiver) next(ctx context.Context, wait bool) (p []byte, ok bool, err error) {
	if wait && r.follow.Tight(r.lane.Received()) {
		r.keepOff()
	}
	for {
		p, ok, err := r.lane.Peek()
		switch {
		case err != nil:
			return nil, false, err
		case ok && (len(p) == r.fixed || r.fixed < 0):
			return p, true, nil
		case ok:
			return nil, false, fmt.Errorf("record of %d bytes at position %d, want %d: %w", len(p), r.lane.Position(), r.fixed, shm.ErrCorrupt)
		case !wait:
			r.lane.Rest(false)
			return nil, false, nil
		}
		if err := r.await(ctx); err != nil {
			return nil, false, err
		}
	}
}

// keepOff lets the writer get ahead if it is close.
func (r *receiver) keepOff() {
	r.follow.KeepOff(r.lane.Received(), layout.RecordSize(r.lane.Length()), r.lane.Control.Messages.Load)
}

// await waits until there is a record, or something that is none.
func (r *receiver) await(ctx context.Context) error {
	if r.follow.Spin(r.lane.Received(), func() bool { return r.lane.Ready() || r.port.Closing() }) && r.lane.Ready() {
		if r.follow.Dense() {
			r.lane.Hurry()
		}
		return nil
	}
	began := time.Now()
	r.lane.Rest(true)
	lost, err := r.port.Sleep(ctx, func() bool { return r.lane.ReadyAsleep() || r.port.Closing() })
	if lost {
		r.port.LostWake(&r.cursor.LostWakes)
	}
	port.AddTime(&r.cursor.Blocked, time.Since(began))
	switch {
	case r.lane.Ready():
		return nil
	case err != nil:
		return err
	}
	return shm.ErrClosed
}

func (r *receiver) close() {
	if !r.port.Shut() {
		return
	}
	r.lane.Rest(true)
	port.GiveBack(r.body.table, &r.cursor.Owner)
}
