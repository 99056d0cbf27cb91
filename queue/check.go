package queue

import (
	"errors"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/shm"
)

// findings is how many faults a check reports at most.
const findings = 20

// check looks for what no sequence of operations and deaths leads to. current says of
// the owner in a word whether it is a member, and whether it can be one.
func (b *body) check(current func(layout.Owner) (current, valid bool)) error {
	c := b.control
	var all []error
	head := c.Head.Load()
	if tail := c.Tail.Load(); head > tail {
		all = append(all, fmt.Errorf("at offset %d: head is %d, tail %d: %w", b.object.Body+2*layout.Line, head, tail, shm.ErrCorrupt))
	}
	for i := range b.slots.Len() {
		err := b.checkSlot(uint64(i), current)
		if err != nil {
			if all = append(all, err); len(all) == findings {
				break
			}
		}
	}
	return errors.Join(all...)
}

// steadyLooks is how often a slot that changes meanwhile is looked at. One that always
// changes is at work.
const steadyLooks = 100

// checkSlot looks at a slot until it has stood still meanwhile, or nothing is wrong.
func (b *body) checkSlot(i uint64, current func(layout.Owner) (current, valid bool)) error {
	s := b.slot(i)
	for range steadyLooks {
		w, meta := s.State.Load(), s.Meta.Load()
		err := b.checkState(i, w, meta, current)
		if err == nil || s.State.Load() == w && s.Meta.Load() == meta {
			return err
		}
	}
	return nil
}

func (b *body) checkState(i, w, meta uint64, current func(layout.Owner) (current, valid bool)) error {
	s, c := b.slot(i), b.control
	at := s.Position.Load()
	unknown := uint64(0xff) &^ layout.QueueKind
	switch kind(w) {
	case layout.QueueFree:
		// Tail is raised before a position stands in its slot.
		if p := position(w); w != 0 && (w&unknown != 0 || (p-1)&b.mask != i || p > c.Tail.Load()) {
			return b.corrupt(i, "state %#x is that of no free slot", w)
		}
		return nil
	case layout.QueueReady:
		unknown &^= layout.QueueMarked | layout.QueueStamped
		p := position(w)
		if w&unknown != 0 || p&b.mask != i || p != at || p >= c.Tail.Load() {
			return b.corrupt(i, "state %#x is that of no message, with position %d", w, at)
		}
		if _, err := b.lengthIn(p, meta); err != nil {
			return err
		}
		if w&layout.QueueMarked == 0 {
			if head := c.Head.Load(); p < head {
				return b.corrupt(i, "message %d stands unmarked behind the head, which is at %d", p, head)
			}
		} else if !b.marked(i) || c.Returned.Load()&1 == 0 {
			return b.corrupt(i, "message %d, which has been returned, is not found by its mark", p)
		}
		return nil
	}
	unknown &^= layout.QueuePassed
	member, valid := current(layout.OwnerOf(w))
	if w&unknown != 0 || !valid {
		return b.corrupt(i, "state %#x names no owner", w)
	}
	if !member {
		return b.corrupt(i, "state %#x is that of somebody who has gone, and nobody has taken it back", w)
	}
	if kind(w) == layout.QueueTaken && (at&b.mask != i || at >= c.Tail.Load()) {
		return b.corrupt(i, "message of position %d is taken", at)
	}
	return nil
}

// Check looks for what no sequence of operations and deaths leads to, and reports up to
// 20 faults, each with shm.ErrCorrupt. It changes nothing, and may be called while the
// queue is in use. Cost: a look at every slot.
func (q *Queue[T]) Check() error {
	if err := q.enter(); err != nil {
		return q.fail("check", err)
	}
	defer q.leave()
	return q.fail("check", q.check(q.table.Current))
}

// Repair takes back what the dead have left, which nobody need wait for: who waits, and
// who finds the queue empty or full, does the same. It also makes good what Check finds
// in the slots, as after a fault of memory or of a program: a message that nobody would
// find is returned, and one that cannot be right is dropped. It returns what Check says
// then.
func (q *Queue[T]) Repair() error {
	if err := q.enter(); err != nil {
		return q.fail("repair", err)
	}
	defer q.leave()
	q.table.SettleAll()
	err := q.table.Exclusive(func() error {
		for i := range q.slots.Len() {
			q.mend(uint64(i))
		}
		return nil
	})
	(*place)(q.control).Recheck()
	if err == nil {
		err = q.check(q.table.Current)
	}
	return q.fail("repair", err)
}

// mend makes good what is wrong with a slot.
// Preconditions: nobody else does.
func (q *Queue[T]) mend(i uint64) {
	s := q.slot(i)
	w := s.State.Load()
	switch k := kind(w); {
	case k == layout.QueueFree && (q.marked(i) || q.checkSlot(i, q.table.Current) != nil):
		// A mark belongs to who has the slot: take it first.
		if s.State.CompareAndSwap(w, claimed(q.self)) {
			q.unmark(i)
			s.State.CompareAndSwap(claimed(q.self), q.freeAgain(i))
			s.State.CompareAndSwap(claimed(q.self)|layout.QueuePassed, q.freeAgain(i))
			q.freed()
		}
	case k == layout.QueueReady && q.checkSlot(i, q.table.Current) != nil:
		if !s.State.CompareAndSwap(w, taken(q.self)) {
			return // not any more what it was
		}
		_, err := q.lengthIn(i, s.Meta.Load())
		if p := s.Position.Load(); err == nil && p&q.mask == i && p < q.control.Tail.Load() {
			q.giveBack(p, taken(q.self))
		} else {
			q.unmark(i)
			s.State.CompareAndSwap(taken(q.self), q.freeAgain(i))
			q.freed()
		}
		q.row.Returned.Add(1)
	case k == layout.QueueClaimed || k == layout.QueueTaken:
		if port.CheckOwner(q.table, "slot", w&^layout.OwnerFlags) == nil {
			if current, _ := q.table.Current(layout.OwnerOf(w)); current {
				return
			}
		}
		q.takeBack(int(i), w, q.row)
	}
}

// freeAgain is the state of a free slot that nothing is known of.
func (q *Queue[T]) freeAgain(i uint64) uint64 {
	// The first position of the slot that is not below the tail, so that none comes twice.
	tail := q.control.Tail.Load()
	s := q.slot(i)
	pos := tail + (i-tail)&q.mask
	s.Position.Release(pos - (q.mask + 1))
	return free(pos - q.mask)
}
