package ring

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

// Limits of [Options.Size] in bytes.
const (
	DefaultSize = 1 << 20
	MinSize     = lane.MinSize
	MaxSize     = lane.MaxSize
)

// Options say how a ring is made. Beside Type they do not matter for one that exists.
type Options struct {
	// Size is how many bytes of records fit: a power of two from MinSize to MaxSize; 0
	// means DefaultSize, 1 MiB. Each record takes 8 bytes more than its own, padded to
	// a multiple of 8, and now and then one has 8 more, behind it, for a time. A record
	// has at most half the size, less 24 bytes.
	Size int
	// Mode is the permissions of the object; 0 means 0600. Who uses a ring, at either
	// end, needs to read and write.
	Mode fs.FileMode
	// Group is the group of the object, by name or number; empty means the
	// creator's.
	Group string
	// Type is what the bytes of the records are if T is []byte, for programs that
	// learn it at run time; nil if they may be any. Records of another length than the
	// type's are neither sent nor received. With another T it must be nil, or T's own.
	Type *schema.Schema
}

// Ring is an open ring. Its own methods may be called by any goroutine.
type Ring[T any] struct {
	body
	untyped bool // T is []byte

	mu     sync.Mutex
	closed bool
	writer *Writer[T]
	reader *Reader[T]
}

// body is what a ring is whatever T is.
type body struct {
	object  *object.Object
	table   *member.Table // nil: no member
	control *layout.Ring
	lane    lane.Lane
	fixed   int // length of all records in bytes; -1 if each has its own
}

// Create makes a ring; if there is an object of that name already the error is
// fs.ErrExist. Nil options are the defaults.
func Create[T any](name string, o *Options) (*Ring[T], error) {
	s, err := spec[T](o)
	if err != nil {
		return nil, port.Fail("create", name, err)
	}
	obj, err := object.Create(name, s)
	if err != nil {
		return nil, err
	}
	return open[T](obj)
}

// Open opens a ring that exists; else the error is fs.ErrNotExist, or
// shm.ErrTypeMismatch if its records are of another type.
func Open[T any](name string, o *Options) (*Ring[T], error) {
	s, err := spec[T](o)
	if err != nil {
		return nil, port.Fail("open", name, err)
	}
	obj, err := object.Open(name, s)
	if err != nil {
		return nil, err
	}
	return open[T](obj)
}

// OpenOrCreate opens the ring, and makes it if there is none. Any number of
// processes may do so at once.
func OpenOrCreate[T any](name string, o *Options) (*Ring[T], error) {
	s, err := spec[T](o)
	if err != nil {
		return nil, port.Fail("open", name, err)
	}
	obj, _, err := object.OpenOrCreate(name, s)
	if err != nil {
		return nil, err
	}
	return open[T](obj)
}

// Remove removes the ring: its name is free at once, and who has it open goes on
// using it. If there is none, the error is fs.ErrNotExist; what is no ring stays.
func Remove(name string) error {
	return object.Remove(name, func(k layout.Kind) bool { return k == layout.KindRing })
}

// spec is the object that the options ask for.
func spec[T any](o *Options) (s object.Spec, err error) {
	if o == nil {
		o = &Options{}
	}
	size := o.Size
	if size == 0 {
		size = DefaultSize
	}
	if size < MinSize || size > MaxSize || size&(size-1) != 0 {
		return s, fmt.Errorf("size of %d bytes: want a power of two from %d to %d: %w", size, MinSize, MaxSize, syscall.EINVAL)
	}
	typ, err := schema.Of[T]()
	if err != nil {
		return s, err
	}
	if o.Type != nil && typ.Untyped() {
		typ = o.Type
	} else if o.Type != nil && o.Type.String() != typ.String() {
		return s, fmt.Errorf("Options.Type is not T: %w:\n%s", shm.ErrTypeMismatch, schema.Diff(typ, o.Type))
	}
	if limit := lane.MaxRecord(uint64(size)); typ.Size() > limit {
		return s, fmt.Errorf("type of %d bytes in a ring of %d, whose records have at most %d: %w", typ.Size(), size, limit, ErrTooLarge)
	}
	return object.Spec{
		Kind:   layout.KindRing,
		Schema: typ,
		Size:   layout.RingSize + size,
		Fill: func(body []byte) {
			r, err := mem.At[layout.Ring](body, 0)
			if err != nil {
				panic(err) // the size is ours
			}
			r.Size = uint64(size)
		},
		Shm: shm.Options{Mode: o.Mode, Group: o.Group},
	}, nil
}

func open[T any](obj *object.Object) (*Ring[T], error) {
	r := &Ring[T]{body: body{object: obj}}
	err := r.find()
	if err == nil {
		r.untyped, err = untyped[T]()
	}
	if err != nil {
		obj.Segment.Close()
		return nil, port.Fail("open", obj.Name, err)
	}
	if r.table, err = obj.Join(member.Options{}); err != nil {
		obj.Segment.Close()
		return nil, err
	}
	return r, nil
}

