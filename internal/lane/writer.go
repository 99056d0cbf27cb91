package lane

import (
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
)

// stampEvery is how many records there are for one with a stamp, if nobody sleeps.
// A stamp costs two looks at the clock, 50 to 100 ns together: at 25 million records
// a second a two-hundredth of the time.
const stampEvery = 512

// Writer appends to a lane. It belongs to whoever owns the lane, and is not safe
// for concurrent use.
type Writer struct {
	Lane
	data  *mem.Uint32 // the event count at which readers sleep
	rest  *mem.Uint32 // see WakeFew
	pos   uint64      // of the next header
	limit uint64      // what lies below may be written
	mark  Mark        // the last one
	stamp uint64      // bytes of the next record's stamp: 0 or RecordStampSize

	first   uint64 // the run: position of its first header, which is stored last
	header  uint64 // that header; 0 when no run is open
	added   uint64 // records in it
	length  uint64 // of their payloads
	stamped uint64 // number of the record that had the last stamp
	clock   uint64 // a recent time, nanoseconds since 1970

	messages, bytes uint64 // as counted in the lane; messages is the next record's number
}

// NewWriter takes a lane over, after its last writer has gone: it finds the end of
// what that one committed. Readers sleep at the event count data.
func NewWriter(l Lane, data *mem.Uint32) (*Writer, error) {
	last, err := l.LastMark()
	if err != nil {
		return nil, err
	}
	end, err := l.End(last)
	if err != nil {
		return nil, err
	}
	w := &Writer{Lane: l, data: data, pos: end.Position, mark: last, stamp: layout.RecordStampSize,
		stamped: end.Number, clock: now(), messages: end.Number, bytes: l.Control.Bytes.Load()}
	l.Control.Messages.Store(w.messages)
	return w, nil
}

// Position is where the next record will stand.
func (w *Writer) Position() uint64 { return w.pos }

// Open lets the writer go on up to a lane's size behind the position of the slowest
// reader it waits for, if that is as far as need, or nearly so. It claims that much.
// Preconditions: slowest is at most what has been committed.
func (w *Writer) Open(slowest, need uint64) {
	size := w.Data.Size()
	limit := slowest + size
	// The next writer begins at the last mark, so what is written until then must not
	// reach round to it. Marks are rare, and so that they stay so we rather do without
	// the last eighth.
	if limit-w.mark.Position > size {
		if w.mark.Position+size < need && need <= limit {
			w.Publish()
		}
		limit = min(limit, w.mark.Position+size)
	}
	if limit <= w.limit {
		return
	}
	w.limit = limit
	// Before the overwriting; pairs with the load in Intact. It never goes back: the last
	// writer may have died in a record that was longer than what we want.
	w.Control.Claim.Store(max(limit, w.Control.Claim.Load()))
}

// Room is how many bytes there are up to the limit.
func (w *Writer) Room() uint64 { return w.limit - w.pos }

// Reserve returns the place for a payload of n bytes, or nil if there is no room
// below the limit: then Open it, or wait. Add follows, and then Commit. What is
// reserved and not added is forgotten by the next Reserve.
// Preconditions: n is at most MaxRecord.
func (w *Writer) Reserve(n int) []byte {
	size := layout.RecordSize(uint64(n)) + w.stamp
	if w.Data.Offset(w.pos)+size > w.Data.Size() || w.pos+size+layout.RecordHeader > w.limit {
		return w.reserveSlow(n)
	}
	return w.Data.Bytes(w.pos+layout.RecordHeader, uint64(n))
}

// Append is Reserve, Fill and Add in one, for a whole payload; it reports whether
// there was room.
func (w *Writer) Append(p []byte) bool {
	n := uint64(len(p))
	size := layout.RecordSize(n)
	if w.stamp != 0 || n > mem.Long || w.Data.Offset(w.pos)+size > w.Data.Size() || w.pos+size+layout.RecordHeader > w.limit {
		return w.appendSlow(p)
	}
	w.Data.Copy(w.pos+layout.RecordHeader, p)
	w.add(layout.RecordThere|n, size)
	w.added++
	w.length += n
	return true
}

// Send is Append and Commit in one, for a record that comes alone; it reports whether
// there was room.
// Preconditions: no run is open.
func (w *Writer) Send(p []byte) bool {
	pos, n := w.pos, uint64(len(p))
	next := pos + layout.RecordSize(n)
	if w.stamp != 0 || n > mem.Long || w.Data.Offset(pos)+(next-pos) > w.Data.Size() || next+layout.RecordHeader > w.limit {
		return w.sendSlow(p)
	}
	w.Data.Copy(pos+layout.RecordHeader, p)
	w.pos = next
	w.publish(pos, layout.RecordThere|n, 1, n)
	return true
}

func (w *Writer) sendSlow(p []byte) bool {
	if w.Reserve(len(p)) == nil {
		return false
	}
	w.Fill(p)
	w.Push(len(p))
	return true
}

// AppendRun is Append for several records of the same length, n bytes each, one behind
// the other in p: for as many as there is room for, and as make the run as long as most
// bytes. It returns how many they were. If that is none, Append may still find room.
// Preconditions: n is not 0.
func (w *Writer) AppendRun(p []byte, n int, most uint64) (records int) {
	step := layout.RecordSize(uint64(n))
	if w.header == 0 || n > mem.Short { // the first record may have a stamp
		return 0
	}
	end := min(w.limit-layout.RecordHeader, w.pos+w.Data.Size()-w.Data.Offset(w.pos), w.first+most+step-1)
	if end < w.pos+step {
		return 0
	}
	records = min(int((end-w.pos)/step), len(p)/n)
	w.Data.PutRun(w.pos, step, layout.RecordThere|uint64(n), p[:records*n], n)
	w.pos += uint64(records) * step
	w.added += uint64(records)
	w.length += uint64(records) * uint64(n)
	return records
}

