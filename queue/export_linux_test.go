package queue

// Sleeping tells at which end somebody sleeps, or is about to.
func (q *Queue[T]) Sleeping() (consumer, producer bool) {
	return q.control.Items.Load()&sleeps != 0, q.control.Space.Load()&sleeps != 0
}

// Waiting tells whether a goroutine of this process is about to sleep, or does.
func (q *Queue[T]) Waiting() bool { return q.users.Load() > 0 }

// TrySettle buries the dead, as looking at an empty queue does.
func (q *Queue[T]) TrySettle() { q.table.SettleAll() }