// find finds the parts of the ring in the object.
func (r *body) find() (err error) {
	b := r.object.Segment.Bytes()
	if size := r.object.Header.Size; size < uint64(len(b)) {
		b = b[:size]
	}
	if r.control, err = mem.At[layout.Ring](b, r.object.Body); err != nil {
		return fmt.Errorf("ring: %v: %w", err, shm.ErrCorrupt)
	}
	if r.lane, err = lane.At(b, r.object.Body+layout.RingLane, r.object.Body+layout.RingSize, r.control.Size); err != nil {
		return err
	}
	typ, err := r.object.Schema()
	if err != nil {
		return err
	}
	r.fixed = -1
	if !typ.Untyped() {
		r.fixed = typ.Size()
	}
	if r.fixed > r.MaxRecord() {
		return fmt.Errorf("type of %d bytes in a ring whose records have at most %d: %w", r.fixed, r.MaxRecord(), ErrTooLarge)
	}
	return nil
}

// Name returns the name that the ring was opened by.
func (r *body) Name() string { return r.object.Name }

// MaxRecord returns the length of the longest record in bytes: 24 less than half
// the ring's size.
func (r *body) MaxRecord() int { return lane.MaxRecord(r.lane.Data.Size()) }

// Schema returns the type of the records, as the object describes it itself.
func (r *body) Schema() (*schema.Schema, error) {
	s, err := r.object.Schema()
	return s, port.Fail("read the type of", r.object.Name, err)
}

// Close closes the ports, if they are open here, and ends the use of the ring,
// which stays for the others with all that is in it. What Loan and Peek have given
// out must not be touched any more. Closing again does nothing.
func (r *Ring[T]) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.closed = true
	if r.writer != nil {
		r.writer.core.close()
	}
	if r.reader != nil {
		r.reader.core.close()
	}
	r.table.Leave()
	return r.object.Segment.Close()
}

// Writer takes the port that sends. If a live process has it, this one included,
// the error is ErrBusy and names that. Otherwise, whatever became of the last
// writer, the next record follows the last one that was committed.
func (r *Ring[T]) Writer() (*Writer[T], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, port.Fail("open writer of", r.object.Name, shm.ErrClosed)
	}
	owner := &r.lane.Control.Owner
	repaired, err := port.Claim(r.object, r.table, "writer", owner)
	if err != nil {
		return nil, port.Fail("open writer of", r.object.Name, err)
	}
	l, err := lane.NewWriter(r.lane, &r.lane.Control.Data)
	if err != nil {
		port.GiveBack(r.table, owner)
		return nil, port.Fail("open writer of", r.object.Name, err)
	}
	if repaired {
		r.lane.Control.Repairs.Add(1)
	}
	r.writer = &Writer[T]{ring: r, untyped: r.untyped, core: sender{body: &r.body, lane: l, limit: r.MaxRecord(), fixed: r.fixed}}
	r.writer.core.port.Init(r.object, r.table, (*place)(r.lane.Control), eventCount(&r.lane.Control.Space))
	return r.writer, nil
}

// Reader takes the port that receives. If a live process has it, this one
// included, the error is ErrBusy and names that. Otherwise, whatever became of the
// last reader, the next record is the first one that has not been released.
func (r *Ring[T]) Reader() (*Reader[T], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, port.Fail("open reader of", r.object.Name, shm.ErrClosed)
	}
	c := &r.control.Cursor
	repaired, err := port.Claim(r.object, r.table, "reader", &c.Owner)
	if err != nil {
		return nil, port.Fail("open reader of", r.object.Name, err)
	}
	// The position is ours, so nothing behind it is overwritten meanwhile.
	pos := c.Position.Load()
	if err := r.lane.Check(pos); err != nil {
		port.GiveBack(r.table, &c.Owner)
		return nil, port.Fail("open reader of", r.object.Name, err)
	}
	if repaired {
		c.Repairs.Add(1)
	}
	// A writer may sleep whom the last reader has not told where it was.
	eventCount(&r.lane.Control.Space).Notify()
	r.reader = &Reader[T]{ring: r, untyped: r.untyped,
		core: receiver{body: &r.body, lane: lane.NewReader(r.lane, c, &r.control.Latency, pos), cursor: c, fixed: r.fixed}}
	r.reader.core.port.Init(r.object, r.table, (*place)(r.lane.Control), eventCount(&r.lane.Control.Data))
	return r.reader, nil
}

// Repair makes the ports of processes that have died free, and counts that. Nobody
// needs it: who takes such a port does the same. It returns how many there were.
func (r *Ring[T]) Repair() (repaired int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, port.Fail("repair", r.object.Name, shm.ErrClosed)
	}
	for _, p := range []struct {
		what           string
		owner, repairs *mem.Uint64
	}{
		{"writer", &r.lane.Control.Owner, &r.lane.Control.Repairs},
		{"reader", &r.control.Cursor.Owner, &r.control.Cursor.Repairs},
	} {
		if p.owner.Load() == 0 {
			continue
		}
		switch took, err := port.Claim(r.object, r.table, p.what, p.owner); {
		case errors.Is(err, ErrBusy):
			continue
		case err != nil:
			return repaired, port.Fail("repair", r.object.Name, err)
		case took:
			p.repairs.Add(1)
			repaired++
		}
		port.GiveBack(r.table, p.owner)
	}
	return repaired, nil
}
