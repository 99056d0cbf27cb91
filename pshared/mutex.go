package pshared

import (
	"context"
	"sync/atomic"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
)

// Mutex is a mutual exclusion lock in shared memory: [sync.Mutex] between
// processes, and robust. It may be locked by one goroutine and unlocked by
// another of the same process.
//
// Its whole state is one word: who holds it, since which epoch of its
// membership, and whether somebody waits. Dead is who is not there any more in
// that epoch, so a lock needs no list of its own to survive its owner.
//
// It is not fair: who comes at the right moment goes first. Nor is it
// recursive: a goroutine that locks twice waits for ever.
type Mutex struct {
	primitive
	state atomic.Pointer[mem.Uint64]
	self  uint64
	spin  park.Spinner
}

// MutexFootprint is the size of a Mutex in shared memory, in bytes.
const MutexFootprint = 64

// OpenMutex opens the named mutex, and makes it if there is none.
func OpenMutex(name string) (*Mutex, error) { return Options{}.OpenMutex(name) }

// OpenMutex is the function [OpenMutex] with options.
func (o Options) OpenMutex(name string) (*Mutex, error) {
	m, offset, err := o.open(name, spec{kind: layout.KindMutex, size: MutexFootprint, magic: layout.MutexMagic})
	if err != nil {
		return nil, err
	}
	mu, err := joinMutex(m, offset, name)
	return named(m, mu, &mu.primitive, err)
}

// InitMutex makes a mutex at offset of the members' segment; memory that is not
// zero is fs.ErrExist.
func InitMutex(m *Members, offset int) (*Mutex, error) {
	object := m.at("mutex", offset)
	p, err := place[layout.Mutex](m, offset)
	if err == nil {
		err = m.initialize(&p.Preamble, layout.MutexMagic, 0, nil)
	}
	if err != nil {
		return nil, fail("init", object, err)
	}
	return JoinMutex(m, offset)
}

// JoinMutex returns the mutex that somebody has made at offset of the members'
// segment; if nobody has, the error is fs.ErrNotExist.
func JoinMutex(m *Members, offset int) (*Mutex, error) {
	mu, err := joinMutex(m, offset, m.at("mutex", offset))
	if err != nil {
		return nil, fail("join", mu.object, err)
	}
	return mu, nil
}

func joinMutex(m *Members, offset int, object string) (*Mutex, error) {
	mu := &Mutex{primitive: primitive{members: m, object: object}, self: m.self()}
	p, err := place[layout.Mutex](m, offset)
	if err != nil {
		return mu, err
	}
	if _, err := identify(&p.Preamble, layout.MutexMagic); err != nil {
		return mu, err
	}
	mu.state.Store(&p.State)
	attach(m, mu)
	return mu, nil
}

func (mu *Mutex) detach() { mu.state.Store(&closed64) }

// Lock locks the mutex, and waits as long as another holds it.
//
// With [ErrOwnerDied] it has locked it, too: the one who held it before has
// died. With every other error it has not: [ErrNotRecoverable], shm.ErrClosed,
// shm.ErrCorrupt.
//
// Cost without contention: one compare-and-swap.
func (mu *Mutex) Lock() error {
	// From nobody, without flags, to us. Pairs with the store of 0 in Unlock: what
	// its caller wrote before is seen by ours.
	if mu.state.Load().CompareAndSwap(0, mu.self) {
		return nil
	}
	return mu.lockSlow(context.Background())
}

// LockContext is Lock that gives up, with the context's error, when the context
// is done.
func (mu *Mutex) LockContext(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail("lock", mu.object, err)
	}
	if mu.state.Load().CompareAndSwap(0, mu.self) { // as in Lock
		return nil
	}
	return mu.lockSlow(ctx)
}

// TryLock locks the mutex if nobody holds it, and reports whether it has. It
// never waits. Its errors are those of Lock; with [ErrOwnerDied] locked is true.
func (mu *Mutex) TryLock() (locked bool, err error) {
	if mu.state.Load().CompareAndSwap(0, mu.self) { // as in Lock
		return true, nil
	}
	if err := mu.members.begin(); err != nil {
		return false, fail("lock", mu.object, err)
	}
	defer mu.members.end()
	locked, _, err = mu.word().try(mu.members, mu.state.Load().Load(), 0)
	return locked, fail("lock", mu.object, err)
}

// Unlock unlocks the mutex. [ErrNotOwner] says that this process does not hold
// it. A mutex that has been ErrOwnerDied and not MarkConsistent becomes
// [ErrNotRecoverable].
//
// Cost with nobody waiting: one compare-and-swap.
func (mu *Mutex) Unlock() error {
	if mu.state.Load().CompareAndSwap(mu.self, 0) { // pairs with the one in Lock
		return nil
	}
	return mu.unlockSlow()
}

// MarkConsistent says that what the mutex guards has been mended after
// [ErrOwnerDied]. The caller holds the lock.
func (mu *Mutex) MarkConsistent() error {
	return mu.do("mark", lockWord.markConsistent)
}

func (mu *Mutex) word() lockWord { return lockWord{mu.state.Load(), mu.self, mutexFlags} }

func (mu *Mutex) lockSlow(ctx context.Context) error {
	if err := mu.members.begin(); err != nil {
		return fail("lock", mu.object, err)
	}
	defer mu.members.end()
	return fail("lock", mu.object, mu.word().lock(ctx, mu.members, &mu.spin, (*mutexPlace)(mu), 0))
}

func (mu *Mutex) unlockSlow() error { return mu.do("unlock", lockWord.unlock) }

// do does something with the word that does not wait.
func (mu *Mutex) do(op string, f func(lockWord) error) error {
	err := mu.members.begin()
	if err == nil {
		err = f(mu.word())
		mu.members.end()
	}
	return fail(op, mu.object, err)
}

// mutexPlace is the mutex as a member.Place.
type mutexPlace Mutex

func (p *mutexPlace) Recheck() { (*Mutex)(p).word().recheck(p.members) }

// Check reports, with shm.ErrCorrupt, a state that no sequence of operations and
// deaths leads to. It changes nothing.
func (mu *Mutex) Check() error {
	return mu.do("check", func(l lockWord) error { return l.check(mu.members) })
}
