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
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

// Limits of [Options.Size] in bytes.
const (
	DefaultSize = 1 << 20
	MinSize     = lane.MinSize
	MaxSize     = lane.MaxSize
)

// Options say how a ring is made. They do not matter for one that exists.
type Options struct {
	// Size is how many bytes of records fit, each with 8 bytes before it and padded to
	// a multiple of 8: a power of two from MinSize to MaxSize; 0 means DefaultSize,
	// 1 MiB. A record takes at most half of it.
	Size int
	// Mode is the permissions of the object; 0 means 0600. Who uses a ring, at either
	// end, needs to read and write.
	Mode fs.FileMode
	// Group is the group of the object, by name or number; empty means the
	// creator's.
	Group string
}

// Ring is an open ring. Its own methods may be called by any goroutine.
type Ring[T any] struct {
	object  *object.Object
	table   *member.Table
	control *layout.Ring
	lane    lane.Lane
	length  int // of every record; -1 if each has its own

	mu     sync.Mutex
	closed bool
	writer *Writer[T]
	reader *Reader[T]
}

// Create makes a ring; if there is an object of that name already the error is
// fs.ErrExist. Nil options are the defaults.
func Create[T any](name string, o *Options) (*Ring[T], error) {
	s, err := spec[T](o)
	if err != nil {
		return nil, fail("create", name, err)
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
		return nil, fail("open", name, err)
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
		return nil, fail("open", name, err)
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
	r := &Ring[T]{object: obj, length: -1}
	if err := r.find(); err != nil {
		obj.Segment.Close()
		return nil, fail("open", obj.Name, err)
	}
	t, err := obj.Join(member.Options{})
	if err != nil {
		obj.Segment.Close()
		return nil, err
	}
	r.table = t
	return r, nil
}

// find finds the parts of the ring in the object.
func (r *Ring[T]) find() (err error) {
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
	typ, err := schema.Of[T]()
	if err != nil {
		return err
	}
	if !typ.Untyped() {
		r.length = typ.Size()
	}
	if r.length > r.MaxRecord() {
		return fmt.Errorf("type of %d bytes in a ring whose records have at most %d: %w", r.length, r.MaxRecord(), ErrTooLarge)
	}
	return nil
}

// Name returns the name that the ring was opened by.
func (r *Ring[T]) Name() string { return r.object.Name }

// MaxRecord returns the length of the longest record in bytes: 16 less than half
// the ring's size.
func (r *Ring[T]) MaxRecord() int { return lane.MaxRecord(r.lane.Data.Size()) }

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
		r.writer.close()
	}
	if r.reader != nil {
		r.reader.close()
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
		return nil, fail("open writer of", r.object.Name, shm.ErrClosed)
	}
	if err := r.claim("writer", &r.lane.Control.Owner); err != nil {
		return nil, fail("open writer of", r.object.Name, err)
	}
	l, err := lane.NewWriter(r.lane)
	if err != nil {
		r.giveBack(&r.lane.Control.Owner)
		return nil, fail("open writer of", r.object.Name, err)
	}
	r.writer = &Writer[T]{
		port:   port[T]{ring: r, owner: &r.lane.Control.Owner, event: eventCount(&r.lane.Control.Space)},
		lane:   l,
		limit:  r.MaxRecord(),
		length: r.length,
	}
	return r.writer, nil
}

// Reader takes the port that receives. If a live process has it, this one
// included, the error is ErrBusy and names that. Otherwise, whatever became of the
// last reader, the next record is the first one that has not been released.
func (r *Ring[T]) Reader() (*Reader[T], error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, fail("open reader of", r.object.Name, shm.ErrClosed)
	}
	c := &r.control.Cursor
	if err := r.claim("reader", &c.Owner); err != nil {
		return nil, fail("open reader of", r.object.Name, err)
	}
	// The position is ours, so nothing behind it is overwritten meanwhile.
	pos := c.Position.Load()
	if err := r.lane.Check(pos); err != nil {
		r.giveBack(&c.Owner)
		return nil, fail("open reader of", r.object.Name, err)
	}
	// A writer may sleep whom the last reader has not told where it was.
	eventCount(&r.lane.Control.Space).Notify()
	r.reader = &Reader[T]{
		port:   port[T]{ring: r, owner: &c.Owner, event: eventCount(&r.lane.Control.Data)},
		lane:   lane.NewReader(r.lane, c, pos),
		length: r.length,
	}
	return r.reader, nil
}

// claim takes a port whose owner is nobody, or has gone.
// Preconditions: r.mu is held.
func (r *Ring[T]) claim(role string, owner *mem.Uint64) error {
	for {
		word := owner.Load()
		if word != 0 {
			current, valid := r.table.Settle(layout.Owner(word))
			if !valid {
				return fmt.Errorf("owner of its %s is %#x, which is impossible: %w", role, word, shm.ErrCorrupt)
			}
			if current {
				return fmt.Errorf("process %s has its %s: %w", r.pid(layout.Owner(word)), role, ErrBusy)
			}
		}
		if owner.CompareAndSwap(word, uint64(r.table.Self())) {
			if word != 0 {
				r.table.Head().Repairs.Add(1)
			}
			return nil
		}
	}
}

// pid names an owner, for messages.
func (r *Ring[T]) pid(o layout.Owner) string {
	report, err := member.Read(r.object.Segment, r.object.Members())
	if err == nil {
		if m := report.Find(o); m != nil {
			return fmt.Sprint(m.PID)
		}
		err = errors.New("gone by now")
	}
	return fmt.Sprintf("in slot %d (%v)", o.Slot(), err)
}

// giveBack makes a port of ours nobody's.
func (r *Ring[T]) giveBack(owner *mem.Uint64) { owner.CompareAndSwap(uint64(r.table.Self()), 0) }
