package inspect

import (
	"fmt"
	"strings"
	"time"
)

// Policy says what counts as garbage. The zero Policy takes only objects of
// Shoal itself that have shown no sign of life for [DefaultAge].
type Policy struct {
	// Age is how long ago the last sign of life (see [Object.Since]) must be. 0
	// means DefaultAge; a negative Age means that any object is old enough.
	Age time.Duration
	// Foreign takes objects that are not Shoal's, too. Whether such a one is
	// garbage nobody can know but its owner: some programs leave memory behind on
	// purpose, for their next run.
	Foreign bool
}

// DefaultAge is the Age of a Policy that names none.
const DefaultAge = 60 * time.Second

// Verdict is what a policy makes of an object.
type Verdict struct {
	Remove bool   // it is garbage
	Reason string // why, or why not, in words for people
}

// Judge decides whether an object is garbage: memory with a name that nobody
// uses, whose creator is known to be dead or, where the system records none
// (POSIX), that is old enough.
//
// Never garbage are semaphores, semaphore sets and message queues, and Shoal
// events and onces: they are made to wait, unused, for their next user, and the
// kernel does not say who that may be. Nor is a Shoal lock whose owner died, for
// the next one must hear of it, nor a ring or queue with records that nobody has
// received, nor a topic with a subscription that waits for its process. Their owner
// removes them by name.
//
// The verdict is about the moment at which o was looked at. To act on it use
// shm.RemoveUnused, which lets the kernel judge again, for every process of the
// machine.
func Judge(o Object, p Policy) Verdict {
	age := p.Age
	if age == 0 {
		age = DefaultAge
	}
	old := time.Since(o.Since())
	switch {
	case o.State == Removed:
		return keep("it is removed already, and freed when its last user lets go")
	case o.State == InUse:
		return keep("in use by %s", users(o))
	case o.Type == Semaphore || o.Type == SemaphoreSet || o.Type == MessageQueue:
		return keep("a %s may wait unused for its next user; if it is garbage, remove it by name", o.Type)
	case o.Structure != nil && o.Structure.remembers():
		return keep("%s", o.Structure.memory())
	case o.Type == LockFile && o.State == Idle:
		return keep("%s, to which it belongs, exists", o.LocksOf)
	case o.Creator.Life == Alive:
		return keep("its creator, pid %d, lives", o.Creator.PID)
	case o.State == Idle:
		return keep("its creator is out of sight: a process of another PID namespace")
	case !o.Own && !p.Foreign:
		return keep("unused, but not Shoal's own")
	case old < age:
		return keep("unused, but %s ago it was not; %s is asked", old.Round(time.Second), age)
	case o.Type == LockFile:
		return remove("%s, to which it belonged, is gone", o.LocksOf)
	case o.State == Damaged:
		return remove("it has size 0 and nobody has it open: its creator died half-way")
	case o.Creator.Life == Dead:
		return remove("its creator, pid %d, is dead, and nobody has it attached", o.Creator.PID)
	case !o.Certain:
		return remove("nobody in sight has it open or mapped (the kernel will say for the others)")
	}
	return remove("nobody has it open or mapped")
}

func keep(format string, args ...any) Verdict {
	return Verdict{Reason: fmt.Sprintf(format, args...)}
}

func remove(format string, args ...any) Verdict {
	return Verdict{Remove: true, Reason: fmt.Sprintf(format, args...)}
}

// users names the holders of o.
func users(o Object) string {
	const most = 3
	if len(o.Holders) == 0 {
		return fmt.Sprintf("%d attachments of processes out of sight", o.Attached)
	}
	var names []string
	for _, h := range o.Holders[:min(most, len(o.Holders))] {
		name := fmt.Sprintf("pid %d", h.PID)
		if h.Command != "" {
			name += " (" + h.Command + ")"
		}
		names = append(names, name)
	}
	if more := len(o.Holders) - most; more > 0 {
		names = append(names, fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}
