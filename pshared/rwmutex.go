package pshared

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// RWMutex is a lock for many readers or one writer in shared memory:
// [sync.RWMutex] between processes, and robust. A dead reader's locks count no
// more; a dead writer is told to the next one who locks for writing, and to
// readers until that one has mended the data.
//
// Readers of different processes do not touch the same cache line: each member
// slot has a count of its own. Writers pay for it: they look at all of them.
// Once a writer waits, new readers wait for it.
type RWMutex struct {
	primitive
	writer  atomic.Pointer[mem.Uint64]
	drained *park.EventCount
	readers []layout.Readers
	mine    atomic.Pointer[mem.Uint64] // our slot's count
	self    uint64
	spin    park.Spinner
}

// RWMutexFootprint is the size in bytes of an RWMutex for the given number of
// members, 0 meaning DefaultMembers: the size of their table.
func RWMutexFootprint(members int) int {
	if members == 0 {
		members = DefaultMembers
	}
	return layout.Line + members*layout.Line
}

// OpenRWMutex opens the named lock, and makes it if there is none.
func OpenRWMutex(name string) (*RWMutex, error) { return Options{}.OpenRWMutex(name) }

// OpenRWMutex is the function [OpenRWMutex] with options.
func (o Options) OpenRWMutex(name string) (*RWMutex, error) {
	slots := o.Members
	if slots == 0 {
		slots = DefaultMembers
	}
	m, offset, err := o.open(name, spec{
		kind: layout.KindRWMutex, size: RWMutexFootprint(slots), magic: layout.RWMutexMagic, config: uint32(slots)})
	if err != nil {
		return nil, err
	}
	rw, err := joinRWMutex(m, offset, name)
	return named(m, rw, &rw.primitive, err)
}

// InitRWMutex makes a lock at offset of the members' segment; memory that is not
// zero is fs.ErrExist.
func InitRWMutex(m *Members, offset int) (*RWMutex, error) {
	object := m.at("rwmutex", offset)
	p, err := place[layout.RWMutex](m, offset)
	if err == nil {
		err = room[layout.Readers](m, offset+layout.Line, m.table.Slots())
	}
	if err == nil {
		err = m.initialize(&p.Preamble, layout.RWMutexMagic, uint32(m.table.Slots()), nil)
	}
	if err != nil {
		return nil, fail("init", object, err)
	}
	return JoinRWMutex(m, offset)
}

// JoinRWMutex returns the lock that somebody has made at offset of the members'
// segment; if nobody has, the error is fs.ErrNotExist.
func JoinRWMutex(m *Members, offset int) (*RWMutex, error) {
	rw, err := joinRWMutex(m, offset, m.at("rwmutex", offset))
	if err != nil {
		return nil, fail("join", rw.object, err)
	}
	return rw, nil
}

func joinRWMutex(m *Members, offset int, object string) (*RWMutex, error) {
	rw := &RWMutex{primitive: primitive{members: m, object: object}, self: m.self()}
	p, err := place[layout.RWMutex](m, offset)
	if err != nil {
		return rw, err
	}
	slots, err := identify(&p.Preamble, layout.RWMutexMagic)
	if err != nil {
		return rw, err
	}
	if int(slots) != m.table.Slots() {
		return rw, fmt.Errorf("at offset 4: it is made for %d members, the table has %d: %w", slots, m.table.Slots(), shm.ErrCorrupt)
	}
	if rw.readers, err = mem.Array[layout.Readers](m.bytes, offset+layout.Line, int(slots)); err != nil {
		return rw, fmt.Errorf("%w: %w", err, shm.ErrCorrupt)
	}
	rw.writer.Store(&p.Writer)
	rw.drained = (*park.EventCount)(&p.Drained)
	rw.mine.Store(&rw.readers[m.table.Self().Slot()].Count)
	attach(m, rw)
	return rw, nil
}

func (rw *RWMutex) detach() { rw.writer.Store(&closed64); rw.mine.Store(&zero64) }

// RLock locks for reading. It waits while a writer has the lock or waits for it.
//
// With [ErrOwnerDied] it has not locked: a writer died, and what it was writing
// may be half-done. Lock for writing, mend it, MarkConsistent.
//
// Cost without a writer: one compare-and-swap and two loads; readers of other
// processes do not matter.
func (rw *RWMutex) RLock() error {
	if rw.writer.Load().Load() == 0 && rw.enter() {
		return nil
	}
	return rw.rlockSlow(context.Background())
}

// RLockContext is RLock that gives up, with the context's error, when the
// context is done.
func (rw *RWMutex) RLockContext(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail("rlock", rw.object, err)
	}
	if rw.writer.Load().Load() == 0 && rw.enter() {
		return nil
	}
	return rw.rlockSlow(ctx)
}

// TryRLock locks for reading if no writer has the lock or waits for it, and
// reports whether it has. It never waits.
func (rw *RWMutex) TryRLock() (locked bool, err error) {
	if err := rw.members.begin(); err != nil {
		return false, fail("rlock", rw.object, err)
	}
	defer rw.members.end()
	locked, err = rw.tryRLock()
	return locked, fail("rlock", rw.object, err)
}

