//go:build linux && (amd64 || arm64)

package crash

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
)

// makeMutex makes a mutex at offset, for n survivors.
func makeMutex(a *attempt, offset, n int) {
	mu, err := pshared.InitMutex(a.make(), offset)
	for range n - 1 {
		must(a.T, err)
		a.mutex = append(a.mutex, mu)
		mu, err = pshared.JoinMutex(a.join(), offset)
	}
	must(a.T, err)
	a.mutex = append(a.mutex, mu)
	a.checks = append(a.checks, mu.Check)
}

// victimMutex is the victim's handle.
func victimMutex(object string) *pshared.Mutex { return got(pshared.JoinMutex(join(object), at)) }

// deadMutex dies with the mutex locked.
func deadMutex(object string) { rerun.Check(victimMutex(object).Lock()) }

// take locks a mutex as survivors do: they mend what a dead owner has left, and
// do not hold it for long.
func take(mu *pshared.Mutex) error {
	err := mu.Lock()
	if err == nil || errors.Is(err, pshared.ErrOwnerDied) {
		if err != nil {
			if e := mu.MarkConsistent(); e != nil {
				return e
			}
		}
		if e := mu.Unlock(); e != nil {
			return e
		}
	}
	return err
}

// patience is how long a victim waits that is to give up: past all spinning.
const patience = 30 * time.Millisecond

// impatient calls an operation that waits in vain.
func impatient(f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := f(ctx); !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("want DeadlineExceeded, got %v", err)
	}
	return nil
}

// wantDied is for operations that must meet a dead owner.
func wantDied(err error) error {
	if !errors.Is(err, pshared.ErrOwnerDied) {
		return fmt.Errorf("want ErrOwnerDied, got %v", err)
	}
	return nil
}

// lockOutcome is what a survivor meets that locks.
func lockOutcome(a *attempt) string {
	return "Lock: " + a.does(func() error { return take(a.mutex[0]) })
}

// asleepInLock has a survivor sleep in Lock.
func asleepInLock(a *attempt, mu *pshared.Mutex) {
	a.sleepsIn(func() error { return take(mu) }, at+8)
}

// sleeperOutcome is what it has met since the victim's death. It asks anew if it has
// not gone to sleep, and if it may have had the lock before the victim: whoever sleeps
// for long looks from time to time, and is then the last in the kernel's queue. News of
// a death is not lost by asking twice.
func sleeperOutcome(a *attempt) string {
	if len(a.sleeps) > 0 {
		if met := a.ends(a.sleeps[0]); met != "nil" {
			return "Lock: " + met
		}
	}
	return "Lock: " + a.ends(a.goes(func() error { return take(a.mutex[1]) }))
}

// isLocked checks that a stopped victim keeps the mutex.
func isLocked(a *attempt, _ int) {
	if locked, err := a.mutex[0].TryLock(); locked || err != nil {
		a.Errorf("TryLock, while the victim is stopped that has the mutex: %t, %v", locked, err)
	}
}

func mutexScenarios() []scenario {
	open := func(a *attempt) { makeMutex(a, at, 2) }
	openLocked := func(a *attempt) {
		open(a)
		must(a.T, a.mutex[0].Lock())
	}
	unlock := func(a *attempt) { must(a.T, a.mutex[0].Unlock()) }
	victim := func(op func(*pshared.Mutex) error) func(string) func() error {
		return func(object string) func() error {
			mu := victimMutex(object)
			return func() error { return op(mu) }
		}
	}
	owner := func(op func(*pshared.Mutex) error) func(string) func() error {
		return func(object string) func() error {
			mu := victimMutex(object)
			if err := mu.Lock(); !errors.Is(err, pshared.ErrOwnerDied) {
				rerun.Check(err)
			}
			return func() error { return op(mu) }
		}
	}
	tryLock := func(mu *pshared.Mutex) error {
		locked, err := mu.TryLock()
		if !locked || err != nil {
			return fmt.Errorf("TryLock: %t, %v", locked, err)
		}
		return nil
	}
	return []scenario{
		{name: "Mutex.Lock, free", role: "new owner", open: open, victim: victim((*pshared.Mutex).Lock),
			outcome: lockOutcome, stopped: isLocked},
		{name: "Mutex.Lock, locked", role: "waiter", open: openLocked, victim: victim((*pshared.Mutex).Lock),
			blocked: func(a *attempt) bool { return a.sleepers(at+8) > 0 },
			late:    func(a *attempt) { asleepInLock(a, a.mutex[1]) },
			release: unlock, outcome: sleeperOutcome},
		{name: "Mutex.Lock and Unlock, locked", role: "waiter, owner", spent: true, open: openLocked,
			victim: victim(func(mu *pshared.Mutex) error {
				if err := mu.Lock(); err != nil {
					return err
				}
				return mu.Unlock()
			}),
			blocked: func(a *attempt) bool { return a.sleepers(at+8) > 0 },
			late:    func(a *attempt) { asleepInLock(a, a.mutex[1]) },
			release: unlock, outcome: sleeperOutcome},
		{name: "Mutex.LockContext, cancelled", spent: true, role: "waiter", open: openLocked,
			victim: victim(func(mu *pshared.Mutex) error { return impatient(mu.LockContext) }),
			outcome: func(a *attempt) string {
				asleepInLock(a, a.mutex[1])
				unlock(a)
				return sleeperOutcome(a)
			}},
		{name: "Mutex.TryLock, free", role: "new owner", open: open, victim: victim(tryLock),
			outcome: lockOutcome, stopped: isLocked},
		{name: "Mutex.Lock, its owner has died", role: "burier, owner", open: open, dead: deadMutex, fresh: true,
			victim:  victim(func(mu *pshared.Mutex) error { return wantDied(mu.Lock()) }),
			outcome: lockOutcome},
		{name: "Mutex.Lock, its owner dies", role: "burier, owner", open: open, dead: deadMutex, fresh: true,
			victim:  victim(func(mu *pshared.Mutex) error { return wantDied(mu.Lock()) }),
			second:  func(object string) string { return "Lock: " + verdict(take(victimMutex(object))) },
			blocked: func(a *attempt) bool { return a.sleepers(at+8) > 0 }},
		{name: "Mutex.MarkConsistent", role: "owner", open: open, dead: deadMutex,
			victim: owner((*pshared.Mutex).MarkConsistent), outcome: lockOutcome, stopped: isLocked},
		{name: "Mutex.Unlock, nobody waits", spent: true, role: "owner", open: open,
			victim: owner((*pshared.Mutex).Unlock), outcome: lockOutcome},
		{name: "Mutex.Unlock, one waits", spent: true, role: "owner", open: open, victim: owner((*pshared.Mutex).Unlock),
			sleep: func(a *attempt) { asleepInLock(a, a.mutex[1]) }, outcome: sleeperOutcome},
		{name: "Mutex.Unlock, inconsistent, one waits", spent: true, role: "owner", open: open, dead: deadMutex,
			victim: owner((*pshared.Mutex).Unlock),
			sleep:  func(a *attempt) { asleepInLock(a, a.mutex[1]) }, outcome: sleeperOutcome},
	}
}
