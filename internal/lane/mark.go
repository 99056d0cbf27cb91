package lane

import (
	"fmt"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/shm"
)

// Mark is where the record of a number begins, or will begin.
type Mark struct{ Position, Number uint64 }

// LastMark returns the last mark. It is whole: its place is written again only when
// all others have been, and then we look again.
func (l *Lane) LastMark() (Mark, error) {
	for {
		k := l.Control.Marked.Load() // pairs with the store in Writer.Publish
		m, ok, err := l.mark(k)
		if ok || err != nil {
			return m, err
		}
	}
}

// FirstMark returns the oldest mark from which the lane can be read: behind the
// first byte that has not been claimed for overwriting. Who reads on from there
// looks at the claim again.
func (l *Lane) FirstMark() (Mark, error) {
	for {
		last := l.Control.Marked.Load()
		for k := last - min(last, layout.Marks-2); ; k++ {
			m, ok, err := l.mark(k)
			if err != nil {
				return Mark{}, err
			}
			if !ok {
				break // overtaken: begin again
			}
			if l.Intact(m.Position) {
				return m, nil
			}
			if k != last {
				continue
			}
			// A writer claims no more than a lane's size behind its last mark, so there
			// is a newer one.
			if l.Control.Marked.Load() == last {
				return Mark{}, l.overclaimed(m)
			}
			break
		}
	}
}

// overclaimed is the error for a claim that no writer makes, whose last mark is m.
func (l *Lane) overclaimed(m Mark) error {
	return fmt.Errorf("claimed %d, more than %d bytes behind its last mark %d: %w", l.Control.Claim.Load(), l.Data.Size(), m.Position, shm.ErrCorrupt)
}

// mark reads mark k; ok is false if it may be changing.
// Preconditions: k was at most the number of the last one, and more than that of the
// last one less 15.
func (l *Lane) mark(k uint64) (m Mark, ok bool, err error) {
	at := &l.Control.Marks[k%layout.Marks]
	m = Mark{at.Position.Load(), at.Number.Load()}
	if l.Control.Marked.Load()-k > layout.Marks-2 { // pairs with the store in Writer.Publish: m was whole
		return Mark{}, false, nil
	}
	if m.Position%8 != 0 {
		return Mark{}, false, fmt.Errorf("mark %d at position %d, which is not a multiple of 8: %w", k, m.Position, shm.ErrCorrupt)
	}
	return m, true, nil
}

// Intact reports whether nothing from a position on has been claimed for
// overwriting. Asked after something was read, it says that it was read whole, if
// the reads cannot be seen later than the question: see mem.LoadFence.
func (l *Lane) Intact(pos uint64) bool {
	// Pairs with the store in Writer.Open, which comes before the overwriting.
	return l.Control.Claim.Load() <= pos+l.Data.Size()
}
