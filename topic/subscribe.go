package topic

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/shm"
)

// From says where a subscription begins.
type From int

// Where a subscription begins, in the lane of each publisher.
const (
	Now    From = iota // with the next record
	Oldest             // with the oldest record that is still there
)

// MaxName is the length of the longest name of a subscription in bytes.
const MaxName = 16

// SubscribeOptions say how to subscribe. The zero value is a reliable subscription
// without a name, from now on.
type SubscribeOptions struct {
	// Lossy: publishers do not wait for the subscription. It is told what it misses.
	Lossy bool
	// From is where it begins; see History.
	From From
	// History, if it is not 0, is how many records of each publisher, of those that
	// are still there, it begins with.
	History int
	// Name, 1 to 16 bytes, makes the subscription outlive its process. If there is one
	// of this name it goes on behind the last record that was released, wherever From
	// and History would begin. Empty: it has none.
	Name string
}

// joinRounds bounds how often a join is begun anew because a publisher has been
// faster.
const joinRounds = 1000

// Subscribe makes a subscription, or goes on with the one of that name. If a live
// process has that, this one included, the error is ErrBusy and names it; if all
// places are taken it is ErrNoSlot.
//
// Cost: some system calls, and a look at the records that are there.
func (t *Topic[T]) Subscribe(o *SubscribeOptions) (*Subscription[T], error) {
	if o == nil {
		o = &SubscribeOptions{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, port.Fail("subscribe to", t.object.Name, shm.ErrClosed)
	}
	s, err := t.subscribe(o)
	if err != nil {
		return nil, port.Fail("subscribe to", t.object.Name, err)
	}
	t.ports[s] = struct{}{}
	return s, nil
}

func (t *Topic[T]) subscribe(o *SubscribeOptions) (*Subscription[T], error) {
	switch {
	case o.From != Now && o.From != Oldest, o.History < 0:
		return nil, fmt.Errorf("from %d, history of %d: %w", o.From, o.History, syscall.EINVAL)
	case o.Name != "" && o.Lossy:
		return nil, fmt.Errorf("a subscription with a name is reliable: %w", syscall.EINVAL)
	}
	j := &join{control: t.control, options: *o, marks: make([]lane.Mark, len(t.lanes))}
	var err error
	if o.Name == "" {
		if j.i, err = t.take(uint64(t.table.Self()) | layout.SubJoining); err == nil {
			j.word = uint64(t.table.Self()) | layout.SubJoining
			err = j.begin()
		}
	} else {
		err = j.named()
	}
	if err != nil {
		return nil, err
	}
	return t.subscription(j), nil
}

// join is a subscription that is being made.
type join struct {
	*control
	options SubscribeOptions
	i       int         // its place
	word    uint64      // of the place
	marks   []lane.Mark // where it begins, by lane
	missed  []uint64    // how many were overwritten while it was without a process, by lane; nil for none
}

// take takes a place that is free.
func (c *control) take(word uint64) (i int, err error) {
	for i := range c.places {
		free, err := c.settle(i)
		if err != nil {
			return 0, err
		}
		if free != 0 {
			continue
		}
		raise(&c.head.UsedPlaces, i+1) // before: publishers look no further
		if c.places[i].CompareAndSwap(0, word) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("all %d places have subscribers, with a name or alive: %w", len(c.places), ErrNoSlot)
}

// become changes the place word, which nobody else does but a publisher who drops the
// subscription: then it reports false.
func (j *join) become(word uint64) bool {
	if !j.places[j.i].CompareAndSwap(j.word, word) {
		return false
	}
	j.word = word
	return true
}

// cursor is that in a lane.
func (j *join) cursor(l int) *layout.Cursor { return &j.at(l)[j.i] }

// begin makes a new subscription of a place that is ours, and joining.
func (j *join) begin() error {
	j.clear()
	for range joinRounds {
		for l := range j.lanes {
			if _, err := j.pin(l); err != nil {
				return j.undo(err)
			}
		}
		if !j.options.Lossy {
			// The cursors first, so that publishers have to do with recent ones only.
			if !j.become(j.word | layout.SubReliable) {
				return j.undo(fmt.Errorf("place %d was taken away: %w", j.i, shm.ErrCorrupt))
			}
			j.head.Joins.Add(1) // pairs with the load in look; before our looks at the claims
		}
		for l := range j.lanes {
			if err := j.start(l); err != nil {
				return j.undo(err)
			}
		}
		if j.become(j.word &^ layout.SubJoining) {
			j.roomForAll() // who waited for a cursor that was too old
			return nil
		}
		j.word = j.places[j.i].Load() // dropped already: once more
	}
	return j.undo(fmt.Errorf("its publishers drop it before it has begun: %w", ErrDropped))
}

// undo gives the place back.
func (j *join) undo(err error) error {
	j.quit(j.i)
	return err
}

// quit gives a place back that is ours.
func (c *control) quit(i int) {
	for {
		word := c.places[i].Load()
		if c.places[i].CompareAndSwap(word, abandoned(word)) { // else it was dropped in between
			break
		}
	}
	c.roomForAll()
}

// clear sets the counters of the last subscription in this place to 0.
func (j *join) clear() {
	zero := func(words ...*mem.Uint64) {
		for _, w := range words {
			if w.Load() != 0 {
				w.Store(0)
			}
		}
	}
	row := &j.rows[j.i]
	zero(&row.Blocked, &row.Wakes, &row.LostWakes, &row.Drops)
	for i := range row.Latency.Buckets {
		if b := &row.Latency.Buckets[i]; b.Load() != 0 {
			b.Store(0)
		}
	}
	for l := range j.lanes {
		c := j.cursor(l)
		zero(&c.Messages, &c.Bytes, &c.Missed, &c.Lapped, &c.Wakes, &c.Active)
	}
	row.Joined.Store(uint64(time.Now().UnixNano()))
}

// pin puts the cursor in a lane where a walk to the start of the subscription begins.
func (j *join) pin(l int) (m lane.Mark, err error) {
	if j.options.From == Now && j.options.History == 0 {
		m, err = j.lanes[l].LastMark()
	} else {
		m, err = j.lanes[l].FirstMark()
	}
	if err != nil {
		return m, fmt.Errorf("lane %d: %w", l, err)
	}
	j.cursor(l).Position.Store(m.Position) // before the look at the claim: pairs with that of publishers
	return m, nil
}

// start finds where the subscription begins in a lane. Publishers may have overwritten
// what stands at the cursor before they could see it; after the second try they have.
func (j *join) start(l int) error {
	for range joinRounds {
		m, err := j.pin(l)
		if err != nil {
			return err
		}
		if !j.lanes[l].Intact(m.Position) {
			continue
		}
		at, err := j.walk(l, m)
		mem.LoadFence()
		if (err != nil || j.options.Lossy) && !j.lanes[l].Intact(m.Position) {
			continue // nobody waits for us, or not any more
		}
		if err != nil {
			return fmt.Errorf("lane %d: %w", l, err)
		}
		j.marks[l] = at
		c := j.cursor(l)
		c.Position.Store(at.Position)
		c.Flags.Store(at.Number - c.Messages.Load() - c.Missed.Load())
		return nil
	}
	return j.restless(l)
}

// restless is the error of who has not been fast enough, unless the lane is damaged.
func (j *join) restless(l int) error {
	if _, err := j.lanes[l].FirstMark(); err != nil {
		return fmt.Errorf("lane %d: %w", l, err)
	}
	return fmt.Errorf("lane %d is written so fast that nobody can join: %w", l, syscall.EAGAIN)
}

// walk goes from a mark to where the subscription begins.
func (j *join) walk(l int, m lane.Mark) (lane.Mark, error) {
	switch n := uint64(j.options.History); {
	case n > 0:
		end, err := j.lanes[l].Ahead(m, 1<<63)
		if err != nil {
			return m, err
		}
		return j.lanes[l].Ahead(m, end.Number-m.Number-min(end.Number-m.Number, n))
	case j.options.From == Oldest:
		return m, nil
	}
	return j.lanes[l].Ahead(m, 1<<63)
}

// The name of a subscription as two words.
func pack(name string) (w [2]uint64) {
	var b [MaxName]byte
	copy(b[:], name)
	return [2]uint64{binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])}
}

