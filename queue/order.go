package queue

import (
	"fmt"
	"math/bits"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/shm"
)

// near is how many slots, from the tail on, a producer looks at before it looks at all.
const near = 16

// maxPosition is where positions come to after centuries: they fit into a state.
const maxPosition = 1<<(64-layout.QueuePosition) - 2*MaxSlots

// claim claims a free slot for self, among the first n from the tail on, and returns the
// position that its message will have; ok is false if there is none.
func (b *body) claim(self layout.Owner, n int) (pos uint64, ok bool, err error) {
	c := b.control
	skips := c.Skips.Load() // before the tail: see the package comment
	for {
		tail := c.Tail.Load()
		if tail > maxPosition {
			return 0, false, fmt.Errorf("at offset %d: tail is %d: %w", b.object.Body+layout.Line, tail, shm.ErrCorrupt)
		}
		stale := false
		for pos := tail; pos < tail+uint64(n); pos++ {
			s := b.slot(pos)
			w := s.State.Load()
			if kind(w) != layout.QueueFree {
				continue
			}
			if position(w) > pos {
				stale = true // used since we read the tail
				break
			}
			if !s.State.CompareAndSwap(w, claimed(self)) {
				continue
			}
			raise(&c.Tail, pos+1)
			b.prefetch(pos)
			s.Position.Release(pos)
			// Pairs with the addition in pass, whose next look sees our claim if this
			// load does not see it.
			if c.Skips.Load() != skips {
				s.State.Store(claimed(self) | layout.QueuePassed)
			}
			return pos, true, nil
		}
		if !stale {
			return 0, false, nil
		}
		if now := c.Tail.Load(); now == tail {
			return 0, false, b.corrupt(tail, "free for positions behind the tail, which is at %d", tail)
		}
	}
}

// publish makes a claimed slot a message of n bytes, with further flags of its state.
func (b *body) publish(self layout.Owner, pos uint64, n int, flags uint64) error {
	s := b.slot(pos)
	s.Meta.Release(uint64(uint32(n)))
	if s.State.CompareAndSwap(claimed(self), ready(pos)|flags) { // pairs with the loads in take and pass
		return nil
	}
	if s.State.Load() != claimed(self)|layout.QueuePassed {
		return b.corrupt(pos, "state is %#x, of what we had claimed", s.State.Load())
	}
	b.mark(pos)
	if !s.State.CompareAndSwap(claimed(self)|layout.QueuePassed, ready(pos)|layout.QueueMarked|flags) {
		return b.corrupt(pos, "state is %#x, of what we had claimed", s.State.Load()) // or it is blank now
	}
	return nil
}

// take takes the first message for self; ok is false if there is none. It returns the
// state that the slot had.
func (b *body) take(self layout.Owner) (pos, state uint64, ok bool, err error) {
	c := b.control
	rest := b.rest()
	for !rest.overdue(b) {
		returned := c.Returned.Load()
		if returned&1 != 0 {
			pos, state, ok, err = b.takeReturned(self, returned)
			if ok || err != nil {
				return pos, state, ok, err
			}
		}
		head := c.Head.Load()
		s := b.slot(head)
		w := s.State.Load()
		if kind(w) == layout.QueueReady && position(w) == head {
			ok, err := b.grab(self, head, w)
			if ok || err != nil {
				return head, w, ok, err
			}
			continue
		}
		tail := c.Tail.Load()
		if head >= tail {
			if head > tail {
				return 0, 0, false, fmt.Errorf("at offset %d: head is %d, tail %d: %w",
					b.object.Body+2*layout.Line, head, tail, shm.ErrCorrupt)
			}
			if c.Returned.Load() == returned {
				return 0, 0, false, nil
			}
			continue
		}
		if b.done(head, w) {
			// The others may be faster by some: overtake them.
			next, end := head+1, min(head+overtake, tail)
			for next < end && b.done(next, b.slot(next).State.Load()) {
				next++
			}
			if next == end && tail-next > 2*(b.mask+1) && c.Head.Load() == head {
				next = b.leap(next, tail)
			}
			raise(&c.Head, next)
			continue
		}
		next, found := b.ahead(head, tail)
		if !found {
			if c.Returned.Load() == returned && c.Head.Load() == head {
				return 0, 0, false, nil
			}
			continue
		}
		if next != head && !moves(s, w) {
			b.pass(head, next)
		}
	}
	return 0, 0, false, fmt.Errorf("its head and tail do not come to rest: %w", shm.ErrCorrupt)
}

// rest tells whether a consumer goes round in damaged words. In a sound queue it goes
// round again only because others have been faster, and what they do is to be seen in
// the slots. While those stay as they are a few rounds lead to a message, or show that
// there is none, whether somebody is slow or not.
type rest struct {
	left  int    // rounds until the next look at the slots
	slots uint64 // their sum at the last one
}

