package queue

import (
	"fmt"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/shm"
)

// body is the structure in the object, found and bounded.
type body struct {
	object  *object.Object
	control *layout.Queue
	rows    []layout.QueueRow // of the member slots
	marks   []mem.Uint64
	slots   mem.Strided[layout.QueueSlot]
	bytes   []byte // from the first slot on
	stride  int
	max     int    // length of the longest message
	length  int    // of every message; -1 if each has its own
	mask    uint64 // of slots in positions
}

// find finds the body of an object in its bytes.
func find(o *object.Object, bytes []byte) (b *body, err error) {
	if size := o.Header.Size; size < uint64(len(bytes)) {
		bytes = bytes[:size]
	}
	b = &body{object: o}
	if b.control, err = mem.At[layout.Queue](bytes, o.Body); err != nil {
		return nil, fmt.Errorf("queue: %v: %w", err, shm.ErrCorrupt)
	}
	n, stride, members := b.control.Slots, b.control.Stride, int(o.Header.Slots)
	if n < 1 || n > MaxSlots || n&(n-1) != 0 {
		return nil, fmt.Errorf("at offset %d: queue of %d slots: %w", o.Body, n, shm.ErrCorrupt)
	}
	if stride < layout.Line || stride%layout.Line != 0 || stride > uint64(len(bytes)) {
		return nil, fmt.Errorf("at offset %d: slots of %d bytes: %w", o.Body+8, stride, shm.ErrCorrupt)
	}
	if members < 1 || members > layout.MaxSlots {
		return nil, fmt.Errorf("at offset 48: %d member slots: %w", members, shm.ErrCorrupt)
	}
	first := o.Body + layout.QueueSlotsOffset(members, int(n))
	if first > len(bytes) || n > uint64(len(bytes)-first)/stride {
		return nil, fmt.Errorf("at offset %d: %d slots of %d bytes, in an object of %d: %w", o.Body, n, stride, len(bytes), shm.ErrCorrupt)
	}
	if b.rows, err = mem.Array[layout.QueueRow](bytes, o.Body+layout.QueueSize, members); err != nil {
		return nil, fmt.Errorf("rows of a queue: %v: %w", err, shm.ErrCorrupt)
	}
	if b.marks, err = mem.Array[mem.Uint64](bytes, o.Body+layout.QueueMarksOffset(members), layout.QueueMarks(int(n))); err != nil {
		return nil, fmt.Errorf("marks of a queue: %v: %w", err, shm.ErrCorrupt)
	}
	b.bytes, b.stride, b.mask = bytes[first:], int(stride), n-1
	b.max = b.stride - layout.QueueSlotSize
	if b.slots, err = mem.StridedAt[layout.QueueSlot](b.bytes, 0, b.stride, int(n)); err != nil {
		return nil, fmt.Errorf("slots of a queue: %v: %w", err, shm.ErrCorrupt)
	}
	typ, err := o.Schema()
	if err != nil {
		return nil, err
	}
	b.length = -1
	if !typ.Untyped() {
		b.length = typ.Size()
		if b.length > b.max {
			return nil, fmt.Errorf("at offset %d: type of %d bytes, in slots of %d: %w", o.Body+8, b.length, b.stride, shm.ErrCorrupt)
		}
		b.max = b.length
	}
	return b, nil
}

// slot is where the message of a position stands.
func (b *body) slot(pos uint64) *layout.QueueSlot { return b.slots.At(int(pos & b.mask)) }

// soon is how far ahead of a slot in use another is fetched: as many messages as take about
// as long as a line from another core does (measured).
const soon = 4

// prefetch fetches the slot that the caller will use soon, if it goes on.
func (b *body) prefetch(pos uint64) { b.slot(pos + soon).State.Prefetch() }

// message is the first n bytes of it.
// Preconditions: n is at most b.max.
func (b *body) message(pos uint64, n int) []byte {
	at := int(pos&b.mask)*b.stride + layout.QueueSlotSize
	return b.bytes[at : at+n : at+n]
}

// offset is where the slot of a position stands in the object, for messages.
func (b *body) offset(pos uint64) int {
	return b.object.Body + layout.QueueSlotsOffset(len(b.rows), b.slots.Len()) + int(pos&b.mask)*b.stride
}

// lengthIn is the length in a slot's words, bounded.
func (b *body) lengthIn(pos, meta uint64) (int, error) {
	n := int(uint32(meta))
	if n > b.max || b.length >= 0 && n != b.length {
		return 0, b.wrongLength(pos, n)
	}
	return n, nil
}

func (b *body) wrongLength(pos uint64, n int) error {
	want := fmt.Sprintf("at most %d", b.max)
	if b.length >= 0 {
		want = fmt.Sprint(b.length)
	}
	return b.corrupt(pos, "message %d has %d bytes, want %s", pos, n, want)
}

func (b *body) corrupt(pos uint64, format string, args ...any) error {
	return fmt.Errorf("slot at offset %d: %s: %w", b.offset(pos), fmt.Sprintf(format, args...), shm.ErrCorrupt)
}

// Words of a slot's state.
func free(pos uint64) uint64  { return pos<<layout.QueuePosition | layout.QueueFree }
func ready(pos uint64) uint64 { return pos<<layout.QueuePosition | layout.QueueReady }

func kind(state uint64) uint64     { return state & layout.QueueKind }
func position(state uint64) uint64 { return state >> layout.QueuePosition }

func claimed(o layout.Owner) uint64 { return uint64(o) | layout.QueueClaimed }
func taken(o layout.Owner) uint64   { return uint64(o) | layout.QueueTaken }

// raise raises a word to at least x.
func raise(w *mem.Uint64, x uint64) {
	for v := w.Load(); v < x && !w.CompareAndSwap(v, x); v = w.Load() {
	}
}
