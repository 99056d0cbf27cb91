package queue

import "github.com/seed-247006a4/shoal/internal/layout"

// Sleeping tells at which end somebody sleeps, or is about to.
func (q *Queue[T]) Sleeping() (consumer, producer bool) {
	return q.control.Items.Load()&sleeps != 0, q.control.Space.Load()&sleeps != 0
}

// Waiting tells whether a goroutine of this process is about to sleep, or does.
func (q *Queue[T]) Waiting() bool { return q.users.Load() > 0 }

// TrySettle buries the dead, as looking at an empty queue does.
func (q *Queue[T]) TrySettle() { q.table.SettleAll() }

// Blank does what Close does to operations that are under way.
func (q *Queue[T]) Blank() error { return q.alias.Blank() }

// ReceiveBlank is TryReceive with Blank in the middle.
func (q *Queue[T]) ReceiveBlank() error {
	pos, w, _, err := q.take(q.self)
	if err == nil {
		err = q.Blank()
	}
	if err == nil {
		err = q.hand(new(Message[T]), pos, w)
	}
	return err
}

// AckBlank is Ack with Blank in the middle.
func (m Message[T]) AckBlank() error {
	m.queue.slot(m.pos).State.CompareAndSwap(taken(m.queue.self), free(m.pos+1))
	return m.queue.Blank()
}

// SendBlank is Send of a message that a consumer goes past, with Blank in the middle.
func (q *Queue[T]) SendBlank() (pos uint64, err error) {
	pos, _, err = q.claim(q.self, near)
	if err == nil {
		q.slot(pos).State.Store(claimed(q.self) | layout.QueuePassed)
		q.mark(pos)
		err = q.Blank()
	}
	if err == nil {
		err = q.put(pos, 0)
	}
	return pos, err
}

// Marked tells whether a slot has a mark.
func (q *Queue[T]) Marked(pos uint64) bool { return q.marked(pos) }
