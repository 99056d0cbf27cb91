package lane

import (
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/park"
)

// Reader follows a lane that waits for it: nothing is overwritten before it is
// released. It belongs to whoever owns the cursor, and is not safe for concurrent
// use.
type Reader struct {
	Lane
	cursor *layout.Cursor
	pos    uint64 // of the next header
	next   uint64 // behind the record that was peeked at; pos if none
	told   uint64 // the position that the writer has been told
	length uint64 // of that record's payload

	messages, bytes uint64 // as counted in the cursor
}

// NewReader reads from a position at which a record or the end stands. The cursor
// is where it says how far it is.
func NewReader(l Lane, cursor *layout.Cursor, pos uint64) *Reader {
	return &Reader{Lane: l, cursor: cursor, pos: pos, next: pos, told: pos,
		messages: cursor.Messages.Load(), bytes: cursor.Bytes.Load()}
}

// Position is where the next record stands.
func (r *Reader) Position() uint64 { return r.pos }

// Ready reports whether there is a record, or something that is none.
func (r *Reader) Ready() bool { return r.Data.Word(r.pos).Load() != 0 }

// Peek returns the next record, in place: valid until Release. ok is false at the
// end. Without a Release in between it returns the same record.
func (r *Reader) Peek() (p []byte, ok bool, err error) {
	for {
		header := r.Data.Word(r.pos).Load() // pairs with the store in Commit: the record is complete
		if header == 0 {
			return nil, false, nil
		}
		n, next, pad, err := r.parse(r.pos, header)
		if err != nil {
			return nil, false, err
		}
		if pad {
			r.pos, r.next = next, next
			continue
		}
		r.next, r.length = next, n
		return r.Data.Bytes(r.pos+layout.RecordHeader, n), true, nil
	}
}

// Skip goes on behind the record that Peek returned, and tells nobody yet: for
// reading a run of records that are released together.
func (r *Reader) Skip() {
	r.messages++
	r.bytes += r.length
	r.pos = r.next
}

// Release gives back what Peek returned, and all before it. A reader that comes
// after our death begins behind it. The writer learns of it in time: now and then,
// and at the latest when Rest is called.
func (r *Reader) Release() {
	if r.pos != r.next {
		r.Skip()
	}
	if r.pos-r.told >= r.Data.Size()/8 {
		r.tell()
	} else {
		// Before the writer may overwrite what we have read: pairs with its load in
		// slowest. Not for a writer who sleeps: tell is.
		r.cursor.Position.Release(r.pos)
	}
	r.cursor.Messages.Release(r.messages)
	r.cursor.Bytes.Release(r.bytes)
}

// Rest tells the writer how far we are, before we go to sleep.
func (r *Reader) Rest() {
	if r.pos != r.told {
		r.tell()
	}
}

func (r *Reader) tell() {
	r.told = r.pos
	r.cursor.Position.Store(r.pos) // a fence: pairs with the sleeping writer's second look
	(*park.EventCount)(&r.Control.Space).Notify()
	r.cursor.Active.Release(now())
}
