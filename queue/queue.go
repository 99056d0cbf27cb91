package queue

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

// Limits of [Options].
const (
	DefaultSlots      = 1024
	MaxSlots          = 1 << 20
	DefaultMaxMessage = 992
	MaxMaxMessage     = 1 << 30
)

// Options say how a queue is made. They do not matter for one that exists, but for
// Type.
type Options struct {
	// Slots is how many messages the queue holds, those that consumers have in hand
	// included: a power of two up to MaxSlots; 0 means DefaultSlots, 1024.
	Slots int
	// MaxMessage is the length of the longest message in bytes, if T is []byte: up to
	// MaxMaxMessage; 0 means DefaultMaxMessage, 992. Each slot takes 32 bytes more, and
	// is padded to a multiple of 128: what that leaves is to be had, too.
	MaxMessage int
	// Mode is the permissions of the object; 0 means 0600. Who uses a queue, at either
	// end, needs to read and write.
	Mode fs.FileMode
	// Group is the group of the object, by name or number; empty means the creator's.
	Group string
	// Type is the type of the messages, for programs that learn it when they run:
	// T is []byte then, and every message has its size. Nil means that of T.
	Type *schema.Schema
}

// Queue is an open queue. Its methods may be called by any goroutine.
type Queue[T any] struct {
	*body         // in an alias of the object's mapping: see the package comment on closing
	base    *body // in the mapping itself, for deaths and for Close
	alias   *object.Alias
	table   *member.Table
	self    layout.Owner
	row     *layout.QueueRow // our counters
	payload port.Payload[T]
	places  []T // of the slices in the slots, if T is []byte
	spin    struct{ send, receive park.Spinner }

	users  atomic.Int64  // goroutines that wait or look around; negative when closing
	looks  atomic.Uint32 // messages taken, and looks at a full queue
	clock  atomic.Uint64 // a recent time, nanoseconds since 1970
	stamp  atomic.Bool   // the next message is to be stamped
	mu     sync.Mutex
	closed bool
}

