package queue

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/shm"
)

// Send copies v into the queue. If all slots are in use it waits until one is free,
// or ctx is done: then it returns ctx's error, and nothing has been sent. Otherwise
// ctx is not looked at.
//
// Cost, with room: six locked instructions and the copy.
func (q *Queue[T]) Send(ctx context.Context, v T) error {
	return q.fail("send to", q.send(ctx, q.payload.Bytes(&v)))
}

func (q *Queue[T]) send(ctx context.Context, p []byte) error {
	pos, err := q.reserve(ctx, len(p))
	if err != nil {
		return err
	}
	mem.Copy(q.message(pos, len(p)), p)
	if err := q.put(pos, len(p)); err != nil {
		return err
	}
	q.count(1, len(p))
	return nil
}

// TrySend is Send that never waits: it reports whether there was room. The places of
// loans, and of others' sends that are under way, count as taken.
func (q *Queue[T]) TrySend(v T) (bool, error) {
	p := q.payload.Bytes(&v)
	pos, ok, err := q.tryReserve(len(p))
	if !ok || err != nil {
		return false, q.fail("send to", err)
	}
	mem.Copy(q.message(pos, len(p)), p)
	if err := q.put(pos, len(p)); err != nil {
		return false, q.fail("send to", err)
	}
	q.count(1, len(p))
	return true, nil
}

// SendBatch sends all of vs, in order. Consumers see them one after the other; what
// else there is to do is done for all at once. It returns how many were sent; fewer
// than all only with an error: that of ctx, which ended a wait for room, or
// ErrTooLarge.
func (q *Queue[T]) SendBatch(ctx context.Context, vs []T) (sent int, err error) {
	bytes := 0
	for i := range vs {
		p := q.payload.Bytes(&vs[i])
		var pos uint64
		if pos, err = q.reserve(ctx, len(p)); err == nil {
			mem.Copy(q.message(pos, len(p)), p)
			err = q.put(pos, len(p))
		}
		if err != nil {
			break
		}
		sent, bytes = i+1, bytes+len(p)
	}
	if sent > 0 {
		q.count(sent, bytes)
	}
	return sent, q.fail("send to", err)
}

// fits reports a message that is too long.
func (q *Queue[T]) fits(n int) error {
	if n > q.max {
		return fmt.Errorf("%d bytes, messages here have at most %d: %w", n, q.max, ErrTooLarge)
	}
	if q.length >= 0 && n != q.length {
		return fmt.Errorf("%d bytes, messages here have %d: %w", n, q.length, shm.ErrTypeMismatch)
	}
	return nil
}

// reserve claims a slot for a message of n bytes; it waits until there is one.
func (q *Queue[T]) reserve(ctx context.Context, n int) (pos uint64, err error) {
	if err := q.fits(n); err != nil {
		return 0, err
	}
	if q.closing() {
		return 0, shm.ErrClosed
	}
	pos, ok, err := q.claim(q.self, near)
	if !ok && err == nil {
		pos, err = q.await(ctx)
	}
	if err == nil && q.blank() {
		err = shm.ErrClosed // what we have claimed is nothing
	}
	return pos, err
}

// await waits for a free slot, and claims it.
func (q *Queue[T]) await(ctx context.Context) (pos uint64, err error) {
	if err := q.enter(); err != nil {
		return 0, err
	}
	defer q.leave()
	q.wasFull()
	began := time.Now()
	ok := false
	// A look at all slots costs as much as a short wait, so the wait comes first.
	if q.spin.send.Spin(q.roomSoon) {
		pos, ok, err = q.claim(q.self, near)
	}
	if !ok && err == nil {
		ready := func() bool {
			pos, ok, err = q.claimAny(q.self)
			return ok || err != nil || q.closing()
		}
		lost, done := q.sleep(ctx, &q.control.Space, ready)
		if lost && ok {
			q.lostWake()
		}
		if done != nil && !ok && err == nil && !ready() {
			err = done
		}
	}
	q.row.SendBlocked.Add(uint64(time.Since(began)))
	return pos, q.unlessClosed(ok, err)
}

// roomSoon reports whether some slots are free, where they most likely will be first.
// With one at a time, consumer and producer would hinder each other at each.
func (q *Queue[T]) roomSoon() bool {
	some := min(q.mask/8, 64)
	return kind(q.slot(q.control.Tail.Load()+some).State.Load()) == layout.QueueFree || q.closing()
}

// unlessClosed is the outcome of a wait.
func (q *Queue[T]) unlessClosed(ok bool, err error) error {
	if !ok && err == nil {
		return shm.ErrClosed
	}
	return err
}

// fullLooks is how many looks at a full queue there are for one at all slots: whoever
// has given one back may have been stopped before it could say so.
const fullLooks = 64

// tryReserve is reserve that never waits.
func (q *Queue[T]) tryReserve(n int) (pos uint64, ok bool, err error) {
	if err := q.fits(n); err != nil {
		return 0, false, err
	}
	if q.closing() {
		return 0, false, shm.ErrClosed
	}
	if pos, ok, err = q.claim(q.self, near); !ok && err == nil {
		pos, ok, err = q.tryAny()
	}
	if err == nil && q.blank() {
		ok, err = false, shm.ErrClosed // what we have claimed, or not, is nothing
	}
	return pos, ok, err
}

