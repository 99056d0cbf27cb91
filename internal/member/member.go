package member

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
)

// ErrNoSlot: every slot of the member table is taken by a live process.
var ErrNoSlot = errors.New("no free member slot")

// Options say how to join.
type Options struct {
	// Make is the number of slots of the table to make if there is none; 0 means
	// that there must be one.
	Make int
	// Role is a number of the structure's own, for people to see.
	Role uint32
	// Repair takes back what the dead owner had in hand, before its epoch is
	// retired. It runs while the slot is locked, so it runs once at a time, but it
	// may run again for the same owner if the first one to do it dies. Nil: there
	// is nothing to do beyond what retiring the epoch does.
	Repair func(dead layout.Owner)
}

// Place is something that goroutines of this process wait at, for other members
// to do something: a mutex, a condition.
type Place interface {
	// Recheck is called when members have gone. It takes back what they had of
	// this place (see Table.Current), and wakes everybody who sleeps there: a
	// member that dies between an action and the wake-up that belongs to it, or
	// between being woken and acting, has taken a wake-up with it.
	//
	// It must change the word that sleepers compare, or find that whoever looks at
	// the place now does not go to sleep.
	Recheck()
}

// Report is what somebody who has not joined can learn of a table.
type Report struct {
	Slots                      int
	Members                    []Info
	Deaths, Repairs, LostWakes uint64
}

// Info is a member, as it has described itself.
type Info struct {
	Owner         layout.Owner
	Alive         bool // it holds the lock of its slot; else it has died and has not been buried yet
	PID           int  // in its own pid namespace
	SameNamespace bool // that is ours
	Start         uint64
	Role          uint32
	Joined        time.Time
	Name          string // of its program, up to 16 bytes
}

// Find returns the member that an owner word names, or nil: it has gone.
func (r *Report) Find(o layout.Owner) *Info {
	for i := range r.Members {
		if r.Members[i].Owner == o {
			return &r.Members[i]
		}
	}
	return nil
}

// CompanionName is the POSIX object that carries the locks of the members of a
// System V segment.
func CompanionName(id int32) string { return fmt.Sprintf("/shoal.sysv-%d", id) }
