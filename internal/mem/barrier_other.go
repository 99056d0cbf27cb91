//go:build !linux || !amd64 || race

package mem

// Fenceless reports whether this process may leave out fences: not here. On arm64
// there is nothing to gain, since its stores and loads with an order (STLR, LDAR)
// keep it without one; the race detector is to see all of them.
func Fenceless() bool { return false }

// CanBarrier reports whether Barrier works here: it does not.
func CanBarrier() bool { return false }

// Barrier does nothing: nobody has left out a fence.
func Barrier() {}
