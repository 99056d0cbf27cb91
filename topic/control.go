package topic

import (
	"errors"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// control is a topic in mapped memory. What bounds it has been read once.
type control struct {
	object   *object.Object
	table    *member.Table // nil for who only looks
	head     *layout.Topic
	lanes    []lane.Lane
	places   []mem.Uint64
	rows     []layout.Subscriber
	cursors  []layout.Cursor // see layout.CursorsAt
	laneSize uint64
	policy   Policy
}

// find finds the parts of the topic in the object.
func find(o *object.Object) (c *control, err error) {
	b := o.Segment.Bytes()
	if size := o.Header.Size; size < uint64(len(b)) {
		b = b[:size]
	}
	c = &control{object: o}
	body := o.Body
	if c.head, err = mem.At[layout.Topic](b, body); err != nil {
		return nil, fmt.Errorf("topic: %v: %w", err, shm.ErrCorrupt)
	}
	lanes, n, size, policy := int(c.head.Lanes), int(c.head.Subscribers), c.head.LaneSize, c.head.Policy
	if lanes < 1 || lanes > MaxPublishers || n < 1 || n > MaxSubscribers {
		return nil, fmt.Errorf("at offset %d: %d lanes, %d subscribers: want 1 to %d, 1 to %d: %w",
			body, lanes, n, MaxPublishers, MaxSubscribers, shm.ErrCorrupt)
	}
	if size < lane.MinSize || size > lane.MaxSize || policy > layout.TopicDrop {
		return nil, fmt.Errorf("at offset %d: lane of %d bytes, policy %d: want %d to %d, 0 to %d: %w",
			body+8, size, policy, lane.MinSize, uint64(lane.MaxSize), layout.TopicDrop, shm.ErrCorrupt)
	}
	c.laneSize, c.policy = size, Policy(policy)
	for i := range lanes {
		l, err := lane.At(b, body+layout.TopicSize+i*layout.LaneSize, body+layout.DataAt(lanes, n)+i*int(size), size)
		if err != nil {
			return nil, fmt.Errorf("lane %d: %w", i, err)
		}
		c.lanes = append(c.lanes, l)
	}
	if c.places, err = mem.Array[mem.Uint64](b, body+layout.PlacesAt(lanes), n); err == nil {
		if c.rows, err = mem.Array[layout.Subscriber](b, body+layout.SubscribersAt(lanes, n), n); err == nil {
			c.cursors, err = mem.Array[layout.Cursor](b, body+layout.CursorsAt(lanes, n), lanes*n)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("subscribers: %v: %w", err, shm.ErrCorrupt)
	}
	return c, nil
}

// at returns the cursors in a lane.
func (c *control) at(lane int) []layout.Cursor {
	n := len(c.places)
	return c.cursors[lane*n:][:n]
}

// usedLanes bounds the lanes that have ever had a publisher.
func (c *control) usedLanes() int { return int(min(c.head.UsedLanes.Load(), uint32(len(c.lanes)))) }

// usedPlaces bounds the places that have ever had a subscriber.
func (c *control) usedPlaces() int { return int(min(c.head.UsedPlaces.Load(), uint32(len(c.places)))) }

// raise raises a bound to n at least.
func raise(bound *mem.Uint32, n int) {
	for {
		old := bound.Load()
		if old >= uint32(n) || bound.CompareAndSwap(old, uint32(n)) {
			return
		}
	}
}

func eventCount(w *mem.Uint32) *park.EventCount { return (*park.EventCount)(w) }

// roomForAll wakes publishers who wait for room: a subscriber has gone or moved.
func (c *control) roomForAll() {
	for i := range c.usedLanes() {
		eventCount(&c.lanes[i].Control.Space).Notify()
	}
}

// place is the topic as a member.Place. Who has died may have taken a wake-up with
// it: everybody looks again.
type place control

func (p *place) Recheck() {
	c := (*control)(p)
	eventCount(&c.head.Data).NotifyAll()
	for i := range c.usedLanes() {
		eventCount(&c.lanes[i].Control.Space).NotifyAll()
	}
}

// who names an owner, for messages.
func (c *control) who(owner layout.Owner) string {
	report, err := member.Read(c.object.Segment, c.object.Members())
	if err == nil {
		if m := report.Find(owner); m != nil {
			return fmt.Sprintf("process %d", m.PID)
		}
		err = errors.New("gone by now")
	}
	return fmt.Sprintf("the process in slot %d (%v)", owner.Slot(), err)
}

// legal reports a place word that cannot be.
func legal(i int, word uint64) error {
	owner, flags := layout.OwnerOf(word), word&layout.OwnerFlags
	const both = layout.SubReliable | layout.SubDropped
	switch {
	case word&0xffff&^layout.SubFlags != 0,
		owner == 0 && word != 0 && flags&layout.SubNamed == 0,
		owner == 0 && flags&layout.SubJoining != 0,
		flags&both == both && flags&layout.SubJoining == 0:
		return fmt.Errorf("place of subscriber %d is %#x, which is impossible: %w", i, word, shm.ErrCorrupt)
	}
	return nil
}

// abandoned is what becomes of a place when its process leaves it, or dies.
func abandoned(word uint64) uint64 {
	switch {
	case word&layout.SubNamed == 0:
		return 0
	case word&layout.SubJoining == 0:
		return word & layout.SubFlags
	case word&layout.SubDropped == 0: // for the first time
		return 0
	}
	return layout.SubNamed | layout.SubDropped
}

// settle takes a place back if its process has gone, and returns its word.
func (c *control) settle(i int) (word uint64, err error) {
	for {
		word = c.places[i].Load()
		if err := legal(i, word); err != nil {
			return 0, err
		}
		owner := layout.OwnerOf(word)
		if owner == 0 {
			return word, nil
		}
		current, valid := c.table.Settle(owner)
		if !valid {
			return 0, fmt.Errorf("place of subscriber %d is %#x, which is impossible: %w", i, word, shm.ErrCorrupt)
		}
		if current {
			return word, nil
		}
		if c.places[i].CompareAndSwap(word, abandoned(word)) {
			c.rows[i].Repairs.Add(1)
			c.table.Head().Repairs.Add(1)
		}
	}
}