// nameOf is the name in a row.
func nameOf(row *layout.Subscriber) string {
	b := binary.LittleEndian.AppendUint64(nil, row.Name[0].Load())
	b = binary.LittleEndian.AppendUint64(b, row.Name[1].Load())
	return string(bytes.TrimRight(b, "\x00"))
}

func checkName(name string) error {
	if name == "" || len(name) > MaxName || name[len(name)-1] == 0 {
		return fmt.Errorf("name %q of a subscription: want 1 to %d bytes, the last not 0: %w", name, MaxName, fs.ErrInvalid)
	}
	return nil
}

// find finds the place of a name, other than one; -1 if there is none.
func (c *control) find(name string, other int) (i int, word uint64, err error) {
	for i := range c.usedPlaces() {
		if i == other || c.places[i].Load()&layout.SubNamed == 0 {
			continue
		}
		word, err := c.settle(i)
		if err != nil {
			return -1, 0, err
		}
		if word&layout.SubNamed != 0 && nameOf(&c.rows[i]) == name {
			return i, word, nil
		}
	}
	return -1, 0, nil
}

// nameRounds bounds how often two who want the same name at once make way for each
// other.
const nameRounds = 50

// named goes on with the subscription of the name, or begins it. A name is written,
// and then looked for elsewhere: of two who do so at once one at least sees the other,
// and makes way.
func (j *join) named() error {
	name, self := j.options.Name, uint64(j.table.Self())
	if err := checkName(name); err != nil {
		return err
	}
	var busy error
	for range nameRounds {
		i, word, err := j.find(name, -1)
		if err != nil {
			return err
		}
		if i < 0 {
			if j.i, err = j.take(self | layout.SubJoining); err != nil {
				return err
			}
			j.word = self | layout.SubJoining
			w := pack(name)
			j.rows[j.i].Name[0].Store(w[0])
			j.rows[j.i].Name[1].Store(w[1])
			j.become(j.word | layout.SubNamed) // pairs with the load in find
			if i, word, err = j.find(name, j.i); err == nil && i < 0 {
				return j.begin()
			}
			j.undo(nil)
			if err != nil {
				return err
			}
		}
		switch owner := layout.OwnerOf(word); {
		case owner == 0:
			if j.places[i].CompareAndSwap(word, self|word) {
				j.i, j.word = i, self|word
				return j.resume()
			}
			continue
		case word&layout.SubJoining == 0:
			return fmt.Errorf("%s has its subscription %q: %w", j.who(owner), name, ErrBusy)
		default:
			busy = fmt.Errorf("%s is about to make its subscription %q: %w", j.who(owner), name, ErrBusy)
		}
		time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
	}
	return busy
}

