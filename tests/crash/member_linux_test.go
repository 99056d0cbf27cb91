//go:build linux && (amd64 || arm64)

package crash

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// named are the options of the objects that have a name.
var named = pshared.Options{Members: slots}

// exists opens the named object, for a look at it, if there is one.
func (a *attempt) exists() bool {
	o, err := object.Open(a.object, object.Spec{})
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	must(a.T, err)
	if a.segment != nil {
		o.Segment.Close()
		return true
	}
	a.segment, a.table, a.body = o.Segment, o.Members(), o.Body
	return true
}

func (a *attempt) deaths() uint64 {
	return got(mem.At[layout.Members](a.segment.Bytes(), a.table)).Deaths.Load()
}

// opens has a survivor open the named mutex and lock it.
func opens(a *attempt) string {
	mu, err := named.OpenMutex(a.object)
	must(a.T, err)
	defer mu.Close()
	if err := mu.Check(); err != nil {
		a.Error(err)
	}
	return "Lock: " + a.does(func() error { return take(mu) })
}

// counted says how many deaths the object counts when its slots have been used by
// others.
func counted(a *attempt) string {
	a.fill()
	return fmt.Sprintf("deaths: %d", a.deaths())
}

func memberScenarios() []scenario {
	openMutex := func(object string) func() error {
		return func() error { _, err := named.OpenMutex(object); return err }
	}
	dead := func(object string) { rerun.Check(got(named.OpenMutex(object)).Lock()) }
	prepare := func(a *attempt) {
		mu, err := named.OpenMutex(a.object)
		must(a.T, err)
		must(a.T, mu.Close())
		a.exists()
	}
	segment := func(a *attempt) {
		var err error
		a.segment, err = shm.Create("/"+a.object, size, nil)
		must(a.T, err)
	}
	// joined: at the claim the victim becomes a member.
	joined := func(claim int) func(*attempt) bool {
		return func(a *attempt) bool { return a.kill >= 0 && a.kill < claim }
	}
	return []scenario{
		{name: "OpenMutex, there is none", role: "creator", open: func(*attempt) {}, victim: openMutex,
			unborn: joined(13),
			outcome: func(a *attempt) string {
				if !a.exists() {
					return "fs.ErrNotExist"
				}
				return opens(a) + ", " + counted(a)
			}},
		{name: "OpenMutex, there is one", role: "new member", open: prepare, victim: openMutex, unborn: joined(10),
			outcome: func(a *attempt) string { return opens(a) + ", " + counted(a) }},
		{name: "OpenMutex, an owner has died", role: "burier, member", open: prepare, dead: dead, victim: openMutex,
			unborn:  joined(15),
			outcome: func(a *attempt) string { return opens(a) }},
		{name: "Join, makes the table", role: "creator", open: segment,
			victim: func(object string) func() error {
				seg := got(shm.Open("/"+object, nil))
				return func() error { _, err := pshared.Join(seg, 0, slots); return err }
			},
			unborn: joined(11),
			outcome: func(a *attempt) string {
				a.join()
				return counted(a)
			}},
		{name: "Join, an owner has died, another waits", role: "burier, member", fresh: true,
			open: func(a *attempt) { makeMutex(a, at, 1) }, dead: deadMutex,
			second: func(object string) string { return "Lock: " + verdict(take(victimMutex(object))) },
			victim: func(object string) func() error {
				seg := got(shm.Open("/"+object, nil))
				return func() error { _, err := pshared.Join(seg, 0, slots); return err }
			},
			unborn: joined(15)},
		{name: "InitSemaphore", role: "creator", open: func(a *attempt) { a.make() },
			victim: func(object string) func() error {
				m := join(object)
				return func() error { _, err := pshared.InitSemaphore(m, at, pshared.SemaphoreConfig{Value: 1}); return err }
			},
			outcome: func(a *attempt) string {
				_, err := pshared.JoinSemaphore(a.members[0], at)
				_, err2 := pshared.InitSemaphore(a.members[0], at, pshared.SemaphoreConfig{Value: 2})
				s, err3 := pshared.JoinSemaphore(a.members[0], at)
				must(a.T, err3)
				return fmt.Sprintf("Join: %s, Init: %s, Value: %d", verdict(err), verdict(err2), s.Value())
			}},
		{name: "Close, with the mutex locked, one waits", role: "owner",
			open: func(a *attempt) {
				mu, err := named.OpenMutex(a.object)
				must(a.T, err)
				a.named = append(a.named, mu)
				a.mutex = append(a.mutex, nil, mu)
				a.checks = append(a.checks, mu.Check)
				a.exists()
			},
			victim: func(object string) func() error {
				mu := got(named.OpenMutex(object))
				rerun.Check(mu.Lock())
				return mu.Close
			},
			sleep: func(a *attempt) {
				a.sleepsIn(func() error { return take(a.mutex[1]) }, a.body+8)
			},
			unborn:  func(a *attempt) bool { return a.kill != 0 },
			outcome: func(a *attempt) string { return sleeperOutcome(a) + ", " + counted(a) }},
	}
}
