//go:build !amd64 || race

package mem

// Release stores x so that whoever sees it sees everything that was stored, and
// nobody can see a load done after it that comes before it in the program. Here it
// is Store, which the race detector knows, too.
func (w *Uint64) Release(x uint64) { w.Store(x) }

// enterQuick is enterSlow: no guard is quick here.
func (g *Guard) enterQuick() bool { return g.enterSlow() }

// Leave gives the guard back.
func (g *Guard) Leave() { g.in.Store(0) }
