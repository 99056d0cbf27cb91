package shm

import "sync/atomic"

// borrows counts the users of a segment's views and lets Close wait for them.
//
// state is count<<1 | closing. A borrower adds 2 unless closing is set; whoever
// brings it to exactly 1 (closing, nobody left) wakes the closer. All operations
// are sequentially consistent, so a borrower either sees closing and backs off,
// or is counted before Close looks.
type borrows struct {
	state atomic.Int64
	idle  chan struct{} // closed when the last borrower has left a closing segment
}

const (
	closing   = 1
	oneBorrow = 2
)

// acquire reports whether a view may be used; release must follow.
func (b *borrows) acquire() bool {
	for {
		s := b.state.Load()
		if s&closing != 0 {
			return false
		}
		if b.state.CompareAndSwap(s, s+oneBorrow) {
			return true
		}
	}
}

func (b *borrows) release() {
	switch s := b.state.Add(-oneBorrow); {
	case s == closing:
		close(b.idle)
	case s < 0:
		panic("shm: view released twice")
	}
}

// close forbids new borrowers and waits until the old ones have left. It is
// called once.
func (b *borrows) close() {
	if b.state.CompareAndSwap(0, closing) {
		return
	}
	b.idle = make(chan struct{}) // seen by whoever sees closing
	if b.state.Or(closing) != 0 {
		<-b.idle
	}
}
