package pshared

import (
	"context"
	"sync/atomic"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// Once is something that is done once in shared memory: [sync.Once] between
// processes. If the one who does it dies half-way, or fails, the next one does
// it again.
type Once struct {
	primitive
	state atomic.Pointer[mem.Uint64]
	self  uint64
}

// OnceFootprint is the size of a Once in shared memory, in bytes.
const OnceFootprint = 64

// OpenOnce opens the named once, and makes it if there is none.
func OpenOnce(name string) (*Once, error) { return Options{}.OpenOnce(name) }

// OpenOnce is the function [OpenOnce] with options.
func (o Options) OpenOnce(name string) (*Once, error) {
	m, offset, err := o.open(name, spec{kind: layout.KindOnce, size: OnceFootprint, magic: layout.OnceMagic})
	if err != nil {
		return nil, err
	}
	once, err := joinOnce(m, offset, name)
	return named(m, once, &once.primitive, err)
}

// InitOnce makes a once at offset of the members' segment; memory that is not
// zero is fs.ErrExist.
func InitOnce(m *Members, offset int) (*Once, error) {
	object := m.at("once", offset)
	p, err := place[layout.Once](m, offset)
	if err == nil {
		err = m.initialize(&p.Preamble, layout.OnceMagic, 0, nil)
	}
	if err != nil {
		return nil, fail("init", object, err)
	}
	return JoinOnce(m, offset)
}

// JoinOnce returns the once that somebody has made at offset of the members'
// segment; if nobody has, the error is fs.ErrNotExist.
func JoinOnce(m *Members, offset int) (*Once, error) {
	o, err := joinOnce(m, offset, m.at("once", offset))
	if err != nil {
		return nil, fail("join", o.object, err)
	}
	return o, nil
}

func joinOnce(m *Members, offset int, object string) (*Once, error) {
	o := &Once{primitive: primitive{members: m, object: object}, self: m.self()}
	p, err := place[layout.Once](m, offset)
	if err != nil {
		return o, err
	}
	if _, err := identify(&p.Preamble, layout.OnceMagic); err != nil {
		return o, err
	}
	o.state.Store(&p.State)
	attach(m, o)
	return o, nil
}

func (o *Once) detach() { o.state.Store(&zero64) }

// Done reports whether it has been done: what it did is there.
func (o *Once) Done() bool { return o.state.Load().Load() == layout.OnceDone } // pairs with the store at the end of run

// Do runs f unless that has been done, and waits while another member does it.
// If f returns an error, or panics, or its process dies, it has not been done:
// one of the others runs its own f, and this Do returns the error. When Do
// returns nil, some f has returned nil.
//
// f must be able to start from what a dead runner has left. It does not call Do,
// nor does it close what it runs in: both would wait for it. Cost when done: one
// load.
func (o *Once) Do(f func() error) error { return o.DoContext(context.Background(), f) }

// DoContext is Do that gives up waiting for another, with the context's error,
// when the context is done.
func (o *Once) DoContext(ctx context.Context, f func() error) error {
	if o.Done() {
		return nil
	}
	return o.doSlow(ctx, f)
}

func (o *Once) doSlow(ctx context.Context, f func() error) error {
	if err := o.members.begin(); err != nil {
		return fail("do", o.object, err)
	}
	defer o.members.end()
	p := (*oncePlace)(o)
	o.members.table.Block(p)
	defer o.members.table.Unblock(p)
	for {
		word := o.state.Load().Load()
		if word == layout.OnceDone {
			return nil
		}
		if !onceSound(word) {
			return fail("do", o.object, corrupt("state", word))
		}
		if owner := layout.OwnerOf(word); owner != 0 {
			current, valid := o.members.table.Settle(owner)
			if !valid {
				return fail("do", o.object, corrupt("state", word))
			}
			if current {
				if err := o.await(ctx, word); err != nil {
					return fail("do", o.object, err)
				}
				continue
			}
		}
		if !o.state.Load().CompareAndSwap(word, o.self|word&layout.LockWaiters) {
			continue
		}
		if layout.OwnerOf(word) != 0 {
			o.members.repaired()
		}
		return o.run(f)
	}
}

// run runs f. Whatever becomes of f, the others learn of it.
func (o *Once) run(f func() error) error {
	var next uint64
	defer func() {
		if old := o.state.Load().Swap(next); old&layout.LockWaiters != 0 {
			park.WakeAll(mem.Low(o.state.Load()))
		}
	}()
	if err := f(); err != nil {
		return err
	}
	next = layout.OnceDone // pairs with the load in Done
	return nil
}

func (o *Once) await(ctx context.Context, word uint64) error {
	if o.members.leaving.Load() {
		return shm.ErrClosed
	}
	if word&layout.LockWaiters == 0 && !o.state.Load().CompareAndSwap(word, word|layout.LockWaiters) {
		return nil
	}
	lost, err := park.WaitDue(ctx, mem.Low(o.state.Load()), uint32(word)|layout.LockWaiters, lockDue)
	o.members.slept(lost)
	return err
}

// onceSound reports whether the word is one that it can be, whoever its owner.
func onceSound(word uint64) bool {
	if layout.OwnerOf(word) == 0 {
		return word == 0 || word == layout.OnceDone
	}
	return word&0xffff&^layout.LockWaiters == 0
}

// Check reports, with shm.ErrCorrupt, a state that no sequence of operations and
// deaths leads to. It changes nothing.
func (o *Once) Check() error {
	if err := o.members.begin(); err != nil {
		return fail("check", o.object, err)
	}
	defer o.members.end()
	word := o.state.Load().Load()
	sound := onceSound(word)
	if owner := layout.OwnerOf(word); sound && owner != 0 {
		_, sound = o.members.table.Current(owner)
	}
	if !sound {
		return fail("check", o.object, corrupt("state", word))
	}
	return nil
}

// oncePlace is the once as a member.Place.
type oncePlace Once

func (p *oncePlace) Recheck() {
	word := p.state.Load().Load()
	if owner := layout.OwnerOf(word); owner != 0 {
		if current, valid := p.members.table.Current(owner); valid && !current {
			if p.state.Load().CompareAndSwap(word, 0) {
				p.members.repaired()
			}
		}
	}
	park.WakeAll(mem.Low(p.state.Load()))
}
