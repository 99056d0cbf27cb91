package lane

import (
	"cmp"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/shm"
)

// Follower reads a lane that need not wait for it. It copies each record, and then
// looks whether that has been overwritten meanwhile; if so it goes on with a newer
// one, and knows how many it has missed. It stores nothing, and is not safe for
// concurrent use.
type Follower struct {
	Lane
	at   Mark   // of the next record
	next uint64 // behind the record that was peeked at; the position of at if none

	payload []byte // copy of that record
	stamp   uint64 // its stamp; 0 for none
}

// NewFollower reads from a mark.
func NewFollower(l Lane, at Mark) *Follower {
	return &Follower{Lane: l, at: at, next: at.Position}
}

// At is where the next record stands, and its number.
func (f *Follower) At() Mark { return f.at }

// Stamp is when the record that Peek has returned was written; 0 if it does not say.
func (f *Follower) Stamp() uint64 { return f.stamp }

// Ready reports whether there is a record, or something that is none, or something
// has been missed.
func (f *Follower) Ready() bool {
	return f.Data.Glance(f.at.Position) != 0 || !f.Intact(f.at.Position)
}

// Peek returns a copy of the next record, which is valid until the next one is
// copied. ok is false at the end. If missed is not 0 so many records have been
// overwritten before they were read; then ok is false, and the next call goes on
// behind them.
func (f *Follower) Peek() (p []byte, missed uint64, ok bool, err error) {
	for f.next == f.at.Position {
		pos := f.at.Position
		header := f.Data.Glance(pos) // pairs with the store in Writer.Commit
		var r record
		if header != 0 {
			if r, err = f.parse(pos, header); err == nil && !r.pad {
				f.copy(pos, &r)
			}
		}
		mem.LoadFence() // the copy before the question
		switch {
		case !f.Intact(pos):
			missed, err := f.overtaken()
			return nil, missed, false, err
		case header == 0 || err != nil:
			return nil, 0, false, err
		case r.pad:
			f.at.Position = r.next
		}
		f.next = r.next
	}
	return f.payload, 0, true, nil
}

func (f *Follower) copy(pos uint64, r *record) {
	if uint64(cap(f.payload)) < r.length {
		f.payload = make([]byte, r.length, min(2*r.length, uint64(MaxRecord(f.Data.Size()))))
	}
	f.payload = f.payload[:r.length]
	f.Data.Snapshot(f.payload, pos+layout.RecordHeader)
	f.stamp = 0
	if r.stamp {
		f.stamp = f.Data.Glance(r.next - layout.RecordStampSize)
	}
}

// Skip goes on behind the record that Peek has returned.
func (f *Follower) Skip() {
	if f.next != f.at.Position {
		f.at = Mark{f.next, f.at.Number + 1}
	}
}

// overtaken goes on with a record about half a lane behind the writer: the oldest
// ones may be overwritten soon.
func (f *Follower) overtaken() (missed uint64, err error) {
	m, err := f.RecentMark()
	if err != nil {
		return 0, err
	}
	if m.Number < f.at.Number || m.Position < f.at.Position {
		return 0, fmt.Errorf("mark of record %d at position %d, after record %d at %d: %w",
			m.Number, m.Position, f.at.Number, f.at.Position, shm.ErrCorrupt)
	}
	missed = m.Number - f.at.Number
	f.at, f.next = m, m.Position
	return missed, nil
}

// RecentMark returns a mark some way behind the writer, but not so far that it is to
// be overwritten next, if there is one; else a newer one.
func (l *Lane) RecentMark() (Mark, error) {
	last := l.Control.Marked.Load()
	m, ok, err := l.mark(last - min(last, 3)) // an eighth and more for each
	if err != nil || ok && l.Intact(m.Position) {
		return m, err
	}
	return l.FirstMark()
}

// Ahead walks on by n records from a mark behind which nothing is overwritten
// meanwhile. If there are not so many it stops at the end.
func (l *Lane) Ahead(from Mark, n uint64) (Mark, error) {
	return l.walk(from, func(at Mark) bool { return at.Number-from.Number == n })
}

// NumberOf returns the number of the record that begins at a position, or will
// begin, behind which nothing is overwritten meanwhile.
func (l *Lane) NumberOf(pos uint64) (uint64, error) {
	reaches := func(at Mark) bool { return at.Position >= pos }
	for {
		last := l.Control.Marked.Load()
		for k := last - min(last, layout.Marks-2); ; k++ {
			m, ok, err := l.mark(k)
			if err != nil {
				return 0, err
			}
			if !ok {
				break // the marks have moved on: begin again
			}
			if m.Position < pos && k != last {
				continue
			}
			// Count from the mark before the position, if it is the last, or from the
			// position to the mark behind it.
			begin, end := m, pos
			if m.Position >= pos {
				begin, end = Mark{Position: pos}, m.Position
				reaches = func(at Mark) bool { return at.Position >= m.Position }
			}
			at, err := l.walk(begin, reaches)
			if err == nil && at.Position != end {
				err = fmt.Errorf("no record begins at position %d, nor does the lane end there: %w", pos, shm.ErrCorrupt)
			}
			if m.Position >= pos {
				return m.Number - at.Number, err
			}
			return at.Number, err
		}
	}
}

// walk visits the records from a mark on until stop says so, or the end.
func (l *Lane) walk(from Mark, stop func(Mark) bool) (at Mark, err error) {
	if from.Position%8 != 0 {
		return at, fmt.Errorf("position %d, which is not a multiple of 8: %w", from.Position, shm.ErrCorrupt)
	}
	for at = from; !stop(at); {
		header := l.Data.Glance(at.Position)
		if header == 0 {
			return at, nil
		}
		r, err := l.parse(at.Position, header)
		if err != nil {
			return Mark{}, err
		}
		if at.Position = r.next; at.Position-from.Position > l.Data.Size() {
			return Mark{}, fmt.Errorf("no end within %d bytes of position %d: %w", l.Data.Size(), from.Position, shm.ErrCorrupt)
		}
		if !r.pad {
			at.Number++
		}
	}
	return at, nil
}

// Restrict lowers the limit to a lane's size behind slowest: a reader that must be
// waited for has come there while the writer claimed more. What it has claimed stays
// so.
// Preconditions: no run is open.
func (w *Writer) Restrict(slowest uint64) { w.limit = min(w.limit, slowest+w.Data.Size()) }

// Within reports whether the writer may go on up to a position.
func (w *Writer) Within(need uint64) bool { return need <= w.limit }

// Begin returns where a follower begins: at the oldest record that is there, or at the
// end.
func (l *Lane) Begin(oldest bool) (at Mark, err error) {
	for !oldest {
		m, err := l.LastMark()
		if err != nil {
			return m, err
		}
		at, err := l.Ahead(m, 1<<63)
		mem.LoadFence()
		if l.Intact(m.Position) {
			return at, err
		}
		// A writer claims no more than a lane's size behind its last mark, so there is a
		// newer one by now.
		if last, err := l.LastMark(); err != nil || last == m {
			return m, cmp.Or(err, l.overclaimed(m))
		}
	}
	return l.FirstMark()
}

// ReleaseSkipped is Release for a reader who has skipped all that it has peeked at.
func (r *Reader) ReleaseSkipped() {
	if r.Owing() {
		r.tell()
	} else {
		r.cursor.Position.Release(r.pos) // as in Release
	}
	r.cursor.Messages.Release(r.messages)
	r.cursor.Bytes.Release(r.bytes)
}