func (b *body) rest() rest { return rest{left: 1000 + b.slots.Len()/8} } // a head not far behind needs 1/32 to get on

// overdue begins a round. It reports whether there have been more than can be without
// anybody else doing something.
func (r *rest) overdue(b *body) bool {
	r.left--
	return r.left < 0 && r.overdueSlow(b)
}

func (r *rest) overdueSlow(b *body) bool {
	before := r.slots
	*r = b.rest()
	r.slots = b.sum()
	return r.slots == before
}

// sum is a checksum of the slots, FNV-1a by words: it changes, but for some chance, with
// everything that anybody does to one.
func (b *body) sum() uint64 {
	h := uint64(14695981039346656037)
	for i := range b.slots.Len() {
		s := b.slots.At(i)
		for _, w := range [...]uint64{s.State.Load() &^ layout.QueuePassed, s.Position.Load(), s.Meta.Load()} {
			h = (h ^ w) * 1099511628211
		}
	}
	return h
}

// overtake is how many positions a consumer looks at before it raises the head past them,
// if they are done.
const overtake = 64

// grab takes the message at a position, whose state is w, and begins its delivery.
func (b *body) grab(self layout.Owner, pos, w uint64) (ok bool, err error) {
	s := b.slot(pos)
	meta := s.Meta.Load() // if we get the slot it has not changed since it was ready
	if _, err := b.lengthIn(pos, meta); err != nil {
		if s.State.Load() != w {
			return false, nil
		}
		return false, err
	}
	if !s.State.CompareAndSwap(w, taken(self)) { // pairs with the store in publish: the message is complete
		return false, nil
	}
	if w&layout.QueueMarked != 0 {
		b.unmark(pos)
	}
	raise(&b.control.Head, pos+1)
	s.Meta.Release(meta + 1<<32)
	return true, nil
}

// done reports whether the slot's use for a position is over, or will never be, whatever
// becomes of those who are at work: a later position has been written there, or this one
// has been published. w is the state of the slot.
func (b *body) done(pos, w uint64) bool {
	s := b.slot(pos)
	switch at := s.Position.Load(); {
	case at > pos:
		return true // positions of a slot only grow
	case at < pos:
		return false
	}
	switch kind(w) {
	case layout.QueueFree:
		return position(w) > pos
	case layout.QueueTaken:
		// What was taken when its position stood there already has been published.
		return s.State.Load() == w
	}
	return false
}

// leap finds how far the head can go if it is far behind, as after slots that were given
// back out of order: the first position from head on that is not done.
func (b *body) leap(head, tail uint64) (next uint64) {
	next = tail
	for p := head; p-head <= b.mask && p < next; p++ {
		w := b.slot(p).State.Load()
		switch at := b.slot(p).Position.Load(); {
		case at < p:
			next = min(next, p)
		case b.done(at, w):
			next = min(next, at+b.mask+1)
		default:
			next = min(next, at)
		}
	}
	return next
}

// ahead finds the first message of a position from the head on and below the tail.
func (b *body) ahead(head, tail uint64) (pos uint64, found bool) {
	pos = tail
	for p := head; p < tail && p-head <= b.mask; p++ {
		w := b.slot(p).State.Load()
		if kind(w) != layout.QueueReady {
			continue
		}
		at := position(w)
		if at == p {
			return p, true
		}
		if head <= at && at < pos && (at-p)&b.mask == 0 { // of a later lap
			pos = at
		}
	}
	return pos, pos < tail
}

// patience is how often a consumer looks at a message that is about to be published
// before it goes past.
const patience = 64

// moves reports whether the state of a slot changes within moments.
func moves(s *layout.QueueSlot, w uint64) bool {
	for range patience {
		if s.State.Load() != w {
			return true
		}
	}
	return false
}

// pass moves the head past positions at which there is no message, to next, so that
// those that come to be there yet are marked: see the package comment.
func (b *body) pass(head, next uint64) {
	b.control.Skips.Add(1) // pairs with the load in claim
	for p := head; p < next && p-head <= b.mask; p++ {
		s := b.slot(p)
		w := s.State.Load()
		if kind(w) == layout.QueueClaimed && w&layout.QueuePassed == 0 && !s.State.CompareAndSwap(w, w|layout.QueuePassed) {
			return // look again
		}
		if at := position(w); kind(w) == layout.QueueReady && head <= at && at < next && (at-p)&b.mask == 0 {
			return
		}
	}
	b.control.Head.CompareAndSwap(head, next)
}

// mark sets the mark of a slot that is ours, and tells consumers to look at the marks.
// The message is made ready afterwards.
func (b *body) mark(pos uint64) {
	i := pos & b.mask
	w, bit := &b.marks[i/64], uint64(1)<<(i%64)
	for v := w.Load(); v&bit == 0 && !w.CompareAndSwap(v, v|bit); v = w.Load() {
	}
	for {
		// A new sequence number, so that nobody clears the flag who looked before.
		v := b.control.Returned.Load()
		if b.control.Returned.CompareAndSwap(v, (v|1)+2) {
			return
		}
	}
}

