//go:build linux && (amd64 || arm64)

package crash

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
)

// drainedAt is where a writer sleeps that waits for readers.
const drainedAt = at + 16

func makeRWMutex(a *attempt, n int) {
	rw, err := pshared.InitRWMutex(a.make(), at)
	for range n - 1 {
		must(a.T, err)
		a.rwmutex = append(a.rwmutex, rw)
		rw, err = pshared.JoinRWMutex(a.join(), at)
	}
	must(a.T, err)
	a.rwmutex = append(a.rwmutex, rw)
	a.checks = append(a.checks, rw.Check)
}

func victimRWMutex(object string) *pshared.RWMutex { return got(pshared.JoinRWMutex(join(object), at)) }

// read locks for reading, for a moment.
func read(rw *pshared.RWMutex) error {
	err := rw.RLock()
	if err == nil {
		err = rw.RUnlock()
	}
	return err
}

// write locks for writing, and mends what a dead writer has left.
func write(rw *pshared.RWMutex) error {
	err := rw.Lock()
	if err == nil || errors.Is(err, pshared.ErrOwnerDied) {
		if err != nil {
			if e := rw.MarkConsistent(); e != nil {
				return e
			}
		}
		if e := rw.Unlock(); e != nil {
			return e
		}
	}
	return err
}

