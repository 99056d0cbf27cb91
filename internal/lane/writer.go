package lane

import (
	"fmt"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// Writer appends to a lane. It belongs to whoever owns the lane, and is not safe
// for concurrent use.
type Writer struct {
	Lane
	pos   uint64 // of the next header
	limit uint64 // what lies below may be written
	tail  uint64 // as published

	first  uint64 // the run: position of its first header, which is stored last
	header uint64 // that header; 0 when no run is open
	added  uint64 // records in it
	length uint64 // of their payloads

	messages, bytes uint64 // as counted in the lane
}

// NewWriter takes a lane over, after its last writer has gone: it finds the end of
// what that one committed. The published tail is at most a lane's size behind
// everything that was written: see Open.
func NewWriter(l Lane) (*Writer, error) {
	w := &Writer{Lane: l, messages: l.Control.Messages.Load(), bytes: l.Control.Bytes.Load()}
	tail := l.Control.Tail.Load()
	if tail%8 != 0 {
		return nil, fmt.Errorf("tail %d is not a multiple of 8: %w", tail, shm.ErrCorrupt)
	}
	end, err := l.End(tail)
	if err != nil {
		return nil, err
	}
	w.pos, w.tail = end, end
	l.Control.Tail.Store(end)
	return w, nil
}

// Position is where the next record will stand.
func (w *Writer) Position() uint64 { return w.pos }

// Open lets the writer go on up to a lane's size behind the position of the
// slowest reader it waits for. It claims that much.
// Preconditions: slowest is at most what has been committed.
func (w *Writer) Open(slowest uint64) {
	limit := slowest + w.Data.Size()
	if limit <= w.limit {
		return
	}
	// The next writer begins at the tail, so what is written until then must not
	// reach round to it.
	if limit-w.tail > w.Data.Size() {
		w.Publish()
	}
	w.limit = limit
	w.Control.Claim.Store(limit) // before the overwriting; pairs with the load in Reader.lapped
}

// Reserve returns the place for a payload of n bytes, or nil if there is no room
// below the limit: then Open it, or wait. Add follows, and then Commit. What is
// reserved and not added is forgotten by the next Reserve.
// Preconditions: n is at most MaxRecord.
func (w *Writer) Reserve(n int) []byte {
	size := layout.RecordSize(uint64(n))
	if w.Data.Offset(w.pos)+size > w.Data.Size() || w.pos+size+layout.RecordHeader > w.limit {
		return w.reserveSlow(n)
	}
	return w.Data.Bytes(w.pos+layout.RecordHeader, uint64(n))
}

// Fill copies a payload to the place that was reserved for it.
// Preconditions: it is no longer than that.
func (w *Writer) Fill(p []byte) { w.Data.Copy(w.pos+layout.RecordHeader, p) }

// Needs is the position that the limit must reach for a payload of n bytes.
func (w *Writer) Needs(n int) uint64 {
	size := layout.RecordSize(uint64(n))
	if rest := w.Data.Size() - w.Data.Offset(w.pos); size > rest {
		size += rest // the rest becomes a pad
	}
	return w.pos + size + layout.RecordHeader // and the header behind it
}

func (w *Writer) reserveSlow(n int) []byte {
	if w.Needs(n) > w.limit {
		return nil
	}
	rest := w.Data.Size() - w.Data.Offset(w.pos)
	w.add(layout.RecordThere|layout.RecordPad|(rest-layout.RecordHeader), rest)
	return w.Data.Bytes(w.pos+layout.RecordHeader, uint64(n))
}

// Add puts the reserved record, n bytes of it, at the end of the run: it is there,
// but nobody sees it before Commit.
// Preconditions: n is at most what was reserved.
func (w *Writer) Add(n int) {
	w.add(layout.RecordThere|uint64(n), layout.RecordSize(uint64(n)))
	w.added++
	w.length += uint64(n)
}

// Run is how many bytes the run takes that has not been committed yet.
func (w *Writer) Run() uint64 { return w.pos - w.Committed() }

// Committed is where the run begins, or will begin: all before it can be read.
func (w *Writer) Committed() uint64 {
	if w.header != 0 {
		return w.first
	}
	return w.pos
}

func (w *Writer) add(header, size uint64) {
	if w.header == 0 {
		w.first, w.header = w.pos, header
	} else {
		w.Data.Put(w.pos, header)
	}
	w.pos += size
}

// Commit makes the run visible, by one store, and wakes readers who sleep.
func (w *Writer) Commit() {
	if w.header == 0 {
		return
	}
	// The end must be there before a reader can get to it.
	w.Data.Put(w.pos, 0)
	w.Data.Word(w.first).Store(w.header) // pairs with the load in Reader.Peek
	w.header = 0
	// Pairs with the compare-and-swap of who goes to sleep: see EventCount.Notify.
	if w.Control.Data.Load()&sleeps != 0 {
		w.wake()
	}
	// What has been committed counts, also if we die before it is counted: the
	// counters are for people.
	w.messages += w.added
	w.bytes += w.length
	w.added, w.length = 0, 0
	w.Control.Messages.Release(w.messages)
	w.Control.Bytes.Release(w.bytes)
	if w.pos-w.tail >= w.Data.Size()/8 {
		w.Publish()
	}
}

// sleeps is the bit of an event count that says that somebody sleeps.
const sleeps = 1

// wake wakes readers. That costs a system call, so a look at the clock does not
// matter.
func (w *Writer) wake() {
	(*park.EventCount)(&w.Control.Data).Notify()
	w.Control.Active.Release(now())
}

// now is the time as counters have it.
func now() uint64 { return uint64(time.Now().UnixNano()) }

// Cancel takes back what has been added since the last Commit.
func (w *Writer) Cancel() {
	if w.header != 0 {
		w.pos, w.header = w.first, 0
		w.added, w.length = 0, 0
	}
}

// Publish tells everybody where the end of what has been committed is: those who
// join late, and tools.
func (w *Writer) Publish() {
	w.tail = w.Committed()
	w.Control.Tail.Store(w.tail)
	w.Control.Active.Release(now())
}
