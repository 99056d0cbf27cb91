package ring

// Sleeping tells at which of the ring's places somebody sleeps, or is about to.
func (r *Ring[T]) Sleeping() (reader, writer bool) {
	return r.lane.Control.Data.Load()&1 != 0, r.lane.Control.Space.Load()&1 != 0
}
