package topic

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
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

// Defaults and limits of [Options].
const (
	DefaultPublishers  = 8
	MaxPublishers      = 1024
	DefaultSubscribers = 64
	MaxSubscribers     = 16384
	DefaultLaneSize    = 128 << 10
	MinLaneSize        = lane.MinSize
	MaxLaneSize        = lane.MaxSize
)

// Policy is what publishers do when a reliable subscriber has not released what they
// would have to overwrite.
type Policy int

// The policies.
const (
	Wait   Policy = layout.TopicWait   // wait for it, as long as the context allows
	Refuse Policy = layout.TopicRefuse // fail with ErrFull
	Drop   Policy = layout.TopicDrop   // make it lossy; see ErrDropped
)

// String returns the policy's name: "wait".
func (p Policy) String() string {
	switch p {
	case Wait:
		return "wait"
	case Refuse:
		return "refuse"
	case Drop:
		return "drop"
	}
	return fmt.Sprintf("policy %d", int(p))
}

// Options say how a topic is made. But for Type they do not matter for one that
// exists.
type Options struct {
	// Publishers is how many there can be at a time, 1 to MaxPublishers; 0 means
	// DefaultPublishers, 8. Each has a lane, whose memory is reserved from the start.
	Publishers int
	// Subscribers is how many there can be at a time, 1 to MaxSubscribers, named ones
	// without a process included; 0 means DefaultSubscribers, 64. Each takes 640 bytes,
	// and 128 for each lane. No more than 1024 processes have a topic open at a time.
	Subscribers int
	// LaneSize is how many bytes of records of one publisher fit, each with 8 bytes
	// before it, some with 8 behind it, and padded to a multiple of 8: a power of two
	// from MinLaneSize to MaxLaneSize; 0 means DefaultLaneSize, 128 KiB. A record takes
	// at most half of it. It is how far a subscriber may fall behind.
	LaneSize int
	// Policy is what publishers do when a subscriber has fallen behind so far.
	Policy Policy
	// Mode is the permissions of the object; 0 means 0600. Who uses a topic needs to
	// read and write; who observes it, to read.
	Mode fs.FileMode
	// Group is the group of the object, by name or number; empty means the
	// creator's.
	Group string
	// Type makes or opens, with T = []byte, a topic whose records are values of a type
	// that the program learns only when it runs. Their bytes are those of the values,
	// and have the type's length. Nil: T says what the records are.
	Type *schema.Schema
}

// Topic is an open topic. Its own methods may be called by any goroutine.
type Topic[T any] struct {
	*control
	payload port.Payload[T]
	typ     *schema.Schema

	mu     sync.Mutex
	closed bool
	ports  map[interface{ close() }]struct{} // those that are open here
}

// Create makes a topic; if there is an object of that name already the error is
// fs.ErrExist. Nil options are the defaults.
func Create[T any](name string, o *Options) (*Topic[T], error) {
	s, err := spec[T](o)
	if err != nil {
		return nil, port.Fail("create", name, err)
	}
	obj, err := object.Create(name, s)
	if err != nil {
		return nil, err
	}
	return open[T](obj, s.Schema)
}

// Open opens a topic that exists; else the error is fs.ErrNotExist, or
// shm.ErrTypeMismatch if its records are of another type.
func Open[T any](name string, o *Options) (*Topic[T], error) {
	s, err := spec[T](o)
	if err != nil {
		return nil, port.Fail("open", name, err)
	}
	obj, err := object.Open(name, s)
	if err != nil {
		return nil, err
	}
	return open[T](obj, s.Schema)
}

// OpenOrCreate opens the topic, and makes it if there is none. Any number of
// processes may do so at once.
func OpenOrCreate[T any](name string, o *Options) (*Topic[T], error) {
	s, err := spec[T](o)
	if err != nil {
		return nil, port.Fail("open", name, err)
	}
	obj, _, err := object.OpenOrCreate(name, s)
	if err != nil {
		return nil, err
	}
	return open[T](obj, s.Schema)
}

// Remove removes the topic: its name is free at once, and who has it open goes on
// using it. If there is none, the error is fs.ErrNotExist; what is no topic stays.
func Remove(name string) error {
	return object.Remove(name, func(k layout.Kind) bool { return k == layout.KindTopic })
}

// or is n, or what it is by default.
func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// spec is the object that the options ask for.
func spec[T any](o *Options) (s object.Spec, err error) {
	if o == nil {
		o = &Options{}
	}
	lanes, n := or(o.Publishers, DefaultPublishers), or(o.Subscribers, DefaultSubscribers)
	size := or(o.LaneSize, DefaultLaneSize)
	switch {
	case lanes < 1 || lanes > MaxPublishers:
		return s, fmt.Errorf("%d publishers: want 1 to %d: %w", lanes, MaxPublishers, syscall.EINVAL)
	case n < 1 || n > MaxSubscribers:
		return s, fmt.Errorf("%d subscribers: want 1 to %d: %w", n, MaxSubscribers, syscall.EINVAL)
	case size < MinLaneSize || size > MaxLaneSize || size&(size-1) != 0:
		return s, fmt.Errorf("lanes of %d bytes: want a power of two from %d to %d: %w",
			size, MinLaneSize, MaxLaneSize, syscall.EINVAL)
	case o.Policy < Wait || o.Policy > Drop:
		return s, fmt.Errorf("%v: want wait, refuse or drop: %w", o.Policy, syscall.EINVAL)
	}
	typ, err := schema.Of[T]()
	if err != nil {
		return s, err
	}
	if o.Type != nil {
		if !typ.Untyped() {
			return s, fmt.Errorf("Options.Type goes with []byte, not with a type: %w", syscall.EINVAL)
		}
		typ = o.Type
	}
	if limit := lane.MaxRecord(uint64(size)); typ.Size() > limit {
		return s, fmt.Errorf("type of %d bytes in lanes of %d, whose records have at most %d: %w",
			typ.Size(), size, limit, ErrTooLarge)
	}
	return object.Spec{
		Kind:   layout.KindTopic,
		Slots:  min(lanes+n, layout.MaxSlots), // a process for each port
		Schema: typ,
		Size:   layout.DataAt(lanes, n) + lanes*size,
		Fill: func(body []byte) {
			t, err := mem.At[layout.Topic](body, 0)
			if err != nil {
				panic(err) // the size is ours
			}
			t.Lanes, t.Subscribers, t.LaneSize, t.Policy = uint32(lanes), uint32(n), uint64(size), uint32(o.Policy)
		},
		Shm: shm.Options{Mode: o.Mode, Group: o.Group},
	}, nil
}

