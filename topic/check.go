package topic

import (
	"errors"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/shm"
)

// Check looks for what no sequence of operations and deaths leads to, and reports all
// of it with shm.ErrCorrupt. It changes nothing, and may be called while the topic is
// in use.
func (t *Topic[T]) Check() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return port.Fail("check", t.object.Name, shm.ErrClosed)
	}
	return port.Fail("check", t.object.Name, t.check())
}

// check finds every broken invariant.
func (c *control) check() error {
	var found []error
	lanes, places := c.head.UsedLanes.Load(), c.head.UsedPlaces.Load()
	if lanes > uint32(len(c.lanes)) || places > uint32(len(c.places)) {
		found = append(found, fmt.Errorf("used are %d lanes of %d, %d places of %d: %w",
			lanes, len(c.lanes), places, len(c.places), shm.ErrCorrupt))
	}
	slots := uint64(c.object.Header.Slots)
	owner := func(what string, word uint64) {
		if o := layout.OwnerOf(word); o != 0 && uint64(o.Slot()) >= slots {
			found = append(found, fmt.Errorf("owner of %s is %#x, which is impossible: %w", what, word, shm.ErrCorrupt))
		}
	}
	names := map[string]int{}
	for i := range c.places {
		word := c.places[i].Load()
		if err := legal(i, word); err != nil {
			found = append(found, err)
			continue
		}
		owner(fmt.Sprintf("place %d", i), word)
		if word != 0 && i >= c.usedPlaces() { // which is raised before a place is taken
			found = append(found, fmt.Errorf("place %d is %#x, and used are %d: %w", i, word, c.usedPlaces(), shm.ErrCorrupt))
		}
		if word&layout.SubNamed != 0 && word&layout.SubJoining == 0 {
			name := nameOf(&c.rows[i])
			if other, twice := names[name]; twice && c.places[i].Load() == word {
				found = append(found, fmt.Errorf("subscribers %d and %d have the name %q: %w", other, i, name, shm.ErrCorrupt))
			}
			names[name] = i
		}
	}
	for i := range c.lanes {
		word := c.lanes[i].Control.Owner.Load()
		if word&layout.OwnerFlags != 0 || word&0xff00 != 0 {
			found = append(found, fmt.Errorf("owner of lane %d is %#x, which is impossible: %w", i, word, shm.ErrCorrupt))
		}
		owner(fmt.Sprintf("lane %d", i), word)
		if err := c.checkLane(i); err != nil {
			found = append(found, fmt.Errorf("lane %d: %w", i, err))
		}
	}
	return errors.Join(found...)
}

// errRestless: it has always moved on.
var errRestless = errors.New("it is used so fast that it cannot be looked at; try again")

// checkLane reads a lane from its oldest mark, and from each cursor that publishers
// wait for.
func (c *control) checkLane(l int) error {
	if err := c.steady(func() (bool, error) {
		m, err := c.lanes[l].FirstMark()
		if err != nil {
			return true, err
		}
		err = c.lanes[l].Check(m.Position)
		return c.lanes[l].Intact(m.Position), err
	}); err != nil {
		return err
	}
	seen := map[uint64]bool{}
	for i := range c.usedPlaces() {
		if err := c.steady(func() (bool, error) {
			word, cursor := c.places[i].Load(), &c.at(l)[i].Position
			pos := cursor.Load()
			if word&layout.SubReliable == 0 || word&layout.SubJoining != 0 || seen[pos] {
				return true, nil
			}
			err := c.checkCursor(l, pos)
			seen[pos] = err == nil
			return c.places[i].Load() == word && cursor.Load() == pos, err
		}); err != nil {
			return fmt.Errorf("subscriber %d: %w", i, err)
		}
	}
	return nil
}

// checkCursor finds a cursor at which no record begins, or that lies further back than
// the lane is long.
func (c *control) checkCursor(l int, pos uint64) error {
	last, err := c.lanes[l].LastMark()
	if err != nil {
		return err
	}
	if last.Position > pos && last.Position-pos > c.laneSize {
		return fmt.Errorf("cursor at position %d, last mark at %d, in a lane of %d bytes: %w",
			pos, last.Position, c.laneSize, shm.ErrCorrupt)
	}
	_, err = c.lanes[l].NumberOf(pos)
	return err
}

// steady calls f until it has found nothing wrong, or what it looked at has stood still
// meanwhile.
func (c *control) steady(f func() (still bool, err error)) error {
	for range 1000 {
		if still, err := f(); err == nil || still {
			return err
		}
	}
	return errRestless
}

// Repair takes back what processes that have died had of the topic, and returns how
// many lanes and places that were. It is never necessary: who needs them does the same.
func (t *Topic[T]) Repair() (repaired int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, port.Fail("repair", t.object.Name, shm.ErrClosed)
	}
	for i := range t.lanes {
		owner := &t.lanes[i].Control.Owner
		word := owner.Load()
		if word == 0 {
			continue
		}
		current, valid := t.table.Settle(layout.Owner(word))
		if !valid {
			return repaired, port.Fail("repair", t.object.Name, port.CheckOwner(t.table, fmt.Sprintf("lane %d", i), word))
		}
		if !current && owner.CompareAndSwap(word, 0) {
			t.table.Head().Repairs.Add(1)
			t.lanes[i].Control.Repairs.Add(1)
			repaired++
		}
	}
	for i := range t.usedPlaces() {
		before := t.places[i].Load()
		after, err := t.settle(i)
		if err != nil {
			return repaired, port.Fail("repair", t.object.Name, err)
		}
		if layout.OwnerOf(before) != 0 && layout.OwnerOf(after) != layout.OwnerOf(before) {
			repaired++
		}
	}
	if repaired > 0 {
		t.roomForAll()
	}
	return repaired, nil
}
