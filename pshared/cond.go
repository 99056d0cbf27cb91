package pshared

import (
	"context"
	"sync/atomic"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// Cond is a condition variable in shared memory: [sync.Cond] between processes.
// Goroutines that hold a [Mutex] wait for others to say that something under it
// has changed.
//
// Unlike sync.Cond it may wake without a Signal: when a member dies every waiter
// returns, since the dead may have taken a Signal with it. So wait in a loop:
//
//	for !ready(data) {
//		if err := cond.Wait(ctx, mu); err != nil { … }
//	}
type Cond struct {
	primitive
	signals atomic.Pointer[mem.Uint32]
}

// CondFootprint is the size of a Cond in shared memory, in bytes.
const CondFootprint = 64

// OpenCond opens the named condition, and makes it if there is none.
func OpenCond(name string) (*Cond, error) { return Options{}.OpenCond(name) }

// OpenCond is the function [OpenCond] with options.
func (o Options) OpenCond(name string) (*Cond, error) {
	m, offset, err := o.open(name, spec{kind: layout.KindCond, size: CondFootprint, magic: layout.CondMagic})
	if err != nil {
		return nil, err
	}
	c, err := joinCond(m, offset, name)
	return named(m, c, &c.primitive, err)
}

// InitCond makes a condition at offset of the members' segment; memory that is
// not zero is fs.ErrExist.
func InitCond(m *Members, offset int) (*Cond, error) {
	object := m.at("cond", offset)
	p, err := place[layout.Cond](m, offset)
	if err == nil {
		err = m.initialize(&p.Preamble, layout.CondMagic, 0, nil)
	}
	if err != nil {
		return nil, fail("init", object, err)
	}
	return JoinCond(m, offset)
}

// JoinCond returns the condition that somebody has made at offset of the
// members' segment; if nobody has, the error is fs.ErrNotExist.
func JoinCond(m *Members, offset int) (*Cond, error) {
	c, err := joinCond(m, offset, m.at("cond", offset))
	if err != nil {
		return nil, fail("join", c.object, err)
	}
	return c, nil
}

func joinCond(m *Members, offset int, object string) (*Cond, error) {
	c := &Cond{primitive: primitive{members: m, object: object}}
	p, err := place[layout.Cond](m, offset)
	if err != nil {
		return c, err
	}
	if _, err := identify(&p.Preamble, layout.CondMagic); err != nil {
		return c, err
	}
	c.signals.Store(&p.Signals)
	attach(m, c)
	return c, nil
}

func (c *Cond) detach() { c.signals.Store(&zero32) }

// The word: sequence<<1 | condSleeps.
const condSleeps = 1

// Wait unlocks mu, sleeps until it is woken, and locks mu again. It may wake for
// no reason.
//
// On return the mutex is locked, also when ctx was done or the condition has been
// closed (after however long a wait for the mutex) and with [ErrOwnerDied], see
// [Mutex.Lock]. It is not if that is what failed: [ErrNotOwner],
// [ErrNotRecoverable], or shm.ErrClosed if the mutex has been closed, too.
func (c *Cond) Wait(ctx context.Context, mu *Mutex) error {
	if err := ctx.Err(); err != nil {
		return fail("wait", c.object, err)
	}
	unlocked, err := c.sleep(ctx, mu)
	if !unlocked {
		return err
	}
	// Whoever closes the condition may hold the mutex, and need not wait for us here.
	// Not by Lock: the mutex may be closed meanwhile, with the condition.
	if lockErr := mu.lockSlow(context.Background()); lockErr != nil {
		return lockErr
	}
	return fail("wait", c.object, err)
}

// sleep unlocks mu and sleeps until it is woken.
func (c *Cond) sleep(ctx context.Context, mu *Mutex) (unlocked bool, err error) {
	if err := c.members.begin(); err != nil {
		return false, fail("wait", c.object, err)
	}
	defer c.members.end()
	p := (*condPlace)(c)
	c.members.table.Block(p)
	defer c.members.table.Unblock(p)
	// Under the mutex: a Signal that follows a change under it finds the flag, or
	// changes the sequence that we compare with.
	word := c.signals.Load().Load()
	for word&condSleeps == 0 && !c.signals.Load().CompareAndSwap(word, word|condSleeps) {
		word = c.signals.Load().Load()
	}
	word |= condSleeps
	if err := mu.Unlock(); err != nil {
		return false, err
	}
	lost, err := park.WaitDue(ctx, c.signals.Load(), word, condDue)
	c.members.slept(lost)
	if err != nil {
		c.Signal() // one that was meant for us may have come in the same moment: pass it on
	}
	if c.members.leaving.Load() {
		return true, shm.ErrClosed
	}
	return true, err
}

// condDue: see park.WaitDue. A signal leaves the flag, and wakes one of many; who
// takes the flag away wakes all.
func condDue(word uint32) bool { return word&condSleeps == 0 }

// Signal wakes one waiter, if there is any. The caller need not hold the mutex,
// but must have changed under it what the waiter waits for.
//
// Cost with nobody waiting: one load.
func (c *Cond) Signal() {
	for {
		word := c.signals.Load().Load()
		if word&condSleeps == 0 {
			return
		}
		if !c.signals.Load().CompareAndSwap(word, word+2) {
			continue
		}
		if park.Wake(c.signals.Load(), 1) > 0 {
			return
		}
		// Nobody slept, so the flag is old, or its owner is on the way to sleep and
		// will find the word changed.
		c.Broadcast()
		return
	}
}

// Broadcast wakes all waiters. Cost with nobody waiting: one load.
func (c *Cond) Broadcast() {
	for {
		word := c.signals.Load().Load()
		if word&condSleeps == 0 {
			return
		}
		// The flag goes with a new sequence: whoever is about to sleep on the old one
		// does not, and whoever sleeps already is woken.
		if c.signals.Load().CompareAndSwap(word, (word+2)&^condSleeps) {
			park.WakeAll(c.signals.Load())
			return
		}
	}
}

// condPlace is the condition as a member.Place.
type condPlace Cond

func (p *condPlace) Recheck() {
	// Whatever the flag says: the dead may have taken it away and woken nobody.
	for {
		word := p.signals.Load().Load()
		if p.signals.Load().CompareAndSwap(word, (word+2)&^condSleeps) {
			break
		}
	}
	park.WakeAll(p.signals.Load())
}