// unmark clears the mark of a slot that is ours.
func (b *body) unmark(pos uint64) {
	i := pos & b.mask
	w, bit := &b.marks[i/64], uint64(1)<<(i%64)
	for v := w.Load(); v&bit != 0 && !w.CompareAndSwap(v, v&^bit); v = w.Load() {
	}
}

// marked reports whether a slot has a mark.
func (b *body) marked(pos uint64) bool {
	i := pos & b.mask
	return b.marks[i/64].Load()>>(i%64)&1 != 0
}

// takeReturned takes the first of the messages with a mark, if it lies before the head.
// If there are no marks it says so, unless there were some since returned was read.
func (b *body) takeReturned(self layout.Owner, returned uint64) (pos, state uint64, ok bool, err error) {
	for {
		head := b.control.Head.Load()
		pos, state = head, 0
		some := uint64(0)
		for g := range b.marks {
			set := b.marks[g].Load()
			some |= set
			for ; set != 0; set &= set - 1 {
				i := g*64 + bits.TrailingZeros64(set)
				if i >= b.slots.Len() {
					break
				}
				w := b.slots.At(i).State.Load()
				if kind(w) == layout.QueueReady && position(w) < pos && position(w)&b.mask == uint64(i) {
					pos, state = position(w), w
				}
			}
		}
		if state == 0 {
			if some == 0 {
				b.control.Returned.CompareAndSwap(returned, returned&^1)
			}
			return 0, 0, false, nil
		}
		if ok, err = b.grab(self, pos, state); ok || err != nil {
			return pos, state, ok, err
		}
	}
}

// giveBack makes a message that is ours, and marked as being returned, ready again.
// from is the exact state.
func (b *body) giveBack(pos, from uint64) {
	b.mark(pos)
	// Nobody changes it but its owner, or who repairs after that one.
	b.slot(pos).State.CompareAndSwap(from, ready(pos)|layout.QueueMarked)
}

// bury takes back what a dead member had: its claims become free, its messages ready.
// It runs while nobody else does the same, and may run again (member.Options).
func (b *body) bury(dead layout.Owner) {
	row := &b.rows[min(dead.Slot(), len(b.rows)-1)]
	for i := range b.slots.Len() {
		s := b.slots.At(i)
		for w := s.State.Load(); ownedBy(w, dead); w = s.State.Load() {
			b.takeBack(i, w, row)
		}
	}
	b.reopen() // it may have freed a slot and not said so
}

// takeBack takes a slot back whose owner will not change it any more.
func (b *body) takeBack(i int, w uint64, row *layout.QueueRow) {
	s := b.slots.At(i)
	pos := s.Position.Load()
	if pos&b.mask != uint64(i) {
		pos = uint64(i) // damaged: what was there has no place in the order
	}
	if kind(w) == layout.QueueTaken {
		b.mark(pos)
		if s.State.CompareAndSwap(w, ready(pos)|layout.QueueMarked) {
			row.Returned.Add(1)
		}
		return
	}
	b.unmark(pos)
	if s.State.CompareAndSwap(w, free(pos+1)) { // fails if a consumer has passed it meanwhile
		row.Freed.Add(1)
		b.reopen()
	}
}

// ownedBy reports whether a state names an owner, and this one.
func ownedBy(w uint64, o layout.Owner) bool {
	return kind(w)&1 != 0 && layout.OwnerOf(w) == o
}

// Bits of the word that says whether the queue is full.
const (
	fullLooking = 1
	fullAll     = 2
)

// reopen says that a slot has been given back.
func (b *body) reopen() {
	for {
		// Pairs with the compare-and-swaps in claimAny: they come before this, and
		// find it changed, or after, and then the look between them sees our slot.
		v := b.control.Full.Load()
		if v&(fullLooking|fullAll) == 0 || b.control.Full.CompareAndSwap(v, (v|fullLooking|fullAll)+1) {
			return
		}
	}
}

// full reports whether every slot has been seen in use, and none been given back since.
func (b *body) full() bool { return b.control.Full.Load()&fullAll != 0 }

// claimAny is claim among all slots. If it finds none it says so to all.
func (b *body) claimAny(self layout.Owner) (pos uint64, ok bool, err error) {
	w := &b.control.Full
	v := w.Load()
	if v&fullLooking == 0 && w.CompareAndSwap(v, v|fullLooking) {
		v |= fullLooking
	}
	if pos, ok, err = b.claim(self, b.slots.Len()); ok || err != nil {
		return pos, ok, err
	}
	if v&(fullLooking|fullAll) == fullLooking {
		w.CompareAndSwap(v, v|fullAll)
	}
	return 0, false, nil
}
