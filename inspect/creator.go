package inspect

import "time"

// Life says whether a process lives.
type Life uint8

// What can be known of a process.
const (
	Unrecorded Life = iota // nobody recorded which process it was, or it is out of sight
	Alive                  // it lives
	Dead                   // it is gone, or a zombie, or its number now belongs to a younger process
)

// String returns "unrecorded", "alive" or "dead".
func (l Life) String() string {
	switch l {
	case Alive:
		return "alive"
	case Dead:
		return "dead"
	}
	return "unrecorded"
}

// Creator is the process that made an object.
type Creator struct {
	PID  int  // in this PID namespace; 0 if nobody recorded it or it is of another namespace
	Life Life // whether it still lives
}

// clockSlack is how far the times that are compared may be off: System V counts
// in seconds, the start of a process in clock ticks since boot.
const clockSlack = 2 * time.Second

// creator tells whether the process pid, which made something at or before
// made, still lives. A process that started later has only inherited the
// number. (If the wall clock was set back in between, that goes unnoticed and
// the creator counts as alive, which is the careful side; set forward by
// clockSlack or more, a live creator may look too young only if it started
// before the change and made the object after it.)
func creator(pid int, made time.Time) Creator {
	c := Creator{PID: pid}
	if pid <= 0 {
		return Creator{}
	}
	start, alive := process(pid)
	switch {
	case !alive:
		c.Life = Dead
	case !start.IsZero() && !made.IsZero() && start.After(made.Add(clockSlack)):
		c.Life = Dead
	default:
		c.Life = Alive
	}
	return c
}