func open[T any](obj *object.Object, typ *schema.Schema) (*Topic[T], error) {
	t := &Topic[T]{typ: typ, ports: map[interface{ close() }]struct{}{}}
	err := t.find(obj)
	if err != nil {
		obj.Segment.Close()
		return nil, port.Fail("open", obj.Name, err)
	}
	if t.table, err = obj.Join(member.Options{}); err != nil {
		obj.Segment.Close()
		return nil, err
	}
	return t, nil
}

func (t *Topic[T]) find(obj *object.Object) (err error) {
	if t.control, err = find(obj); err != nil {
		return err
	}
	if t.payload, err = port.PayloadOf[T](t.typ); err != nil {
		return err
	}
	if n := t.payload.Length; n > t.MaxRecord() {
		return fmt.Errorf("type of %d bytes in a topic whose records have at most %d: %w", n, t.MaxRecord(), ErrTooLarge)
	}
	return nil
}

// Name returns the name that the topic was opened by.
func (t *Topic[T]) Name() string { return t.object.Name }

// Schema returns the type of the records.
func (t *Topic[T]) Schema() *schema.Schema { return t.typ }

// MaxRecord returns the length of the longest record in bytes: 24 less than half a
// lane.
func (t *Topic[T]) MaxRecord() int { return lane.MaxRecord(t.laneSize) }

// Close closes the publishers and subscriptions that are open here, and ends the use
// of the topic, which stays for the others with all that is in it. What Loan and Peek
// have given out must not be touched any more. Closing again does nothing.
func (t *Topic[T]) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	for p := range t.ports {
		p.close()
	}
	t.table.Leave()
	return t.object.Segment.Close()
}

// leave closes a port.
func (t *Topic[T]) leave(p interface{ close() }) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		p.close()
		delete(t.ports, p)
	}
}

// Publisher takes a lane that is free, or whose owner has died: whatever became of
// that one, the next record follows the last one that was committed. If all lanes
// belong to live processes the error is ErrNoSlot, and names them.
func (t *Topic[T]) Publisher() (*Publisher[T], error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, port.Fail("publish to", t.object.Name, shm.ErrClosed)
	}
	p, err := t.publisher()
	if err != nil {
		return nil, port.Fail("publish to", t.object.Name, err)
	}
	t.ports[p] = struct{}{}
	return p, nil
}

func (t *Topic[T]) publisher() (*Publisher[T], error) {
	i, repaired, err := t.takeLane()
	if err != nil {
		return nil, err
	}
	l := &t.lanes[i]
	raise(&t.head.UsedLanes, i+1) // before the first record: subscribers look no further
	w, err := lane.NewWriter(*l, &t.head.Data)
	if err != nil {
		port.GiveBack(t.table, &l.Control.Owner)
		return nil, fmt.Errorf("lane %d: %w", i, err)
	}
	w.WakeFew(&t.head.Rest)
	if repaired {
		l.Control.Repairs.Add(1)
	}
	p := &Publisher[T]{topic: t, number: i, lane: w, cursors: t.at(i), limit: t.MaxRecord(), payload: t.payload,
		gate: w.Position()}
	p.port.Init(t.object, t.table, (*place)(t.control), eventCount(&l.Control.Space))
	return p, nil
}

// takeLane takes the first lane that is nobody's, or a dead one's.
func (t *Topic[T]) takeLane() (i int, repaired bool, err error) {
	var owners []layout.Owner
	for i := range t.lanes {
		owner := &t.lanes[i].Control.Owner
		if o := layout.Owner(owner.Load()); o != 0 {
			if current, _ := t.table.Settle(o); current {
				owners = append(owners, o)
				continue
			}
		}
		repaired, err := port.Claim(t.object, t.table, fmt.Sprintf("lane %d", i), owner)
		switch {
		case err == nil:
			return i, repaired, nil
		case !errors.Is(err, ErrBusy):
			return 0, false, err
		}
		owners = append(owners, layout.Owner(owner.Load()))
	}
	return 0, false, fmt.Errorf("all %d lanes have live publishers: %s: %w", len(t.lanes), t.all(owners), ErrNoSlot)
}

// all names some owners, for messages.
func (c *control) all(owners []layout.Owner) string {
	report, err := member.Read(c.object.Segment, c.object.Members())
	if err != nil {
		return err.Error()
	}
	var names []string
	for _, o := range owners {
		if m := report.Find(o); m != nil && len(names) < 16 {
			names = append(names, fmt.Sprint(m.PID))
		}
	}
	return "processes " + strings.Join(names, ", ")
}
