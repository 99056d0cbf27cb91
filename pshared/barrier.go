package pshared

import (
	"context"
	"fmt"
	"syscall"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// Barrier lets a fixed number of parties wait for each other, again and again:
// nobody goes on to the next phase before all have arrived in this one.
//
// Each Barrier value is one party; a process may open several. A phase begins
// when every place has been taken. A party that dies is not waited for any more:
// the others go on, and learn it once, by ErrPeerDied from the Wait of that
// phase. Its place can be taken by a new party.
type Barrier struct {
	primitive
	phase    *mem.Uint64
	deserted *[2]mem.Uint64
	places   []mem.Uint64
	mine     *mem.Uint64 // our place; nil when we have left
	self     uint64
	pending  uint64 // number of the phase, from 1, that a Wait of ours has given up
	spin     park.Spinner
}

// MaxParties is the most parties that a barrier can have.
const MaxParties = layout.MaxSlots

// BarrierFootprint is the size of a barrier of so many parties in shared memory,
// in bytes.
func BarrierFootprint(parties int) int { return 64 + (parties*8+63)&^63 }

func checkParties(n int) error {
	if n < 1 || n > MaxParties {
		return fmt.Errorf("%d parties: want 1 to %d: %w", n, MaxParties, syscall.EINVAL)
	}
	return nil
}

// OpenBarrier opens the named barrier as one of its parties, and makes it if
// there is none. One that exists must have as many parties, else the error is
// shm.ErrKind, and a place that is free, else [ErrNoSlot].
func OpenBarrier(name string, parties int) (*Barrier, error) {
	return Options{}.OpenBarrier(name, parties)
}

// OpenBarrier is the function [OpenBarrier] with options.
func (o Options) OpenBarrier(name string, parties int) (*Barrier, error) {
	if err := checkParties(parties); err != nil {
		return nil, fail("open", name, err)
	}
	if o.Members == 0 {
		o.Members = max(DefaultMembers, min(parties+1, MaxMembers)) // a new party may join before the dead one is noticed
	}
	m, offset, err := o.open(name, spec{
		kind: layout.KindBarrier, size: BarrierFootprint(parties), magic: layout.BarrierMagic, config: uint32(parties)})
	if err != nil {
		return nil, err
	}
	b, err := joinBarrier(m, offset, name)
	if got := len(b.places); err == nil && got != parties {
		err = fmt.Errorf("it has %d parties, not %d: %w", got, parties, shm.ErrKind)
	}
	if err == nil {
		err = b.enter()
	}
	return named(m, b, &b.primitive, err)
}

// InitBarrier makes a barrier at offset of the members' segment, and takes a
// place; memory that is not zero is fs.ErrExist.
func InitBarrier(m *Members, offset, parties int) (*Barrier, error) {
	object := m.at("barrier", offset)
	p, err := place[layout.Barrier](m, offset)
	if err == nil {
		err = checkParties(parties)
	}
	if err == nil {
		err = room[mem.Uint64](m, offset+64, parties)
	}
	if err == nil {
		err = m.initialize(&p.Preamble, layout.BarrierMagic, uint32(parties), nil)
	}
	if err != nil {
		return nil, fail("init", object, err)
	}
	return JoinBarrier(m, offset)
}

// JoinBarrier takes a place in the barrier that somebody has made at offset of
// the members' segment; if nobody has, the error is fs.ErrNotExist.
func JoinBarrier(m *Members, offset int) (*Barrier, error) {
	b, err := joinBarrier(m, offset, m.at("barrier", offset))
	if err == nil {
		err = b.enter()
	}
	if err != nil {
		return nil, fail("join", b.object, err)
	}
	return b, nil
}

func joinBarrier(m *Members, offset int, object string) (*Barrier, error) {
	b := &Barrier{primitive: primitive{members: m, object: object}, self: m.self()}
	p, err := place[layout.Barrier](m, offset)
	if err != nil {
		return b, err
	}
	parties, err := identify(&p.Preamble, layout.BarrierMagic)
	if err != nil {
		return b, err
	}
	if err := checkParties(int(parties)); err != nil {
		return b, fmt.Errorf("at offset 4: %v: %w", err, shm.ErrCorrupt)
	}
	if b.places, err = mem.Array[mem.Uint64](m.bytes, offset+64, int(parties)); err != nil {
		return b, fmt.Errorf("%w: %w", err, shm.ErrCorrupt)
	}
	b.phase, b.deserted = &p.Phase, &p.Deserted
	return b, nil
}

// enter takes a place that is free, or whose party has gone.
func (b *Barrier) enter() error {
	for i := range b.places {
		for {
			word := b.places[i].Load()
			if word != 0 && word&layout.PlaceVacant == 0 {
				current, valid := b.members.table.Settle(layout.OwnerOf(word))
				if !valid || !placeSound(word) {
					return corrupt(fmt.Sprintf("place %d", i), word)
				}
				if current {
					break
				}
				// The others must learn of it in the phase in which it was missed.
				if !b.vacate(i, word, b.phase.Load()>>1) {
					continue
				}
				word |= layout.PlaceVacant
			}
			if b.places[i].CompareAndSwap(word, b.self) {
				b.mine = &b.places[i]
				return nil
			}
		}
	}
	return fmt.Errorf("all %d places of the barrier are taken: %w", len(b.places), ErrNoSlot)
}

// Wait arrives, and waits until all parties have. [ErrPeerDied] says that they
// have, but for some that died and were not waited for. With a context's error
// the barrier has not opened, but this party has arrived: the next Wait goes on
// waiting for the same phase, and returns at once if that has ended meanwhile.
//
// A party waits in one goroutine at a time. Cost: a look at every place, and for
// the last one to arrive a system call.
func (b *Barrier) Wait() error { return b.WaitContext(context.Background()) }

// WaitContext is Wait that gives up, with the context's error, when the context
// is done.
func (b *Barrier) WaitContext(ctx context.Context) error {
	err := b.members.begin()
	if err == nil {
		err = b.wait(ctx)
		b.members.end()
	}
	return fail("wait", b.object, err)
}

func (b *Barrier) wait(ctx context.Context) error {
	if b.mine == nil {
		return shm.ErrClosed
	}
	number := b.phase.Load() >> 1
	if b.pending != 0 {
		number = b.pending - 1 // we have arrived
	} else {
		// The phase cannot end before we have arrived in it.
		b.mine.Store(b.self | arrivedIn(number))
	}
	b.pending = number + 1
	ended, err := b.advance(number)
	if err == nil && !ended && !b.spin.Spin(func() bool { return b.phase.Load()>>1 != number }) {
		err = b.waitSlow(ctx, number)
	}
	if err != nil {
		return err
	}
	b.pending = 0
	if b.deserted[number&1].Load() == number+1 { // pairs with the store in vacate, which precedes the end of the phase
		return ErrPeerDied
	}
	return nil
}

// Leave gives the place up in an orderly way: it is not waited for any more, and
// nobody is told that a party died. Close follows. Leaving again does nothing.
func (b *Barrier) Leave() {
	if b.members.begin() != nil {
		return
	}
	defer b.members.end()
	if b.mine == nil {
		return
	}
	b.mine.Store(b.self | layout.PlaceVacant)
	b.mine = nil
	b.advance(b.phase.Load() >> 1) // the others may have been waiting for us alone; damage is theirs to report
}

// Check reports, with shm.ErrCorrupt, a state that no sequence of operations and
// deaths leads to. It changes nothing.
func (b *Barrier) Check() error {
	if err := b.members.begin(); err != nil {
		return fail("check", b.object, err)
	}
	defer b.members.end()
	for i := range b.places {
		word := b.places[i].Load()
		if word == 0 {
			continue
		}
		if _, valid := b.members.table.Current(layout.OwnerOf(word)); !valid || !placeSound(word) {
			return fail("check", b.object, corrupt(fmt.Sprintf("place %d", i), word))
		}
	}
	return nil
}

// placeSound reports whether a place that has been taken has only flags that it
// can have.
func placeSound(word uint64) bool {
	const flags = layout.PlaceArrived | layout.PlaceOdd | layout.PlaceVacant
	return word&0xffff&^flags == 0 && word&(layout.PlaceArrived|layout.PlaceOdd) != layout.PlaceOdd
}

// arrivedIn are the flags of a place whose party has arrived in a phase.
func arrivedIn(number uint64) uint64 {
	if number&1 != 0 {
		return layout.PlaceArrived | layout.PlaceOdd
	}
	return layout.PlaceArrived
}

// advance ends the phase if nobody is to be waited for, and reports whether it
// has ended.
func (b *Barrier) advance(number uint64) (ended bool, err error) {
	for i := range b.places {
		for {
			word := b.places[i].Load()
			if word == 0 {
				return false, nil // nobody has come yet
			}
			if word&layout.PlaceVacant != 0 || word&(layout.PlaceArrived|layout.PlaceOdd) == arrivedIn(number) {
				break
			}
			current, valid := b.members.table.Settle(layout.OwnerOf(word))
			if !valid || !placeSound(word) {
				return false, corrupt(fmt.Sprintf("place %d", i), word)
			}
			if current {
				return b.phase.Load()>>1 != number, nil
			}
			// It has arrived in this phase, and the phase may have ended, and it died
			// only then: look at its last word.
			if b.places[i].Load() == word && b.vacate(i, word, number) {
				break
			}
		}
	}
	for {
		word := b.phase.Load()
		if word>>1 != number {
			return true, nil
		}
		if b.phase.CompareAndSwap(word, (number+1)<<1) { // pairs with the loads in WaitContext
			if word&phaseSleeps != 0 {
				park.WakeAll(mem.Low(b.phase))
			}
			return true, nil
		}
	}
}

// phaseSleeps is the lowest bit of the phase word: somebody may sleep.
const phaseSleeps = 1

// vacate gives up the place of a party that was missed in the phase. The note
// for the others comes first: whoever finds the place vacant finds the note, too.
func (b *Barrier) vacate(i int, word, number uint64) bool {
	for note := &b.deserted[number&1]; ; {
		old := note.Load()
		if old > number || note.CompareAndSwap(old, number+1) {
			break
		}
	}
	if !b.places[i].CompareAndSwap(word, word|layout.PlaceVacant) {
		return false
	}
	b.members.repaired()
	return true
}

func (b *Barrier) waitSlow(ctx context.Context, number uint64) error {
	p := (*barrierPlace)(b)
	b.members.table.Block(p)
	defer b.members.table.Unblock(p)
	for {
		word := b.phase.Load()
		if word>>1 != number {
			return nil
		}
		if word&phaseSleeps == 0 {
			b.phase.CompareAndSwap(word, word|phaseSleeps)
			continue
		}
		// With the flag set: whoever dies from here on makes Recheck clear it.
		ended, err := b.advance(number)
		if ended || err != nil {
			return err
		}
		if b.members.leaving.Load() {
			return shm.ErrClosed
		}
		lost, err := park.Wait(ctx, mem.Low(b.phase), uint32(word))
		b.members.slept(lost)
		if err != nil {
			return err
		}
	}
}

// barrierPlace is the barrier as a member.Place.
type barrierPlace Barrier

func (p *barrierPlace) Recheck() {
	for {
		word := p.phase.Load()
		if word&phaseSleeps == 0 || p.phase.CompareAndSwap(word, word&^phaseSleeps) {
			break
		}
	}
	park.WakeAll(mem.Low(p.phase))
}
