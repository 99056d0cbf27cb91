package topic

// Sleeping tells whether subscribers sleep, or are about to, and in how many lanes
// the publisher does.
func (t *Topic[T]) Sleeping() (subscribers bool, publishers int) {
	for i := range t.lanes {
		publishers += int(t.lanes[i].Control.Space.Load() & 1)
	}
	return t.head.Data.Load()&1 != 0, publishers
}