func (rw *RWMutex) tryRLock() (locked bool, err error) {
	for {
		open, err := rw.open()
		if err != nil || !open {
			return false, err
		}
		if rw.enter() {
			return true, nil
		}
	}
}

// RUnlock gives a lock for reading back. [ErrNotOwner] says that this process
// holds none.
func (rw *RWMutex) RUnlock() error {
	if rw.leave() {
		return nil
	}
	if rw.members.leaving.Load() {
		return fail("runlock", rw.object, shm.ErrClosed)
	}
	return fail("runlock", rw.object, ErrNotOwner)
}

// Lock locks for writing. As in [Mutex.Lock], [ErrOwnerDied] says that it has
// locked, and that a writer has died.
//
// Cost without contention: two compare-and-swaps and a load for each member
// slot.
func (rw *RWMutex) Lock() error { return rw.lock(context.Background()) }

// LockContext is Lock that gives up, with the context's error, when the context
// is done.
func (rw *RWMutex) LockContext(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail("lock", rw.object, err)
	}
	return rw.lock(ctx)
}

// TryLock locks for writing if nobody holds the lock, and reports whether it
// has. It never waits. With [ErrOwnerDied] locked is true.
func (rw *RWMutex) TryLock() (locked bool, err error) {
	if err := rw.members.begin(); err != nil {
		return false, fail("lock", rw.object, err)
	}
	defer rw.members.end()
	l := rw.word()
	locked, _, died := l.try(rw.members, rw.writer.Load().Load(), layout.LockDraining)
	if !locked {
		return false, fail("lock", rw.object, died)
	}
	if !rw.empty() {
		if err := rw.retreat(); err != nil {
			return false, fail("lock", rw.object, err)
		}
		return false, nil
	}
	rw.drain()
	return true, fail("lock", rw.object, died)
}

// Unlock gives the lock for writing back; see [Mutex.Unlock].
func (rw *RWMutex) Unlock() error {
	if rw.writer.Load().CompareAndSwap(rw.self, 0) { // pairs with the load in RLock and the compare-and-swap in Lock
		return nil
	}
	return rw.do("unlock", func(l lockWord) error {
		word := rw.writer.Load().Load()
		err := l.unlock()
		if err == nil && word&layout.LockWaiters != 0 {
			park.WakeAll(mem.Low(rw.writer.Load())) // any number of readers may sleep beside one writer
		}
		return err
	})
}

// MarkConsistent says that what the lock guards has been mended after
// [ErrOwnerDied]. The caller holds the lock for writing.
func (rw *RWMutex) MarkConsistent() error {
	return rw.do("mark", lockWord.markConsistent)
}

// Check reports, with shm.ErrCorrupt, a state that no sequence of operations and
// deaths leads to. It changes nothing.
func (rw *RWMutex) Check() error {
	return rw.do("check", func(l lockWord) error { return l.check(rw.members) })
}

func (rw *RWMutex) word() lockWord { return lockWord{rw.writer.Load(), rw.self, rwmutexFlags} }

// do does something with the word that does not wait.
func (rw *RWMutex) do(op string, f func(lockWord) error) error {
	err := rw.members.begin()
	if err == nil {
		err = f(rw.word())
		rw.members.end()
	}
	return fail(op, rw.object, err)
}

// enter counts a reader in, and out again if a writer has come.
//
//	reader: count++; writer set?          writer: set writer; counts zero?
//
// Both store first and look then, in one order for all (the operations are
// sequentially consistent), so at least one of them sees the other.
func (rw *RWMutex) enter() bool {
	for {
		n := rw.mine.Load().Load()
		next := n + 1
		if n>>32 != rw.self>>32 { // left there by a former owner of our slot: void
			next = rw.self>>32<<32 | 1
		}
		if rw.mine.Load().CompareAndSwap(n, next) {
			break
		}
	}
	if rw.writer.Load().Load() == 0 { // pairs with the compare-and-swap in lockWord.try
		return true
	}
	// Flags without an owner are no writer either.
	if open, err := rw.open(); open && err == nil {
		return true
	}
	rw.leave()
	return false
}

// leave counts a reader out, and tells a writer who waits. It reports false if
// this member has no reader.
func (rw *RWMutex) leave() bool {
	for {
		n := rw.mine.Load().Load()
		if n>>32 != rw.self>>32 || uint32(n) == 0 {
			return false
		}
		if rw.mine.Load().CompareAndSwap(n, n-1) { // pairs with the load in empty
			break
		}
	}
	if rw.writer.Load().Load()&layout.LockDraining != 0 {
		rw.drained.Notify()
	}
	return true
}

