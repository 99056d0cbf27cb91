//go:build linux && (amd64 || arm64)

package crash

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// scenario is one operation in one situation. An attempt at it goes:
//
//	open      survivors in the test's process make the objects and join
//	dead      another process joins, takes something, and is killed
//	victim    joins, gets ready, and is told to go on
//	sleep     survivors go to sleep
//	          the victim performs its operation, and dies at some store, or ...
//	blocked   ... it is seen to sleep: now it may be killed, too
//	late      more survivors go to sleep, behind it
//	release   what it waits for happens: now it may have been woken, and be killed
//	midway    or: the victim has said "inside", and waits to be told
//	outcome   the survivors go on, and say what they have met
//
// All but open, victim and outcome may be nil. late and release happen in every
// attempt, also when the victim is dead already.
type scenario struct {
	name    string // heading in docs/CRASH.md
	role    string // what the victim is to the others
	open    func(a *attempt)
	dead    func(object string)
	victim  func(object string) (operation func() error)
	sleep   func(a *attempt)
	blocked func(a *attempt) bool
	late    func(a *attempt)
	release func(a *attempt)
	midway  func(a *attempt)
	outcome func(a *attempt) string

	// spent: when the operation has come to its end the victim has nothing left, and
	// the survivors go on while it lives.
	spent bool

	// fresh: the dead one dies when the victim has joined, which so comes to bury it.
	fresh bool

	// second is another process, which waits for something and is then stopped, until
	// the victim has died: the victim alone can do what is to be done. The dead one
	// dies when the victim is blocked, if it ever is. second returns what it has met.
	second func(object string) string

	// between happens when the victim has made its first store, and is stopped for it.
	between func(a *attempt)

	// stopped checks that a victim that is stopped at a store keeps what it has.
	stopped func(a *attempt, store int)

	// unborn tells at which points the victim is no member yet, or no longer, and so
	// is not counted as dead when it dies. Nil: at none.
	unborn func(a *attempt) bool
}

// scenarios are all of them, in the order of docs/CRASH.md.
func scenarios() []scenario {
	return slices.Concat(memberScenarios(), mutexScenarios(), rwmutexScenarios(), condScenarios(),
		semaphoreScenarios(), eventScenarios(), barrierScenarios(), onceScenarios())
}

// find is how a process in a role finds its part.
func find(name string) scenario {
	for _, s := range scenarios() {
		if s.name == name {
			return s
		}
	}
	rerun.Check(fmt.Errorf("no scenario %q", name))
	panic("unreachable")
}

func init() {
	roles["dead"] = func(args []string) {
		find(args[0]).dead(args[1])
		rerun.Say("ready")
		rerun.Hear()
	}
	roles["second"] = func(args []string) {
		rerun.Say(find(args[0]).second(args[1]))
		rerun.Hear()
	}
}

// Where a victim dies, if not at a store.
const (
	never  = -1 // it performs its operation, and is killed then
	asleep = -2 // while it sleeps
	woken  = -3 // when it has been woken, before it could act on that
)

// pointName is the first column of the tables in docs/CRASH.md.
func pointName(kill int) string {
	switch kill {
	case never:
		return "never"
	case asleep:
		return "asleep"
	case woken:
		return "woken"
	}
	return strconv.Itoa(kill)
}

// Every scenario that is not about named objects has a segment with a table of
// members at offset 0, a structure at offset at, and a mutex, if it needs one
// beside, at offset mutexAt.
const (
	slots   = 6
	at      = 1024
	mutexAt = 512
	size    = 8192
)

// join is how processes in a role get at the segment.
func join(object string) *pshared.Members {
	seg, err := shm.Open("/"+object, nil)
	rerun.Check(err)
	m, err := pshared.Join(seg, 0, slots)
	rerun.Check(err)
	return m
}

// got passes a handle on in a process in a role.
func got[H any](h H, err error) H {
	rerun.Check(err)
	return h
}
