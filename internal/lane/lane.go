// Package lane is the log of records that ring and topic are made of: one writer
// appends, readers follow, and either may die at any store.
//
// The format is drawn beside layout.Lane. What a survivor finds when the writer
// dies after each store of a commit:
//
//	clear the header behind     nothing has happened
//	fill payloads and headers   nothing has happened: the first header is 0
//	store the first header      the record, or the run of records, is there
//	wake readers                they are woken by the writer's death
//
// A reader that has set hurry may die in it: the next one finds it set, and makes a
// barrier before it sleeps as if it had set it itself. A writer in a hurry that dies
// between the commit and its look at the sleepers has not woken them, as without one.
//
// So there is nothing to repair. A new writer walks from the last mark to the first
// header that is 0, and counts the records on the way: numbers are exact, whoever
// dies. A reader stores its position after it has used a
// record; a new reader in its place begins with the record that the dead one had
// not released.
//
// Nothing here waits: package park does, at the Data and Space words, in the
// packages above, which also know who is alive.
package lane

import (
	"fmt"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/shm"
)

// Sizes of a lane in bytes.
const (
	MinSize = 4 << 10
	MaxSize = 1 << 32 // a length has 32 bits, and a record is at most half a lane
)

// MaxRecord is the longest payload that fits into a lane of size bytes: with its
// header, its stamp and the header behind it, it takes at most half of it, so that it
// fits wherever the lane wraps.
func MaxRecord(size uint64) int {
	return int(size/2 - 2*layout.RecordHeader - layout.RecordStampSize)
}

// Lane is a lane in mapped memory.
type Lane struct {
	Control *layout.Lane
	Data    mem.View
}

// At finds the lane whose control block and data stand at these offsets of b.
func At(b []byte, control, data int, size uint64) (l Lane, err error) {
	if l.Control, err = mem.At[layout.Lane](b, control); err != nil {
		return l, fmt.Errorf("at offset %d: lane: %v: %w", control, err, shm.ErrCorrupt)
	}
	if size < MinSize || size > MaxSize {
		return l, fmt.Errorf("at offset %d: lane of %d bytes, want %d to %d: %w", data, size, MinSize, uint64(MaxSize), shm.ErrCorrupt)
	}
	if l.Data, err = mem.NewView(b, data, size); err != nil {
		return l, fmt.Errorf("at offset %d: lane data: %v: %w", data, err, shm.ErrCorrupt)
	}
	return l, nil
}

// record is what a header says.
type record struct {
	length uint64 // of the payload
	next   uint64 // position of the next header
	pad    bool
	stamp  bool
}

// parse bounds the header at a position. A header of 0 is the end, and is not asked
// about here.
func (l *Lane) parse(pos, header uint64) (r record, err error) {
	r = record{length: header & layout.RecordLength, pad: header&layout.RecordPad != 0, stamp: header&layout.RecordStamp != 0}
	rest := l.Data.Size() - l.Data.Offset(pos)
	size := layout.RecordSize(r.length)
	if r.stamp {
		size += layout.RecordStampSize
	}
	switch {
	case header&layout.RecordThere == 0, header&^(layout.RecordThere|layout.RecordPad|layout.RecordStamp|layout.RecordLength) != 0:
	case r.pad && !r.stamp && r.length == rest-layout.RecordHeader && rest < l.Data.Size()/2: // as no record that did not fit is longer
		r.next = pos + rest
		return r, nil
	case !r.pad && r.length <= uint64(MaxRecord(l.Data.Size())) && size <= rest:
		r.next = pos + size
		return r, nil
	}
	return record{}, l.damaged(pos, header)
}

func (l *Lane) damaged(pos, header uint64) error {
	return fmt.Errorf("at offset %d of the lane (position %d): record header %#x: %w", l.Data.Offset(pos), pos, header, shm.ErrCorrupt)
}

// End walks from a mark to the end. It visits every header on the way once, and
// never more than a lane holds.
func (l *Lane) End(from Mark) (end Mark, err error) {
	for end = from; ; {
		header := l.Data.Word(end.Position).Load() // pairs with the store in Commit
		if header == 0 {
			return end, nil
		}
		r, err := l.parse(end.Position, header)
		if err != nil {
			return Mark{}, err
		}
		if end.Position = r.next; end.Position-from.Position > l.Data.Size() {
			return Mark{}, fmt.Errorf("no end within %d bytes of position %d: %w", l.Data.Size(), from.Position, shm.ErrCorrupt)
		}
		if !r.pad {
			end.Number++
		}
	}
}

// Check reads the lane from a position, at which a record or the end stands, and
// finds the first thing that no writer leaves behind.
func (l *Lane) Check(from uint64) error {
	// Claims grow with the marks: each is at most a lane's size behind the last mark.
	before := l.Control.Claim.Load()
	last, err := l.LastMark()
	if err != nil {
		return err
	}
	after, size := l.Control.Claim.Load(), l.Data.Size()
	if from%8 != 0 || max(from, last.Position)-min(from, last.Position) > size || before > last.Position+size || after < last.Position {
		return fmt.Errorf("positions: read from %d, last mark at %d, claimed %d: %w", from, last.Position, after, shm.ErrCorrupt)
	}
	_, err = l.End(Mark{Position: from})
	return err
}
