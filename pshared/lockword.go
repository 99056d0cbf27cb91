package pshared

import (
	"context"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// lockWord is the owner word of a lock, seen by one member: the slow paths that
// Mutex and RWMutex share.
//
//	0 ──lock──▶ owner ──unlock──▶ 0
//	              │ another waits: +Waiters; unlock wakes one, who takes it with
//	              │ +Waiters, since still others may sleep
//	              ▼ dies
//	   void ──next lock──▶ owner+Inconsistent ──MarkConsistent──▶ owner
//	                              │ unlock
//	                              ▼
//	                        NotRecoverable
//
// What a survivor finds when the process has died after each store is told in
// docs/CRASH.md.
type lockWord struct {
	state *mem.Uint64
	self  uint64
	flags uint64 // those that the word can have
}

// The flags of either kind of lock.
const (
	mutexFlags   = layout.LockWaiters | layout.LockInconsistent | layout.LockNotRecoverable
	rwmutexFlags = mutexFlags | layout.LockDraining
)

// try takes the lock if word, which has just been read from it, lets it, and
// sets the flags in extra, too. Without an error and not locked, busy says that a
// live owner has it; else the word has changed since.
func (l lockWord) try(m *Members, word, extra uint64) (locked, busy bool, err error) {
	if word == layout.LockNotRecoverable {
		return false, false, ErrNotRecoverable
	}
	if !l.sound(word) {
		return false, false, corrupt("lock word", word)
	}
	keep := word & (layout.LockWaiters | layout.LockInconsistent)
	if o := layout.OwnerOf(word); o != 0 {
		current, valid := m.table.Settle(o)
		switch {
		case !valid:
			return false, false, corrupt("lock word", word)
		case current:
			return false, true, nil
		}
		// Its owner has gone. One who had not got what it waited for (see RWMutex)
		// has changed no data either.
		if word&layout.LockDraining == 0 {
			keep |= layout.LockInconsistent
		}
		defer func() {
			if locked {
				m.repaired()
			}
		}()
	}
	// From exactly what was judged: a lock that has changed hands is not touched.
	if !l.state.CompareAndSwap(word, l.self|keep|extra) {
		return false, false, nil
	}
	if keep&layout.LockInconsistent != 0 {
		return true, false, ErrOwnerDied
	}
	return true, false, nil
}

// lock spins and then sleeps until it has the lock, or ctx is done.
// Preconditions: within m.begin and m.end.
func (l lockWord) lock(ctx context.Context, m *Members, spin *park.Spinner, p member.Place, extra uint64) error {
	free := func() bool { return layout.OwnerOf(l.state.Load()) == 0 }
	for spin.Spin(free) {
		if locked, _, err := l.try(m, l.state.Load(), extra); locked || err != nil {
			return err
		}
	}
	return l.wait(ctx, m, p, extra)
}

// wait sleeps until it has the lock, or ctx is done.
func (l lockWord) wait(ctx context.Context, m *Members, p member.Place, extra uint64) error {
	m.table.Block(p)
	defer m.table.Unblock(p)
	// The kernel compares the low half, on which it sleeps. That the high half, the
	// epoch, is left out does no harm: with the same low half the lock is held, and
	// its holder knows that somebody sleeps.
	low := mem.Low(l.state)
	for slept := uint64(0); ; slept = layout.LockWaiters {
		var word uint64
		for {
			word = l.state.Load()
			// Whoever has slept takes the lock with the flag: others may sleep still, and
			// the unlock that woke us has cleared it.
			locked, busy, err := l.try(m, word, extra|slept)
			if locked || err != nil {
				return err
			}
			if !busy {
				continue
			}
			if m.leaving.Load() {
				return shm.ErrClosed
			}
			if word&layout.LockWaiters != 0 || l.state.CompareAndSwap(word, word|layout.LockWaiters) {
				break
			}
		}
		lost, err := park.WaitDue(ctx, low, uint32(word)|layout.LockWaiters, lockDue)
		m.slept(lost)
		if err != nil {
			// The unlock that was meant for us may have come in the same moment.
			park.Wake(low, 1)
			return err
		}
	}
}

// lockDue tells, of the low half of a lock word, whether who sleeps on it should
// have been woken: see park.WaitDue. While an owner knows that somebody sleeps all
// is well, whoever it is by now. Without the flag somebody else has been woken, and
// has still to take the lock, or to set the flag again.
func lockDue(low uint32) bool { return low>>16 == 0 || low&layout.LockWaiters == 0 }

// unlock gives the lock back.
func (l lockWord) unlock() error {
	for {
		word := l.state.Load()
		if err := l.mine(word); err != nil {
			return err
		}
		var next uint64
		if word&layout.LockInconsistent != 0 {
			next = layout.LockNotRecoverable
		}
		if !l.state.CompareAndSwap(word, next) { // pairs with the compare-and-swap of the next owner
			continue // a waiter has set its flag
		}
		switch {
		case next != 0:
			park.WakeAll(mem.Low(l.state))
		case word&layout.LockWaiters != 0:
			park.Wake(mem.Low(l.state), 1)
		}
		return nil
	}
}

func (l lockWord) markConsistent() error {
	for {
		word := l.state.Load()
		if err := l.mine(word); err != nil {
			return err
		}
		if l.state.CompareAndSwap(word, word&^layout.LockInconsistent) {
			return nil
		}
	}
}

// recheck frees the lock if its owner has gone, and wakes everybody: see
// member.Place. A word that still names a live owner needs no change: its unlock
// changes it.
func (l lockWord) recheck(m *Members) {
	word := l.state.Load()
	if o := layout.OwnerOf(word); o != 0 {
		if current, valid := m.table.Current(o); valid && !current {
			next := word & (layout.LockWaiters | layout.LockInconsistent)
			if word&layout.LockDraining == 0 {
				next |= layout.LockInconsistent
			}
			if l.state.CompareAndSwap(word, next) {
				m.repaired()
			}
		}
	}
	park.WakeAll(mem.Low(l.state))
}

// mine says why what the word says is not held by this member; nil if it is.
func (l lockWord) mine(word uint64) error {
	switch {
	case !l.sound(word):
		return corrupt("lock word", word)
	case layout.OwnerOf(word) != layout.OwnerOf(l.self):
		return ErrNotOwner
	}
	return nil
}

// sound reports whether the word has only flags that it can have, in combinations
// in which it can have them. Whether its owner can exist is the table's to say.
func (l lockWord) sound(word uint64) bool {
	if word&0xffff&^l.flags != 0 {
		return false
	}
	if layout.OwnerOf(word) == 0 {
		return word&layout.LockDraining == 0 && (word&layout.LockNotRecoverable == 0 || word == layout.LockNotRecoverable)
	}
	return word&layout.LockNotRecoverable == 0
}

func (l lockWord) check(m *Members) error {
	word := l.state.Load()
	if o := layout.OwnerOf(word); o != 0 {
		if _, valid := m.table.Current(o); !valid {
			return corrupt("lock word", word)
		}
	}
	if !l.sound(word) {
		return corrupt("lock word", word)
	}
	return nil
}
