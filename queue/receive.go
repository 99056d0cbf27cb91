package queue

import (
	"context"
	"iter"
	"runtime"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/shm"
)

// Message is a message that this process has received. No other consumer gets it until
// Nack, Close or the end of the process; none will after Ack. The methods may be called
// by any goroutine, one of Ack and Nack once.
type Message[T any] struct {
	// Value is the message where it lies, valid until Ack or Nack. It may be changed:
	// who gets the message next sees that.
	Value *T

	// Deliveries is how often it has been delivered, this time included: more than 1
	// after a Nack, or when a consumer has died.
	Deliveries int

	queue *Queue[T]
	pos   uint64
}

// Receive takes the first message. If there is none it waits, until ctx is done: then
// it returns ctx's error. Otherwise ctx is not looked at.
//
// Cost of Receive and Ack together, with messages there: eight locked instructions.
func (q *Queue[T]) Receive(ctx context.Context) (m Message[T], err error) {
	err = q.receive(ctx, &m)
	return m, q.fail("receive from", err)
}

// receive waits for a message.
func (q *Queue[T]) receive(ctx context.Context, m *Message[T]) error {
	if q.closing() {
		return shm.ErrClosed
	}
	pos, w, ok, err := q.takeSoon()
	if !ok && err == nil {
		pos, w, err = q.awaitMessage(ctx)
	}
	if err != nil {
		return err
	}
	return q.hand(m, pos, w)
}

// takeSoon takes the first message, also if it comes a moment later. While it waits for
// that it does not look at the tail, which whoever sends it is about to raise.
func (q *Queue[T]) takeSoon() (pos, w uint64, ok bool, err error) {
	for range tries {
		if head, nothing := q.nothingYet(); !nothing {
			q.prefetch(head) // else a producer is about to fill those that come next
		} else if !q.spin.receive.Spin(q.messageSoon) {
			break
		}
		if pos, w, ok, err = q.take(q.self); ok || err != nil {
			break
		}
	}
	return pos, w, ok, err
}

// tries is how often others may be faster before a consumer goes to sleep.
const tries = 4

// nothingYet reports whether the slot at the head is one that a producer will use next,
// or uses, so far as that can be seen there.
func (q *Queue[T]) nothingYet() (head uint64, nothing bool) {
	c := q.control
	head = c.Head.Load()
	k := kind(q.slot(head).State.Load())
	return head, (k == layout.QueueFree || k == layout.QueueClaimed) && c.Returned.Load()&1 == 0
}

// TryReceive is Receive that never waits: ok reports whether there was a message.
func (q *Queue[T]) TryReceive() (m Message[T], ok bool, err error) {
	if q.closing() {
		return m, false, q.fail("receive from", shm.ErrClosed)
	}
	pos, w, ok, err := q.take(q.self)
	if !ok && err == nil {
		q.clock.Store(now())
		if q.settle() {
			pos, w, ok, err = q.take(q.self)
		}
	}
	if ok {
		err = q.hand(&m, pos, w)
	}
	return m, ok && err == nil, q.fail("receive from", err)
}

// ReceiveBatch waits for a message, as Receive does, and takes as many as are there, at
// most len(ms). It returns how many: at least one, unless there is an error or ms is
// empty. Other consumers get none of them meanwhile, so take few if each takes long.
func (q *Queue[T]) ReceiveBatch(ctx context.Context, ms []Message[T]) (n int, err error) {
	if len(ms) > 0 {
		if err := q.receive(ctx, &ms[0]); err != nil {
			return 0, q.fail("receive from", err)
		}
		for n = 1; n < len(ms); n++ {
			pos, w, ok, err := q.take(q.self)
			if !ok || err != nil {
				break // an error comes again
			}
			q.prefetch(pos)
			if q.hand(&ms[n], pos, w) != nil {
				break // likewise
			}
		}
	}
	return n, nil
}

// clockEvery is how many messages there are for one look at the clock, while they come
// without a wait.
const clockEvery = 16

// hand makes what has been taken a message for the caller, unless the queue has been
// closed.
func (q *Queue[T]) hand(m *Message[T], pos, w uint64) error {
	s := q.slot(pos)
	if w&layout.QueueStamped != 0 {
		lane.Sample(&q.control.Latency, s.Stamp.Load())
	}
	if n := q.looks.Add(1); n%clockEvery == 0 {
		q.clock.Store(now())
		if n%stampEvery < clockEvery {
			q.settle()
		}
	}
	s.Stamp.Release(q.clock.Load())
	meta := s.Meta.Load()
	n := min(int(uint32(meta)), q.max) // it was right when we took it
	if meta>>32 > 1 {
		q.row.Redelivered.Add(1)
	}
	m.Value = q.payload.InPlace(q.message(pos, n), q.room(pos))
	m.Deliveries, m.queue, m.pos = int(meta>>32), q, pos
	if q.blank() {
		*m = Message[T]{}
		return shm.ErrClosed // it has gone back to the others
	}
	return nil
}