// ReserveRun is Reserve for records of n bytes each in a row: for as many of count as
// there is room for, without a turn at the end of the lane. Their payloads lie step bytes
// apart in p. AddRun follows.
// Preconditions: count is at least 1; n is at most MaxRecord.
func (w *Writer) ReserveRun(count, n int) (p []byte, step, records int) {
	if w.Reserve(n) == nil {
		return nil, 0, 0
	}
	size := layout.RecordSize(uint64(n))
	end := min(w.limit-layout.RecordHeader, w.pos+w.Data.Size()-w.Data.Offset(w.pos))
	records = min(count, int((end-w.pos-w.stamp)/size))
	p = w.Data.Bytes(w.pos+layout.RecordHeader, uint64(records-1)*size+uint64(n))
	return p, int(size), records
}

// AddRun is Add for the first records of those that were reserved, at least one. If a
// stamp is due the last one gets it.
func (w *Writer) AddRun(records, n int) {
	header, size := layout.RecordThere|uint64(n), layout.RecordSize(uint64(n))
	for range records - 1 {
		w.add(header, size)
	}
	w.added += uint64(records - 1)
	w.length += uint64(records-1) * uint64(n)
	w.Add(n)
}

func (w *Writer) appendSlow(p []byte) bool {
	if w.Reserve(len(p)) == nil {
		return false
	}
	w.Fill(p)
	w.Add(len(p))
	return true
}

// Fill copies a payload to the place that was reserved for it.
// Preconditions: it is no longer than that.
func (w *Writer) Fill(p []byte) { mem.Copy(w.Data.Bytes(w.pos+layout.RecordHeader, uint64(len(p))), p) }

// Needs is the position that the limit must reach for a payload of n bytes.
func (w *Writer) Needs(n int) uint64 {
	size := layout.RecordSize(uint64(n)) + w.stamp
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
	if w.stamp != 0 {
		w.addStamped(uint64(n))
	} else {
		w.add(layout.RecordThere|uint64(n), layout.RecordSize(uint64(n)))
	}
	w.added++
	w.length += uint64(n)
}

// Push is Add and Commit in one, for a record that comes alone.
func (w *Writer) Push(n int) {
	if w.stamp != 0 || w.header != 0 {
		w.Add(n)
		w.Commit()
		return
	}
	pos := w.pos
	w.pos += layout.RecordSize(uint64(n))
	w.publish(pos, layout.RecordThere|uint64(n), 1, uint64(n))
}

func (w *Writer) addStamped(n uint64) {
	w.clock = now()
	w.Data.Put(w.pos+layout.RecordSize(n), w.clock)
	w.add(layout.RecordThere|layout.RecordStamp|n, layout.RecordSize(n)+layout.RecordStampSize)
	w.stamp, w.stamped = 0, w.messages
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
	header, records, bytes := w.header, w.added, w.length
	w.header, w.added, w.length = 0, 0, 0
	w.publish(w.first, header, records, bytes)
}

// publish makes the records from first up to pos visible, by the store of the first
// header, wakes readers who sleep, and counts.
func (w *Writer) publish(first, header, records, bytes uint64) {
	// The end must be there before a reader can get to it.
	w.Data.Put(w.pos, 0)
	if w.Control.Hurry.Load() != 0 && mem.Fenceless() {
		// The reader makes the fence that is missing here: see Reader.ReadyAsleep.
		w.Data.Word(first).Release(header)
	} else {
		w.Data.Word(first).Store(header) // pairs with the load in Reader.Peek
	}
	// Pairs with the compare-and-swap of who goes to sleep: see EventCount.Notify.
	if w.data.Load()&sleeps != 0 {
		w.wake()
	}
	// What has been committed counts, also if we die before it is counted: the next
	// writer counts again from the last mark.
	w.messages += records
	w.bytes += bytes
	w.Control.Messages.Release(w.messages)
	w.Control.Bytes.Release(w.bytes)
	if w.messages-w.stamped >= stampEvery {
		w.stamp = layout.RecordStampSize
	}
	if w.pos-w.mark.Position >= w.Data.Size()/8 {
		w.Publish()
	}
}

// sleeps is the bit of an event count that says that somebody sleeps.
const sleeps = 1

// wake wakes readers. That costs a system call, so looks at the clock do not matter.
func (w *Writer) wake() {
	w.notify()
	add(&w.Control.Wakes)
	w.clock = now()
	w.Control.Active.Release(w.clock)
	w.stamp = layout.RecordStampSize
}

// add counts in a counter that nobody else changes.
func add(counter *mem.Uint64) { counter.Release(counter.Load() + 1) }

// Cancel takes back what has been added since the last Commit.
func (w *Writer) Cancel() {
	if w.header != 0 {
		w.pos, w.header = w.first, 0
		w.added, w.length = 0, 0
	}
}

// Publish marks the end of what has been committed: for the next writer, for those
// who join late, and for tools. A death before the last store leaves the marks as
// they were, since what is being written is no mark yet.
func (w *Writer) Publish() {
	w.mark = Mark{w.Committed(), w.messages}
	k := w.Control.Marked.Load() + 1
	at := &w.Control.Marks[k%layout.Marks]
	at.Position.Release(w.mark.Position)
	at.Number.Release(w.mark.Number)
	w.Control.Marked.Release(k) // pairs with the loads in Lane.mark
	// Of long records each may need a mark, and the clock takes as long as the rest.
	if k%8 == 0 {
		w.clock = now()
	}
	w.Control.Active.Release(w.clock)
}
