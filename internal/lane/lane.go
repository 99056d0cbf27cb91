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
// So there is nothing to repair. A new writer walks from the published tail to
// the first header that is 0. A reader stores its position after it has used a
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
// header, and the one behind it, it takes at most half of it, so that it fits
// wherever the lane wraps.
func MaxRecord(size uint64) int { return int(size/2 - 2*layout.RecordHeader) }

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

// parse bounds the header at a position: how long its payload is, where the next
// header is, and whether it is a pad. A header of 0 is the end, and is not asked
// about here.
func (l *Lane) parse(pos, header uint64) (n, next uint64, pad bool, err error) {
	n = header & layout.RecordLength
	rest := l.Data.Size() - l.Data.Offset(pos)
	switch {
	case header&layout.RecordThere == 0, header&^(layout.RecordThere|layout.RecordPad|layout.RecordLength) != 0:
	case header&layout.RecordPad != 0 && n == rest-layout.RecordHeader && rest < l.Data.Size()/2: // as no record that did not fit is longer
		return n, pos + rest, true, nil
	case header&layout.RecordPad == 0 && n <= uint64(MaxRecord(l.Data.Size())) && layout.RecordSize(n) <= rest:
		return n, pos + layout.RecordSize(n), false, nil
	}
	return 0, 0, false, l.damaged(pos, header)
}

func (l *Lane) damaged(pos, header uint64) error {
	return fmt.Errorf("at offset %d of the lane (position %d): record header %#x: %w", l.Data.Offset(pos), pos, header, shm.ErrCorrupt)
}

// End walks from a position, at which a record or the end stands, to the end. It
// visits every header on the way once, and never more than a lane holds.
func (l *Lane) End(from uint64) (end uint64, err error) {
	for pos := from; ; {
		header := l.Data.Word(pos).Load() // pairs with the store in Commit
		if header == 0 {
			return pos, nil
		}
		_, next, _, err := l.parse(pos, header)
		if err != nil {
			return 0, err
		}
		if pos = next; pos-from > l.Data.Size() {
			return 0, fmt.Errorf("no end within %d bytes of position %d: %w", l.Data.Size(), from, shm.ErrCorrupt)
		}
	}
}

// Check reads the lane from a position, and finds the first thing that no writer
// leaves behind.
func (l *Lane) Check(from uint64) error {
	tail, claim := l.Control.Tail.Load(), l.Control.Claim.Load()
	size := l.Data.Size() // the tail is no further behind the end; see Writer.Open
	if from%8 != 0 || tail%8 != 0 || max(from, tail)-min(from, tail) > size || claim < tail && claim != 0 {
		return fmt.Errorf("positions: read from %d, tail %d, claimed %d: %w", from, tail, claim, shm.ErrCorrupt)
	}
	_, err := l.End(from)
	return err
}