// open reports whether no live writer has or wants the lock.
func (rw *RWMutex) open() (bool, error) {
	word := rw.writer.Load().Load()
	if word == layout.LockNotRecoverable {
		return false, ErrNotRecoverable
	}
	if !rw.word().sound(word) {
		return false, corrupt("lock word", word)
	}
	inconsistent := word&layout.LockInconsistent != 0
	if o := layout.OwnerOf(word); o != 0 {
		current, valid := rw.members.table.Settle(o)
		if !valid {
			return false, corrupt("lock word", word)
		}
		if current {
			return false, nil
		}
		inconsistent = inconsistent || word&layout.LockDraining == 0
	}
	if inconsistent {
		return false, ErrOwnerDied
	}
	return true, nil
}

// empty reports whether no live member holds a lock for reading.
func (rw *RWMutex) empty() bool {
	for slot := range rw.readers {
		n := rw.readers[slot].Count.Load() // pairs with the compare-and-swaps in enter and leave
		if uint32(n) == 0 {
			continue
		}
		if current, _ := rw.members.table.Settle(layout.MakeOwner(slot, uint32(n>>32))); current {
			return false
		}
	}
	return true
}

func (rw *RWMutex) rlockSlow(ctx context.Context) error {
	if err := rw.members.begin(); err != nil {
		return fail("rlock", rw.object, err)
	}
	defer rw.members.end()
	free := func() bool { return layout.OwnerOf(rw.writer.Load().Load()) == 0 }
	for rw.spin.Spin(free) {
		if locked, err := rw.tryRLock(); locked || err != nil {
			return fail("rlock", rw.object, err)
		}
	}
	return fail("rlock", rw.object, rw.awaitReading(ctx))
}

func (rw *RWMutex) awaitReading(ctx context.Context) error {
	p := (*rwmutexPlace)(rw)
	rw.members.table.Block(p)
	defer rw.members.table.Unblock(p)
	for {
		open, err := rw.open()
		if err != nil {
			return err
		}
		if open {
			if rw.enter() {
				return nil
			}
			continue
		}
		if rw.members.leaving.Load() {
			return shm.ErrClosed
		}
		word := rw.writer.Load().Load()
		if layout.OwnerOf(word) == 0 {
			continue
		}
		if word&layout.LockWaiters == 0 && !rw.writer.Load().CompareAndSwap(word, word|layout.LockWaiters) {
			continue
		}
		lost, err := park.WaitDue(ctx, mem.Low(rw.writer.Load()), uint32(word)|layout.LockWaiters, lockDue)
		rw.members.slept(lost)
		if err != nil {
			park.Wake(mem.Low(rw.writer.Load()), 1) // as in lockWord.wait
			return err
		}
	}
}

// lock takes the writer word, which keeps new readers out, and then waits until
// the readers have left. Meanwhile the word has LockDraining: a writer that dies
// here has written nothing.
func (rw *RWMutex) lock(ctx context.Context) error {
	draining := rw.writer.Load().CompareAndSwap(0, rw.self|layout.LockDraining)
	if draining && rw.empty() {
		rw.drain()
		return nil
	}
	return rw.lockSlow(ctx, draining)
}

func (rw *RWMutex) lockSlow(ctx context.Context, draining bool) error {
	if err := rw.members.begin(); err != nil {
		return fail("lock", rw.object, err)
	}
	defer rw.members.end()
	var died error
	if !draining {
		died = rw.word().lock(ctx, rw.members, &rw.spin, (*rwmutexPlace)(rw), layout.LockDraining)
		if died != nil && died != ErrOwnerDied {
			return fail("lock", rw.object, died)
		}
	}
	if err := rw.awaitEmpty(ctx); err != nil {
		if e := rw.retreat(); e != nil {
			err = e
		}
		return fail("lock", rw.object, err)
	}
	rw.drain()
	return fail("lock", rw.object, died)
}

func (rw *RWMutex) awaitEmpty(ctx context.Context) error {
	if rw.spin.Spin(rw.empty) {
		return nil
	}
	p := (*rwmutexPlace)(rw)
	rw.members.table.Block(p)
	defer rw.members.table.Unblock(p)
	empty := false
	lost, err := rw.drained.Await(ctx, func() bool {
		empty = rw.empty()
		return empty || rw.members.leaving.Load()
	})
	rw.members.slept(lost)
	if err == nil && !empty {
		err = shm.ErrClosed
	}
	return err
}

// drain ends the draining: we are the writer.
func (rw *RWMutex) drain() {
	for {
		word := rw.writer.Load().Load()
		if rw.writer.Load().CompareAndSwap(word, word&^layout.LockDraining) {
			return
		}
	}
}

// retreat gives up a lock that was still draining. What a former owner may have
// left half-done stays so.
func (rw *RWMutex) retreat() error {
	for {
		word := rw.writer.Load().Load()
		if layout.OwnerOf(word) != layout.OwnerOf(rw.self) {
			return ErrNotOwner
		}
		if rw.writer.Load().CompareAndSwap(word, word&layout.LockInconsistent) {
			park.WakeAll(mem.Low(rw.writer.Load()))
			return nil
		}
	}
}

// rwmutexPlace is the lock as a member.Place.
type rwmutexPlace RWMutex

func (p *rwmutexPlace) Recheck() {
	(*RWMutex)(p).word().recheck(p.members)
	p.drained.NotifyAll() // the dead may have begun to
}
