package mem

import "sync/atomic"

// Guard keeps a handle of this process from being used by two goroutines at once,
// and memory from being unmapped under one: who finds it taken does not wait, but
// is told. The zero value is free.
//
// A guard that is used a lot becomes quick, on Linux on x86-64: then it costs plain
// loads and stores, and whoever shuts it pays for all by a [Barrier]. Two goroutines
// who enter a quick guard within some nanoseconds may both get in, as two may who
// write to a Go map; all others are told.
type Guard struct {
	in    atomic.Uint32 // somebody is inside
	shut  atomic.Bool   // nobody gets in any more
	quick atomic.Bool   // set while inside
	done  atomic.Bool   // Shut has reported true
	uses  uint32        // so far, up to quickAfter; changed while inside
}

// quickAfter is how often a guard is entered before it becomes quick.
const quickAfter = 1000

// Enter takes the guard and reports whether it could.
func (g *Guard) Enter() bool {
	if g.quick.Load() {
		return g.enterQuick()
	}
	return g.enterSlow()
}

// Hold is for who is inside for long, and calls it again and again. If somebody else
// has got in at the same moment as we, and has left since, the guard looks free: now
// it is taken again.
func (g *Guard) Hold() {
	if g.in.Load() == 0 {
		g.in.Store(1)
	}
}

func (g *Guard) enterSlow() bool {
	if !g.in.CompareAndSwap(0, 1) {
		return false
	}
	// Pairs with the store in Shut: that one's next load sees that we are inside, or
	// this load that it is shut.
	if g.shut.Load() {
		g.in.Store(0)
		return false
	}
	if g.uses++; g.uses > quickAfter && Fenceless() {
		g.quick.Store(true) // before we look at shut again: pairs with the load in Shut
	}
	return true
}

// Shut makes every later Enter fail. It reports whether it could: not as long as
// somebody is inside, nor twice.
func (g *Guard) Shut() bool {
	g.shut.Store(true)
	if g.quick.Load() {
		// Whoever entered without a fence before this can now be seen inside; who enters
		// after it sees that it is shut.
		Barrier()
	}
	// Pairs with the store in Leave: what was done inside has been done.
	return g.in.Load() == 0 && g.done.CompareAndSwap(false, true)
}

// IsShut reports whether Shut has reported true.
func (g *Guard) IsShut() bool { return g.done.Load() }
