package mem

import "sync/atomic"

// Guard keeps a handle of this process from being used by two goroutines at once,
// and memory from being unmapped under one: who finds it taken does not wait, but
// is told. The zero value is free. On x86-64 Leave is a plain store, for the reason
// given at [Uint64.Release]; so Enter and Leave together cost one locked
// instruction.
type Guard struct{ v atomic.Uint32 }

const (
	guardFree = iota
	guardTaken
	guardShut
)

// Enter takes the guard and reports whether it could.
func (g *Guard) Enter() bool { return g.v.CompareAndSwap(guardFree, guardTaken) }

// Shut makes every later Enter fail. It reports whether it could: not while
// somebody is inside, nor twice.
func (g *Guard) Shut() bool { return g.v.CompareAndSwap(guardFree, guardShut) }

// IsShut reports whether it has been shut.
func (g *Guard) IsShut() bool { return g.v.Load() == guardShut }
