//go:build linux && (amd64 || arm64)

package crash

import (
	"context"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
)

// permitAt is where those sleep who wait for a permit that can be undone.
const permitAt = at + 12

func makeSemaphore(a *attempt, n int, c pshared.SemaphoreConfig) {
	s, err := pshared.InitSemaphore(a.make(), at, c)
	for range n - 1 {
		must(a.T, err)
		a.semaphore = append(a.semaphore, s)
		s, err = pshared.JoinSemaphore(a.join(), at)
	}
	must(a.T, err)
	a.semaphore = append(a.semaphore, s)
	a.checks = append(a.checks, s.Check)
}

func victimSemaphore(object string) *pshared.Semaphore {
	return got(pshared.JoinSemaphore(join(object), at))
}

func semaphoreScenarios() []scenario {
	plain := func(value int) func(*attempt) {
		return func(a *attempt) { makeSemaphore(a, 2, pshared.SemaphoreConfig{Value: value}) }
	}
	undo := func(a *attempt) { makeSemaphore(a, 2, pshared.SemaphoreConfig{Value: 1, Undo: true}) }
	undoTaken := func(a *attempt) {
		undo(a)
		must(a.T, a.semaphore[0].Acquire())
	}
	victim := func(first, op func(*pshared.Semaphore) error) func(string) func() error {
		return func(object string) func() error {
			s := victimSemaphore(object)
			if first != nil {
				rerun.Check(first(s))
			}
			return func() error { return op(s) }
		}
	}
	cancelled := func(s *pshared.Semaphore) error {
		return impatient(func(ctx context.Context) error { return s.AcquireContext(ctx) })
	}
	release := func(a *attempt) { must(a.T, a.semaphore[0].Release()) }
	sleeps := func(offset int) func(*attempt) {
		return func(a *attempt) {
			a.sleepsIn(a.semaphore[1].Acquire, offset)
		}
	}
	blocked := func(offset int) func(*attempt) bool {
		return func(a *attempt) bool { return a.sleepers(offset) > 0 }
	}
	value := func(a *attempt) string { return fmt.Sprintf("Value: %d", a.semaphore[0].Value()) }
	sleeper := func(a *attempt) string { return "Acquire: " + a.ends(a.sleeps[0]) }
	acquires := func(a *attempt) string { return "Acquire: " + a.does(a.semaphore[1].Acquire) }
	hasPermit := func(a *attempt, _ int) {
		if ok, err := a.semaphore[1].TryAcquire(); ok || err != nil {
			a.Errorf("TryAcquire, while the victim is stopped that has the permit: %t, %v", ok, err)
		}
	}
	return []scenario{
		{name: "Semaphore.Acquire, one is there", role: "taker", open: plain(1),
			victim: victim(nil, (*pshared.Semaphore).Acquire), outcome: value},
		{name: "Semaphore.Acquire, none is there", role: "waiter", open: plain(0),
			victim:  victim(nil, (*pshared.Semaphore).Acquire),
			blocked: blocked(at + 8),
			late:    sleeps(at + 8),
			release: release,
			outcome: func(a *attempt) string {
				if len(a.sleeps) == 0 {
					sleeps(at + 8)(a)
				}
				// The victim may have got the only one that there was.
				taken := a.kill >= 2 || a.kill == never
				if taken {
					release(a)
				}
				v := sleeper(a)
				return fmt.Sprintf("%s, Value: %d", v, a.semaphore[0].Value())
			}},
		{name: "Semaphore.AcquireContext, cancelled", spent: true, role: "waiter", open: plain(0),
			victim: victim(nil, cancelled),
			outcome: func(a *attempt) string {
				sleeps(at + 8)(a)
				release(a)
				return sleeper(a)
			}},
		{name: "Semaphore.Release, nobody waits", spent: true, role: "giver", open: plain(0),
			victim: victim(nil, (*pshared.Semaphore).Release), outcome: value},
		{name: "Semaphore.Release, one waits", spent: true, role: "giver", open: plain(0),
			victim: victim(nil, (*pshared.Semaphore).Release), sleep: sleeps(at + 8),
			outcome: func(a *attempt) string {
				if a.kill == 0 {
					release(a)
				}
				return sleeper(a) + ", " + value(a)
			}},
		{name: "Semaphore.Acquire with undo, one is free", role: "taker", open: undo,
			victim: victim(nil, (*pshared.Semaphore).Acquire), outcome: acquires, stopped: hasPermit},
		{name: "Semaphore.Acquire with undo, none is free", role: "waiter", open: undoTaken,
			victim:  victim(nil, (*pshared.Semaphore).Acquire),
			blocked: blocked(permitAt),
			late: func(a *attempt) {
				if a.kill < never { // all are woken, and whoever comes first takes it
					sleeps(permitAt)(a)
				}
			},
			release: release,
			outcome: func(a *attempt) string {
				if len(a.sleeps) > 0 {
					return sleeper(a)
				}
				return acquires(a)
			}},
		{name: "Semaphore.AcquireContext with undo, cancelled", spent: true, role: "waiter", open: undoTaken,
			victim: victim(nil, cancelled),
			outcome: func(a *attempt) string {
				sleeps(permitAt)(a)
				release(a)
				return sleeper(a)
			}},
		{name: "Semaphore.Acquire with undo, its holder has died", role: "burier, taker", open: undo, fresh: true,
			dead:   func(object string) { rerun.Check(victimSemaphore(object).Acquire()) },
			victim: victim(nil, (*pshared.Semaphore).Acquire), outcome: acquires},
		{name: "Semaphore.Release with undo, nobody waits", spent: true, role: "holder", open: undo,
			victim: victim((*pshared.Semaphore).Acquire, (*pshared.Semaphore).Release), outcome: acquires},
		{name: "Semaphore.Release with undo, one waits", spent: true, role: "holder", open: undo,
			victim: victim((*pshared.Semaphore).Acquire, (*pshared.Semaphore).Release),
			sleep:  sleeps(permitAt), outcome: sleeper},
	}
}
