package mem

import (
	"sync/atomic"

	"github.com/seed-247006a4/shoal/internal/crash"
)

// Uint32 is a 32-bit word in shared memory. All its operations are atomic and
// sequentially consistent, as Go's are; every store is followed by a kill point
// of the crash tests, which costs nothing in normal builds.
//
// Other processes may change it at any time: load it once into a local, bound
// the local, use the local.
type Uint32 struct{ v atomic.Uint32 }

// Load returns the word.
func (w *Uint32) Load() uint32 { return w.v.Load() }

// Store sets the word.
func (w *Uint32) Store(x uint32) { w.v.Store(x); crash.Point() }

// Swap sets the word and returns what it was.
func (w *Uint32) Swap(x uint32) uint32 { old := w.v.Swap(x); crash.Point(); return old }

// Add adds d, which may be a negative number in two's complement, and returns
// the sum.
func (w *Uint32) Add(d uint32) uint32 { x := w.v.Add(d); crash.Point(); return x }

// CompareAndSwap sets the word to x if it is old, and reports whether it did.
func (w *Uint32) CompareAndSwap(old, x uint32) bool {
	if !w.v.CompareAndSwap(old, x) {
		return false
	}
	crash.Point()
	return true
}

// Uint64 is a 64-bit word in shared memory; see [Uint32]. It must be aligned to
// 8 bytes, which a Go compiler ensures for its own variables only: [At] checks
// it for shared ones.
type Uint64 struct{ v atomic.Uint64 }

// Load returns the word.
func (w *Uint64) Load() uint64 { return w.v.Load() }

// Store sets the word.
func (w *Uint64) Store(x uint64) { w.v.Store(x); crash.Point() }

// Swap sets the word and returns what it was.
func (w *Uint64) Swap(x uint64) uint64 { old := w.v.Swap(x); crash.Point(); return old }

// Add adds d, which may be a negative number in two's complement, and returns
// the sum.
func (w *Uint64) Add(d uint64) uint64 { x := w.v.Add(d); crash.Point(); return x }

// CompareAndSwap sets the word to x if it is old, and reports whether it did.
func (w *Uint64) CompareAndSwap(old, x uint64) bool {
	if !w.v.CompareAndSwap(old, x) {
		return false
	}
	crash.Point()
	return true
}