// awaitMessage waits for a message, and takes it.
func (q *Queue[T]) awaitMessage(ctx context.Context) (pos, w uint64, err error) {
	if err := q.enter(); err != nil {
		return 0, 0, err
	}
	defer q.leave()
	ok := false
	ready := func() bool {
		pos, w, ok, err = q.take(q.self)
		return ok || err != nil || q.closing()
	}
	began := time.Now()
	lost, done := q.sleep(ctx, &q.control.Items, ready)
	if lost && ok {
		q.lostWake()
	}
	if done != nil && !ok && err == nil && !ready() {
		err = done
	}
	q.row.ReceiveBlocked.Add(uint64(time.Since(began)))
	t := now()
	q.clock.Store(t)
	q.row.LastReceived.Store(t)
	return pos, w, q.unlessClosed(ok, err)
}

// messageSoon reports whether there is a message where the next one is expected.
func (q *Queue[T]) messageSoon() bool {
	c := q.control
	return kind(q.slot(c.Head.Load()).State.Load()) == layout.QueueReady || c.Returned.Load()&1 != 0 || q.closing()
}

// held reports whether the message is still the caller's.
func (m *Message[T]) held() bool {
	s := m.queue.slot(m.pos)
	return s.State.Load() == taken(m.queue.self) && s.Position.Load() == m.pos && int(s.Meta.Load()>>32) == m.Deliveries
}

// Ack ends the message: no consumer gets it any more, and its slot is free. If it has
// been acknowledged or given back before, the error is ErrNotHeld.
func (m Message[T]) Ack() error {
	q := m.queue
	if !m.ack() {
		return q.fail("acknowledge to", ErrNotHeld)
	}
	q.row.Acked.Add(1)
	runtime.KeepAlive(q) // whose memory goes when nobody knows it any more
	return nil
}

// ack frees the slot, and wakes a producer for it.
func (m *Message[T]) ack() bool {
	if !m.held() || !m.queue.slot(m.pos).State.CompareAndSwap(taken(m.queue.self), free(m.pos+1)) {
		return false
	}
	m.queue.freed()
	return true
}

// AckBatch acknowledges messages of this queue together. It returns how many it has: all,
// or those before one that is not held any more.
func (q *Queue[T]) AckBatch(ms []Message[T]) (n int, err error) {
	for n < len(ms) && err == nil {
		if ms[n].queue != q || !ms[n].ack() {
			err = ErrNotHeld
		} else {
			n++
		}
	}
	if n > 0 {
		q.row.Acked.Add(uint64(n))
	}
	return n, q.fail("acknowledge to", err)
}

// Nack gives the message back: the next consumer that asks gets it, before all that are
// newer, and that may be this one. If it has been acknowledged or given back before, the
// error is ErrNotHeld.
func (m Message[T]) Nack() error {
	q := m.queue
	// Ours alone, whoever else calls.
	returning := taken(q.self) | layout.QueueReturning
	if !m.held() || !q.slot(m.pos).State.CompareAndSwap(taken(q.self), returning) {
		return q.fail("give back to", ErrNotHeld)
	}
	q.giveBack(m.pos, returning)
	q.wake(&q.control.Items)
	q.row.Nacked.Add(1)
	runtime.KeepAlive(q)
	return nil
}

// All returns the messages to come, without an end. After the body of the loop each is
// acknowledged, unless the body has done that, or has called Nack. If the body ends
// otherwise, by break, return, goto or a panic, it is given back: call Ack before if it
// shall not be. An error, that of ctx or shm.ErrClosed for instance, comes with a
// message that is none (its Value is nil) and is the last.
func (q *Queue[T]) All(ctx context.Context) iter.Seq2[Message[T], error] {
	return func(yield func(Message[T], error) bool) {
		for {
			m, err := q.Receive(ctx)
			if err != nil {
				yield(m, err)
				return
			}
			if !q.lendTo(yield, m) {
				return
			}
		}
	}
}

// lendTo runs the body of a loop with a message.
func (q *Queue[T]) lendTo(yield func(Message[T], error) bool, m Message[T]) (goOn bool) {
	defer func() {
		if !goOn {
			m.Nack() // fails if the body has ended it
		}
	}()
	if !yield(m, nil) {
		return false
	}
	m.Ack()
	return true
}