// resume goes on with a subscription that is ours now.
func (j *join) resume() error {
	for range joinRounds {
		var err error
		if j.word&layout.SubDropped == 0 {
			for l := range j.lanes {
				if err = j.number(l); err != nil {
					break
				}
			}
		} else if err = j.revive(); err == nil && !j.become(j.word&^(layout.SubJoining|layout.SubDropped)) {
			j.word = j.places[j.i].Load()
			continue
		}
		if word := j.places[j.i].Load(); word != j.word { // dropped meanwhile: what we have read may be anything
			j.word = word
			continue
		}
		if err != nil {
			return j.undo(err)
		}
		j.roomForAll() // publishers may sleep whom the last process has not told where it was
		return nil
	}
	return j.undo(fmt.Errorf("its publishers drop it before it has begun: %w", ErrDropped))
}

// revive makes one reliable again that was dropped, with what is left.
func (j *join) revive() error {
	if !j.become(j.word | layout.SubJoining | layout.SubReliable) {
		return nil // it was dropped once more
	}
	j.head.Joins.Add(1) // as in begin
	if j.missed == nil {
		j.missed = make([]uint64, len(j.lanes))
	}
	for l := range j.lanes {
		if err := j.catchUp(l); err != nil {
			return err
		}
	}
	return nil
}

// number finds the number of the record at a cursor that publishers wait for.
func (j *join) number(l int) error {
	c := j.cursor(l)
	pos := c.Position.Load()
	n, err := j.lanes[l].NumberOf(pos)
	if err != nil {
		return fmt.Errorf("subscription %q, lane %d: %w", j.options.Name, l, err)
	}
	j.marks[l] = lane.Mark{Position: pos, Number: n}
	if base := n - c.Messages.Load() - c.Missed.Load(); base != c.Flags.Load() {
		c.Flags.Store(base)
	}
	return nil
}

// catchUp goes on in a lane with a newer record if the one at the cursor has been
// overwritten.
func (j *join) catchUp(l int) error {
	c := j.cursor(l)
	for range joinRounds {
		if pos := c.Position.Load(); j.lanes[l].Intact(pos) {
			if err := j.number(l); err == nil || j.lanes[l].Intact(pos) {
				return err
			}
		}
		m, err := j.lanes[l].RecentMark()
		if err != nil {
			return fmt.Errorf("lane %d: %w", l, err)
		}
		n := m.Number - (c.Flags.Load() + c.Messages.Load() + c.Missed.Load())
		c.Position.Store(m.Position) // as in pin
		c.Missed.Store(c.Missed.Load() + n)
		c.Lapped.Store(c.Lapped.Load() + 1)
		j.missed[l] += n
	}
	return j.restless(l)
}

// Forget ends the subscription of a name: publishers do not wait for it any more. If a
// live process has it, the error is ErrBusy and names that; if there is none, it is
// fs.ErrNotExist.
func (t *Topic[T]) Forget(name string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return port.Fail("forget", t.object.Name, shm.ErrClosed)
	}
	return port.Fail("forget", t.object.Name, t.forget(name))
}

func (c *control) forget(name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	for {
		i, word, err := c.find(name, -1)
		switch {
		case err != nil:
			return err
		case i < 0:
			return fmt.Errorf("no subscription %q: %w", name, fs.ErrNotExist)
		case layout.OwnerOf(word) != 0:
			return fmt.Errorf("%s has its subscription %q: %w", c.who(layout.OwnerOf(word)), name, ErrBusy)
		}
		if c.places[i].CompareAndSwap(word, 0) {
			c.roomForAll()
			return nil
		}
	}
}