// Create makes a queue; if there is an object of that name already the error is
// fs.ErrExist. Nil options are the defaults.
func Create[T any](name string, o *Options) (*Queue[T], error) {
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

// Open opens a queue that exists; else the error is fs.ErrNotExist, or
// shm.ErrTypeMismatch if its messages are of another type.
func Open[T any](name string, o *Options) (*Queue[T], error) {
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

// OpenOrCreate opens the queue, and makes it if there is none. Any number of
// processes may do so at once.
func OpenOrCreate[T any](name string, o *Options) (*Queue[T], error) {
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

// Remove removes the queue: its name is free at once, and who has it open goes on
// using it. If there is none, the error is fs.ErrNotExist; what is no queue stays.
func Remove(name string) error {
	return object.Remove(name, func(k layout.Kind) bool { return k == layout.KindQueue })
}

// spec is the object that the options ask for.
func spec[T any](o *Options) (s object.Spec, err error) {
	if o == nil {
		o = &Options{}
	}
	typ, err := schema.Of[T]()
	if err != nil {
		return s, err
	}
	if o.Type != nil {
		if !typ.Untyped() {
			return s, fmt.Errorf("Options.Type is for queues of []byte: %w", syscall.EINVAL)
		}
		typ = o.Type
	}
	n := o.Slots
	if n == 0 {
		n = DefaultSlots
	}
	if n < 1 || n > MaxSlots || n&(n-1) != 0 {
		return s, fmt.Errorf("%d slots: want a power of two up to %d: %w", n, MaxSlots, syscall.EINVAL)
	}
	size := o.MaxMessage
	if size == 0 {
		size = DefaultMaxMessage
	}
	if size < 1 || size > MaxMaxMessage {
		return s, fmt.Errorf("messages of %d bytes: want up to %d: %w", size, MaxMaxMessage, syscall.EINVAL)
	}
	if !typ.Untyped() {
		size = typ.Size()
	}
	stride := (layout.QueueSlotSize + size + layout.Line - 1) &^ (layout.Line - 1)
	return object.Spec{
		Kind:   layout.KindQueue,
		Schema: typ,
		Size:   layout.QueueSlotsOffset(layout.DefaultSlots, n) + n*stride,
		Fill: func(body []byte) {
			q, err := mem.At[layout.Queue](body, 0)
			if err != nil {
				panic(err) // the size is ours
			}
			q.Slots, q.Stride = uint64(n), uint64(stride)
			q.Tail.Store(uint64(n))
			q.Head.Store(uint64(n))
		},
		Shm: shm.Options{Mode: o.Mode, Group: o.Group},
	}, nil
}

func open[T any](obj *object.Object) (*Queue[T], error) {
	q := &Queue[T]{}
	fail := func(err error) (*Queue[T], error) {
		if q.alias != nil {
			q.alias.Unmap()
		}
		obj.Segment.Close()
		return nil, port.Fail("open", obj.Name, err)
	}
	var err error
	if q.base, err = find(obj, obj.Segment.Bytes()); err != nil {
		return fail(err)
	}
	if q.alias, err = obj.Alias(); err != nil {
		return fail(err)
	}
	if q.body, err = find(obj, q.alias.Bytes()); err != nil {
		return fail(err)
	}
	typ, err := obj.Schema()
	if err != nil {
		return fail(err)
	}
	if q.payload, err = port.PayloadOf[T](typ); err != nil {
		return fail(err)
	}
	if q.payload.Untyped() {
		q.places = make([]T, q.slots.Len())
	}
	if q.table, err = obj.Join(member.Options{Repair: q.base.bury}); err != nil {
		return fail(err)
	}
	if n := q.table.Slots(); n != len(q.rows) {
		q.table.Leave()
		return fail(fmt.Errorf("%d member slots, and the header says %d: %w", n, len(q.rows), shm.ErrCorrupt))
	}
	q.self = q.table.Self()
	q.row = &q.rows[q.self.Slot()]
	q.clock.Store(now())
	return q, nil
}

// Name returns the name that the queue was opened by.
func (q *Queue[T]) Name() string { return q.object.Name }

// Slots returns how many messages the queue holds.
func (q *Queue[T]) Slots() int { return q.slots.Len() }

// MaxMessage returns the length of the longest message in bytes.
func (q *Queue[T]) MaxMessage() int { return q.max }

// enter begins something that Close waits for: a wait, or what needs the member table.
// leave ends it.
func (q *Queue[T]) enter() error {
	if q.users.Add(1) > 0 {
		return nil
	}
	q.users.Add(-1)
	return shm.ErrClosed
}

func (q *Queue[T]) leave() { q.users.Add(-1) }

// closing reports whether somebody has begun to close the queue: who waits gives up.
func (q *Queue[T]) closing() bool { return q.users.Load() < 0 }

// settle buries the dead, if nobody closes the queue.
func (q *Queue[T]) settle() (died bool) {
	if q.enter() != nil {
		return false
	}
	defer q.leave()
	return q.table.SettleAll()
}

// fail makes err, if it is one, the error of an operation. While the queue is being
// closed any may come of what is found in the memory, and means just that.
func (q *Queue[T]) fail(op string, err error) error {
	if err != nil && q.closing() {
		err = shm.ErrClosed
	}
	return port.Fail(op, q.object.Name, err)
}

// Close ends the use of the queue in this process. Who waits returns with
// shm.ErrClosed, and so do calls that are under way, unless what they do has been done.
// Messages that have been received and not acknowledged go back to the others, and open
// loans are cancelled; what this process still has of either is memory of its own, until
// the garbage collector has taken the queue, its messages and its loans. The queue
// stays, with all that is in it. Closing again does nothing.
func (q *Queue[T]) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return nil
	}
	q.closed = true
	q.users.Add(math.MinInt64)
	for pause := 10 * time.Microsecond; q.users.Load() != math.MinInt64; pause = min(2*pause, time.Millisecond) {
		(*place)(q.base.control).Recheck() // somebody may be just about to sleep
		time.Sleep(pause)
	}
	err := q.alias.Blank() // from here on nobody in this process changes the queue but we
	if err == nil {
		runtime.AddCleanup(q, func(a *object.Alias) { a.Unmap() }, q.alias)
	}
	q.base.giveUp(q.self)
	// Wake-ups that were meant for us are for the others, and some may not have been sent.
	q.base.reopen()
	(*place)(q.base.control).Recheck()
	q.table.Leave()
	return errors.Join(port.Fail("close", q.object.Name, err), q.object.Segment.Close())
}

// blank reports whether Close has taken the shared memory away: what comes before this
// in the program has been done to the queue if it says no. The number of slots never
// changes otherwise. On x86 locked instructions, and with arm64's release-acquire ones,
// no load is done before what precedes it.
func (b *body) blank() bool { return atomic.LoadUint64(&b.control.Slots) == 0 }

// giveUp gives back all that a member has.
// Preconditions: nobody else of its process is at work.
func (b *body) giveUp(self layout.Owner) {
	row := &b.rows[self.Slot()]
	for i := range b.slots.Len() {
		s := b.slots.At(i)
		w := s.State.Load()
		for ; ownedBy(w, self) && kind(w) == layout.QueueClaimed; w = s.State.Load() {
			pos := s.Position.Load()
			if pos&b.mask != uint64(i) {
				pos = uint64(i) // it has not been written yet
			}
			b.unmark(pos)
			if s.State.CompareAndSwap(w, free(pos+1)) { // else a consumer has passed it
				b.reopen()
			}
		}
		if ownedBy(w, self) && kind(w) == layout.QueueTaken {
			pos := s.Position.Load()
			if pos&b.mask != uint64(i) {
				continue // damaged: what is left over is taken back as from the dead
			}
			row.Nacked.Add(1)
			b.giveBack(pos, w)
		}
	}
}
