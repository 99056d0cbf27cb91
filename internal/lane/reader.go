package lane

import (
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
)

// Reader follows a lane that waits for it: nothing is overwritten before it is
// released. It belongs to whoever owns the cursor, and is not safe for concurrent
// use.
type Reader struct {
	Lane
	cursor  *layout.Cursor
	latency *layout.Latency
	limit   uint64 // length of the longest record
	pos     uint64 // of the next header
	next    uint64 // behind the record that was peeked at; pos if none
	told    uint64 // the position that the writer has been told
	sampled uint64 // behind the last record whose stamp was looked at
	length  uint64 // of the record that was peeked at
	tells   uint32 // how often it has been told
	clock   uint64 // a recent time, nanoseconds since 1970
	hurried bool   // the writer may have left out fences

	messages, bytes uint64 // as counted in the cursor
}

// NewReader reads from a position at which a record or the end stands. The cursor
// is where it says how far it is, and latency where it counts how long records took.
func NewReader(l Lane, cursor *layout.Cursor, latency *layout.Latency, pos uint64) *Reader {
	return &Reader{Lane: l, cursor: cursor, latency: latency, limit: uint64(MaxRecord(l.Data.Size())), pos: pos, next: pos, told: pos, sampled: pos,
		hurried: l.Control.Hurry.Load() != 0, clock: now(), messages: cursor.Messages.Load(), bytes: cursor.Bytes.Load()}
}

// Position is where the next record stands.
func (r *Reader) Position() uint64 { return r.pos }

// Ready reports whether there is a record, or something that is none.
func (r *Reader) Ready() bool { return r.Data.Word(r.pos).Load() != 0 }

// Hurry lets the writer commit without a fence: records come so densely that it
// will be long before we sleep. Only for who is the one reader, and asks ReadyAsleep.
func (r *Reader) Hurry() {
	if r.Control.Hurry.Load() == 0 && mem.CanBarrier() {
		r.hurried = true
		r.Control.Hurry.Store(1)
	}
}

// ReadyAsleep is Ready for a reader who has said that it sleeps.
//
// A writer in a hurry stores a record and then looks whether we sleep, but the
// processor may do that the other way round, and neither would see the other. The
// barrier orders the two: if the writer looked before it, its record can be seen
// now; if it looks later, it sees that we sleep. We are careful until something has
// come, and the writer with it to a commit that heeds the end of the hurry.
func (r *Reader) ReadyAsleep() bool {
	if !r.hurried {
		return r.Ready()
	}
	r.Control.Hurry.Store(0)
	if mem.CanBarrier() {
		mem.Barrier()
	}
	r.hurried = !r.Ready()
	return !r.hurried
}

// Received is how many records have been released, and skipped, here and before.
func (r *Reader) Received() uint64 { return r.messages }

// Length is that of the record that was peeked at last, in bytes.
func (r *Reader) Length() uint64 { return r.length }

// Peek returns the next record, in place: valid until Release. ok is false at the
// end. Without a Release in between it returns the same record.
func (r *Reader) Peek() (p []byte, ok bool, err error) {
	header := r.Data.Word(r.pos).Load() // pairs with the store in Commit: the record is complete
	// Most headers have no other bit than RecordThere, and are so bounded at once.
	n := header - layout.RecordThere
	size := layout.RecordSize(n)
	if n > r.limit || r.Data.Offset(r.pos)+size > r.Data.Size() {
		return r.peekSlow(header)
	}
	r.next, r.length = r.pos+size, n
	return r.Data.Bytes(r.pos+layout.RecordHeader, n), true, nil
}

// peekSlow is Peek for headers that are not what most are.
func (r *Reader) peekSlow(header uint64) (p []byte, ok bool, err error) {
	for header != 0 {
		rec, err := r.parse(r.pos, header)
		if err != nil {
			return nil, false, err
		}
		if !rec.pad {
			r.next, r.length = rec.next, rec.length
			if rec.stamp {
				r.sample()
			}
			return r.Data.Bytes(r.pos+layout.RecordHeader, rec.length), true, nil
		}
		r.pos, r.next = rec.next, rec.next
		header = r.Data.Word(r.pos).Load() // as in Peek
	}
	return nil, false, nil
}

// sample looks at the stamp of the record that was peeked at, once.
func (r *Reader) sample() {
	if r.sampled != r.next {
		r.sampled = r.next
		r.clock = Sample(r.latency, r.Data.Word(r.next-layout.RecordStampSize).Load())
	}
}

// Skip goes on behind the record that Peek returned, and tells nobody yet: for
// reading a run of records that are released together. Without a Peek before it
// does nothing.
func (r *Reader) Skip() {
	if r.pos == r.next {
		return
	}
	r.messages++
	r.bytes += r.length
	r.pos = r.next
}

// TakeRun copies records of n bytes each to p, one behind the other, and skips them: as
// many as there are, and as p has room for. It stops before one that is anything else, of
// which Peek tells more.
// Preconditions: n is not 0.
func (r *Reader) TakeRun(p []byte, n int) (records int) {
	step := layout.RecordSize(uint64(n))
	room := int((r.Data.Size() - r.Data.Offset(r.pos)) / step) // up to the end of the lane
	if n > mem.Short || room == 0 {
		return 0
	}
	// The loads of headers pair with the store in Commit.
	records = r.Data.TakeRun(r.pos, step, layout.RecordThere|uint64(n), p[:min(len(p)/n, room)*n], n)
	r.pos += uint64(records) * step
	r.next = r.pos
	r.messages += uint64(records)
	r.bytes += uint64(records) * uint64(n)
	r.length = uint64(n)
	return records
}

// Owing reports whether so much has been skipped that it should be released.
func (r *Reader) Owing() bool { return r.pos-r.told >= r.Data.Size()/8 }

// Release gives back what Peek returned, and all before it. A reader that comes
// after our death begins behind it. The writer learns of it in time: now and then,
// and at the latest when Rest is called.
func (r *Reader) Release() {
	r.Skip()
	if r.Owing() {
		r.tell()
	} else {
		// Before the writer may overwrite what we have read: pairs with its load of the
		// position. Not for a writer who sleeps: tell is.
		r.cursor.Position.Release(r.pos)
	}
	r.cursor.Messages.Release(r.messages)
	r.cursor.Bytes.Release(r.bytes)
}

// Rest tells the writer how far we are, after a look in vain, or before we go to sleep.
func (r *Reader) Rest(sleeps bool) {
	if r.pos == r.told {
		return
	}
	if sleeps {
		r.clock = now()
	}
	r.tell()
}

func (r *Reader) tell() {
	r.told = r.pos
	r.cursor.Position.Store(r.pos) // a fence: pairs with the sleeping writer's second look
	if r.Control.Space.Load()&sleeps != 0 {
		(*park.EventCount)(&r.Control.Space).Notify()
		add(&r.cursor.Wakes)
	}
	// Who polls comes here after every record, who reads long ones too, and the clock takes
	// as long as the rest.
	if r.tells++; r.tells%16 == 0 {
		r.clock = now()
	}
	r.cursor.Active.Release(r.clock)
}
