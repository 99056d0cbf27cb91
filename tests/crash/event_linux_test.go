//go:build linux && (amd64 || arm64)

package crash

import (
	"context"
	"fmt"

	"github.com/seed-247006a4/shoal/pshared"
)

func makeEvent(a *attempt, n int, reset pshared.EventReset) {
	e, err := pshared.InitEvent(a.make(), at, reset)
	for range n - 1 {
		must(a.T, err)
		a.event = append(a.event, e)
		e, err = pshared.JoinEvent(a.join(), at)
	}
	must(a.T, err)
	a.event = append(a.event, e)
}

func eventScenarios() []scenario {
	open := func(reset pshared.EventReset, set bool) func(*attempt) {
		return func(a *attempt) {
			makeEvent(a, 3, reset)
			if set {
				a.event[0].Set()
			}
		}
	}
	victim := func(op func(*pshared.Event) error) func(string) func() error {
		return func(object string) func() error {
			e := got(pshared.JoinEvent(join(object), at))
			return func() error { return op(e) }
		}
	}
	set := victim(func(e *pshared.Event) error { e.Set(); return nil })
	reset := victim(func(e *pshared.Event) error { e.Reset(); return nil })
	wait := victim((*pshared.Event).Wait)
	cancelled := victim(func(e *pshared.Event) error {
		return impatient(func(ctx context.Context) error { return e.WaitContext(ctx) })
	})
	sleeps := func(i int) func(*attempt) {
		return func(a *attempt) {
			a.sleepsIn(a.event[i].Wait, at+8)
		}
	}
	blocked := func(a *attempt) bool { return a.sleepers(at+8) > 0 }
	release := func(a *attempt) { a.event[0].Set() }
	sleeper := func(a *attempt) string {
		if len(a.sleeps) == 0 {
			a.goes(a.event[1].Wait)
		}
		return "Wait: " + a.ends(a.sleeps[0])
	}
	isSet := func(a *attempt) string { return fmt.Sprintf("IsSet: %t", a.event[0].IsSet()) }
	// unlessSet is for waiters whom nobody else lets pass.
	unlessSet := func(a *attempt) string {
		if a.kill == 0 {
			a.event[0].Set()
		}
		return sleeper(a)
	}
	return []scenario{
		{name: "Event.Set, nobody waits", spent: true, role: "setter", open: open(pshared.ManualReset, false), victim: set, outcome: isSet},
		{name: "Event.Set, two wait", spent: true, role: "setter", open: open(pshared.ManualReset, false), victim: set,
			sleep: func(a *attempt) { sleeps(1)(a); sleeps(2)(a) },
			outcome: func(a *attempt) string {
				return unlessSet(a) + ", " + a.ends(a.sleeps[1])
			}},
		{name: "Event.Reset", spent: true, role: "setter", open: open(pshared.ManualReset, true), victim: reset, outcome: isSet},
		{name: "Event.Wait, not set", spent: true, role: "waiter", open: open(pshared.ManualReset, false), victim: wait,
			blocked: blocked, late: sleeps(1), release: release, outcome: sleeper},
		{name: "Event.WaitContext, cancelled", spent: true, role: "waiter", open: open(pshared.ManualReset, false), victim: cancelled,
			outcome: func(a *attempt) string {
				sleeps(1)(a)
				release(a)
				return sleeper(a)
			}},
		{name: "Event.Set, resets itself, one waits", spent: true, role: "setter", open: open(pshared.AutoReset, false), victim: set,
			sleep: sleeps(1),
			outcome: func(a *attempt) string {
				return unlessSet(a) + ", " + isSet(a)
			}},
		{name: "Event.Wait, resets itself, set", spent: true, role: "waiter", open: open(pshared.AutoReset, true), victim: wait, outcome: isSet},
		{name: "Event.Wait, resets itself, not set", spent: true, role: "waiter", open: open(pshared.AutoReset, false), victim: wait,
			blocked: blocked,
			late:    sleeps(1),
			release: release,
			outcome: func(a *attempt) string {
				if len(a.sleeps) == 0 {
					sleeps(1)(a)
				}
				if a.kill >= 2 || a.kill == never { // the victim has passed
					release(a)
				}
				return sleeper(a) + ", " + isSet(a)
			}},
	}
}