// tryAny looks for a free slot where it is not expected.
func (q *Queue[T]) tryAny() (pos uint64, ok bool, err error) {
	if !q.full() || q.looks.Add(1)%fullLooks == 0 {
		pos, ok, err = q.claimAny(q.self)
	}
	if !ok && err == nil && q.settle() {
		pos, ok, err = q.claimAny(q.self)
	}
	if !ok && err == nil {
		q.wasFull()
	}
	return pos, ok, err
}

func (q *Queue[T]) wasFull() {
	q.row.Full.Add(1)
	raise(&q.control.HighWater, uint64(q.slots.Len()))
}

// put publishes what has been claimed and filled, and wakes a consumer for it.
func (q *Queue[T]) put(pos uint64, n int) error {
	flags := uint64(0)
	if pos%stampEvery == 0 || q.stamp.Load() {
		q.sample(pos)
		flags = layout.QueueStamped
	}
	if err := q.publish(q.self, pos, n, flags); err != nil {
		return err
	}
	q.wake(&q.control.Items)
	return nil
}

// sample stamps a message that is about to be published, and does what need not be
// done for each.
func (q *Queue[T]) sample(pos uint64) {
	q.stamp.Store(false)
	t := now()
	q.slot(pos).Stamp.Release(t)
	q.row.LastSent.Store(t)
	c := q.control
	head := c.Head.Load()
	if used := min(pos+1-min(head, pos), q.mask+1); used > c.HighWater.Load() {
		raise(&c.HighWater, used)
	}
	q.settle()
}

// count counts n messages.
func (q *Queue[T]) count(n, bytes int) {
	q.row.Sent.Add(uint64(n))
	if q.length < 0 {
		q.row.SentBytes.Add(uint64(bytes))
	}
	runtime.KeepAlive(q) // whose memory goes when nobody knows it any more
}

// Loan is a slot for one message, to be filled where it lies. Nobody sees it before
// Commit; if the process dies first, nothing has been sent. Any number may be open.
type Loan[T any] struct {
	// Value is the message, with whatever bytes stood there before. If T is []byte it
	// points to a slice of the length that was asked for, which may be made shorter
	// (*l.Value = (*l.Value)[:n]) before Commit.
	Value *T

	queue *Queue[T]
	pos   uint64
}

// Loan lends a slot for a message, which it waits for as Send does. If T is []byte,
// use LoanBytes.
func (q *Queue[T]) Loan(ctx context.Context) (Loan[T], error) {
	if q.payload.Untyped() {
		return Loan[T]{}, port.Fail("lend from", q.object.Name, fmt.Errorf("a []byte has no length of its own: use LoanBytes"))
	}
	return q.lend(ctx, q.length)
}

// LoanBytes is Loan for messages of []byte: n bytes.
func (q *Queue[T]) LoanBytes(ctx context.Context, n int) (Loan[T], error) {
	if !q.payload.Untyped() || n < 0 {
		return Loan[T]{}, port.Fail("lend from", q.object.Name, fmt.Errorf("%d bytes, in a queue of %T: use Loan", n, *new(T)))
	}
	return q.lend(ctx, n)
}

func (q *Queue[T]) lend(ctx context.Context, n int) (Loan[T], error) {
	pos, err := q.reserve(ctx, n)
	if err != nil {
		return Loan[T]{}, q.fail("lend from", err)
	}
	return Loan[T]{Value: q.payload.InPlace(q.message(pos, n), q.room(pos)), queue: q, pos: pos}, nil
}

// room is where the slice in a slot stands, if T is []byte.
func (q *Queue[T]) room(pos uint64) *T {
	if q.places == nil {
		return nil
	}
	return &q.places[pos&q.mask]
}

// open reports whether the loan is open.
func (l *Loan[T]) open() bool {
	s := l.queue.slot(l.pos)
	w := s.State.Load()
	return ownedBy(w, l.queue.self) && kind(w) == layout.QueueClaimed && s.Position.Load() == l.pos
}

// Commit sends the message. Afterwards, or after Cancel, the error is ErrNotHeld.
func (l Loan[T]) Commit() error {
	q := l.queue
	if !l.open() {
		return q.fail("commit to", ErrNotHeld)
	}
	n := q.length
	if q.payload.Untyped() {
		n = len(q.payload.Bytes(q.room(l.pos)))
	}
	if err := q.fits(n); err != nil {
		return q.fail("commit to", err)
	}
	if err := q.put(l.pos, n); err != nil {
		return q.fail("commit to", err)
	}
	q.count(1, n)
	return nil
}

// Cancel gives the slot back; nothing has been sent. After Commit it does nothing
// but return ErrNotHeld, so it may be deferred.
func (l Loan[T]) Cancel() error {
	q := l.queue
	s := q.slot(l.pos)
	for w := s.State.Load(); l.open(); w = s.State.Load() {
		if s.State.CompareAndSwap(w, free(l.pos+1)) { // else a consumer has passed it
			q.freed()
			return nil
		}
	}
	return q.fail("cancel a loan from", ErrNotHeld)
}

// freed tells producers of a free slot.
func (q *Queue[T]) freed() {
	if q.control.Full.Load()&(fullLooking|fullAll) != 0 {
		q.reopen()
	}
	q.wake(&q.control.Space)
}