func rwmutexScenarios() []scenario {
	open := func(a *attempt) { makeRWMutex(a, 3) }
	openReading := func(a *attempt) {
		open(a)
		must(a.T, a.rwmutex[0].RLock())
	}
	openWriting := func(a *attempt) {
		open(a)
		must(a.T, a.rwmutex[0].Lock())
	}
	runlock := func(a *attempt) { must(a.T, a.rwmutex[0].RUnlock()) }
	unlock := func(a *attempt) { must(a.T, a.rwmutex[0].Unlock()) }
	// victim has taken before what first takes.
	victim := func(first, op func(*pshared.RWMutex) error) func(string) func() error {
		return func(object string) func() error {
			rw := victimRWMutex(object)
			if first != nil {
				if err := first(rw); !errors.Is(err, pshared.ErrOwnerDied) {
					rerun.Check(err)
				}
			}
			return func() error { return op(rw) }
		}
	}
	sleepsReading := func(a *attempt) {
		a.sleepsIn(func() error { return read(a.rwmutex[1]) }, at+8)
	}
	sleepsWriting := func(a *attempt) {
		a.sleepsIn(func() error { return write(a.rwmutex[2]) }, at+8, drainedAt)
	}
	reader := func(a *attempt) string {
		if len(a.sleeps) == 0 {
			a.goes(func() error { return read(a.rwmutex[1]) })
		}
		return "RLock: " + a.ends(a.sleeps[0])
	}
	writer := func(a *attempt) string { return "Lock: " + a.ends(a.sleeps[0]) }
	outcome := func(a *attempt) string {
		return "Lock: " + a.does(func() error { return write(a.rwmutex[0]) })
	}
	// An unlock wakes all who wait. A writer that sleeps beside the victim could come
	// first, so there is none when the victim is to get the lock.
	beforeItsTurn := func(a *attempt) {
		if a.kill < 2 && a.kill != never {
			sleepsWriting(a)
		}
	}
	turn := func(a *attempt) string {
		if len(a.sleeps) > 0 {
			return writer(a)
		}
		return outcome(a)
	}
	isRead := func(a *attempt, _ int) {
		if locked, err := a.rwmutex[1].TryLock(); locked || err != nil {
			a.Errorf("TryLock, while the victim is stopped that reads: %t, %v", locked, err)
		}
	}
	isWritten := func(a *attempt, _ int) {
		if locked, err := a.rwmutex[1].TryRLock(); locked || err != nil {
			a.Errorf("TryRLock, while the victim is stopped that has or wants to write: %t, %v", locked, err)
		}
	}
	return []scenario{
		{name: "RWMutex.RLock, free", role: "reader", open: open, victim: victim(nil, (*pshared.RWMutex).RLock),
			outcome: outcome, stopped: isRead},
		{name: "RWMutex.RLock, a writer has it", role: "waiter", open: openWriting,
			victim:  victim(nil, (*pshared.RWMutex).RLock),
			blocked: func(a *attempt) bool { return a.sleepers(at+8) > 0 },
			late:    beforeItsTurn, release: unlock, outcome: turn},
		{name: "RWMutex.TryRLock, a writer comes between", spent: true, role: "reader", open: open,
			victim: victim(nil, func(rw *pshared.RWMutex) error {
				if locked, err := rw.TryRLock(); locked || err != nil {
					return fmt.Errorf("TryRLock: %t, %v", locked, err)
				}
				return nil
			}),
			between: func(a *attempt) {
				// It keeps the lock: the victim must not find it free again.
				a.sleepsIn(a.rwmutex[2].Lock, drainedAt)
			},
			outcome: func(a *attempt) string {
				if len(a.sleeps) == 0 {
					return outcome(a)
				}
				v := writer(a)
				must(a.T, a.rwmutex[2].Unlock())
				return v
			}},
		{name: "RWMutex.RUnlock, nobody waits", spent: true, role: "reader", open: open,
			victim: victim((*pshared.RWMutex).RLock, (*pshared.RWMutex).RUnlock), outcome: outcome},
		{name: "RWMutex.RUnlock, a writer waits", spent: true, role: "reader", open: open,
			victim: victim((*pshared.RWMutex).RLock, (*pshared.RWMutex).RUnlock),
			sleep:  sleepsWriting, outcome: writer},
		{name: "RWMutex.Lock, free", role: "new writer", open: open, victim: victim(nil, (*pshared.RWMutex).Lock),
			outcome: outcome, stopped: isWritten},
		{name: "RWMutex.Lock, a reader inside", role: "waiter", open: openReading,
			victim:  victim(nil, (*pshared.RWMutex).Lock),
			blocked: func(a *attempt) bool { return a.sleepers(drainedAt) > 0 },
			late:    func(a *attempt) { a.goes(func() error { return read(a.rwmutex[1]) }) },
			release: runlock, outcome: reader, stopped: isWritten},
		{name: "RWMutex.Lock, a writer has it", role: "waiter", open: openWriting,
			victim:  victim(nil, (*pshared.RWMutex).Lock),
			blocked: func(a *attempt) bool { return a.sleepers(at+8) > 0 },
			late:    beforeItsTurn, release: unlock, outcome: turn},
		{name: "RWMutex.LockContext, cancelled, a reader inside", spent: true, role: "waiter", open: openReading,
			victim: victim(nil, func(rw *pshared.RWMutex) error {
				return impatient(func(ctx context.Context) error { return rw.LockContext(ctx) })
			}),
			outcome: func(a *attempt) string {
				return "RLock: " + a.does(func() error { return read(a.rwmutex[1]) })
			}},
		{name: "RWMutex.TryLock, a reader inside", spent: true, role: "new writer", open: openReading,
			victim: victim(nil, func(rw *pshared.RWMutex) error {
				if locked, err := rw.TryLock(); locked || err != nil {
					return fmt.Errorf("TryLock: %t, %v", locked, err)
				}
				return nil
			}),
			outcome: func(a *attempt) string {
				return "RLock: " + a.does(func() error { return read(a.rwmutex[1]) })
			}},
		{name: "RWMutex.Lock, its writer has died", role: "burier, writer", open: open, fresh: true,
			dead:    func(object string) { rerun.Check(victimRWMutex(object).Lock()) },
			victim:  victim(nil, func(rw *pshared.RWMutex) error { return wantDied(rw.Lock()) }),
			outcome: outcome},
		{name: "RWMutex.MarkConsistent", role: "writer", open: open,
			dead:    func(object string) { rerun.Check(victimRWMutex(object).Lock()) },
			victim:  victim((*pshared.RWMutex).Lock, (*pshared.RWMutex).MarkConsistent),
			outcome: outcome, stopped: isWritten},
		{name: "RWMutex.Unlock, nobody waits", spent: true, role: "writer", open: open,
			victim: victim((*pshared.RWMutex).Lock, (*pshared.RWMutex).Unlock), outcome: outcome},
		{name: "RWMutex.Unlock, a reader and a writer wait", spent: true, role: "writer", open: open,
			victim: victim((*pshared.RWMutex).Lock, (*pshared.RWMutex).Unlock),
			sleep: func(a *attempt) {
				sleepsReading(a)
				sleepsWriting(a)
			},
			outcome: func(a *attempt) string {
				r, w := a.ends(a.sleeps[0]), a.ends(a.sleeps[1])
				return "RLock: " + r + ", Lock: " + w
			}},
	}
}
