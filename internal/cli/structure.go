package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/shm"
)

// errNoShoalObject: there is something under the POSIX name of a bare one.
var errNoShoalObject = fmt.Errorf("it does not begin like a Shoal object: %w", shm.ErrCorrupt)

// sayDamage says what is wrong inside an object, and reports the error for it;
// nil if all is well. Whoever gives a bare name means a Shoal object.
func (c *command) sayDamage(o inspect.Object) error {
	name := c.shown(o.Address)
	var err error
	switch meant := name != o.Address; {
	case o.Structure != nil:
		for _, d := range o.Structure.Damage {
			err = fmt.Errorf("%v: %w", d, shm.ErrCorrupt)
			c.say("shoal: stat %s: %v", name, err)
		}
		return err
	case meant && o.Unread != nil:
		err = o.Unread
	case meant:
		err = errNoShoalObject
	case errors.Is(o.Unread, shm.ErrCorrupt):
		err = o.Unread
	default:
		return nil
	}
	c.say("shoal: stat %s: %v", name, c.named(err))
	return err
}

// printer prints one line of stat.
type printer func(name, format string, args ...any)

func describeStructure(s *inspect.Structure, p palette, line printer) {
	if s.Version != "" {
		made := ""
		if s.Creator > 0 {
			made = fmt.Sprintf(", made by pid %d", s.Creator)
		}
		if !s.Created.IsZero() {
			made += fmt.Sprintf(" %s ago", age(time.Since(s.Created)))
		}
		line("format", "%s, version %s, %s%s", s.Kind, s.Version, count(s.Size, "byte"), made)
	}
	if s.Members != nil {
		describeMembers(s.Members, p, line)
	}
	if s.State != nil {
		describeState(s.Kind, s.State, p, line)
	}
	if s.Flow != nil {
		describeFlow(s.Kind, s.Flow, p, line)
	}
	for _, d := range s.Damage {
		line("damage", "%s", p.bad.Render(printable(d.String())))
	}
}

func describeMembers(m *inspect.Membership, p palette, line printer) {
	dead := ""
	if n := m.Dead(); n > 0 {
		dead = fmt.Sprintf(", %d of them dead", n)
	}
	line("members", "%d of %d%s", len(m.Members), m.Slots, dead)
	for _, i := range m.Members {
		life := p.good.Render("alive")
		if !i.Alive {
			life = p.warn.Render("dead, not yet cleared away")
		}
		line("member", "slot %d, epoch %d: %s, %s, joined %s ago", i.Slot, i.Epoch, memberText(&i), life, age(time.Since(i.Joined)))
	}
	lost := fmt.Sprintf("%d lost wake-ups", m.LostWakes)
	if m.LostWakes == 1 {
		lost = "1 lost wake-up"
	}
	line("counters", "%s, %s, %s", count(int64(m.Deaths), "death"), count(int64(m.Repairs), "repair"), lost)
}

// memberText names a member. The name is its own choice.
func memberText(m *inspect.Member) string {
	text := fmt.Sprintf("pid %d", m.PID)
	if m.Command != "" {
		text += " (" + printable(m.Command) + ")"
	}
	if !m.SameNamespace {
		text += " in another PID namespace"
	}
	return text
}

// claimText names who has taken something.
func claimText(c *inspect.Claim) string {
	switch {
	case c.Member == nil:
		return fmt.Sprintf("a member who is gone (slot %d, epoch %d)", c.Slot, c.Epoch)
	case !c.Member.Alive:
		return fmt.Sprintf("%s, who is dead (slot %d)", memberText(c.Member), c.Slot)
	}
	return fmt.Sprintf("%s (slot %d)", memberText(c.Member), c.Slot)
}

func describeState(kind string, s *inspect.Primitive, p palette, line printer) {
	switch kind {
	case "mutex", "rwmutex":
		describeLock(kind, s, p, line)
	case "semaphore":
		describeSemaphore(s, line)
	case "event":
		describeEvent(s, line)
	case "barrier":
		describeBarrier(s, p, line)
	case "once":
		switch {
		case *s.Done:
			line("once", "done")
		case s.Owner == nil:
			line("once", "to be done")
		case s.Owner.Void():
			line("once", "to be done again: it was begun by %s", claimText(s.Owner))
		default:
			line("once", "being done by %s", claimText(s.Owner))
		}
	}
	if s.Waiters {
		line("waiters", "somebody may sleep there")
	} else {
		line("waiters", "none")
	}
}

func describeLock(kind string, s *inspect.Primitive, p palette, line printer) {
	switch {
	case s.NotRecoverable:
		line("lock", "%s", p.bad.Render("not recoverable: an owner died, and the next one unlocked without MarkConsistent; remove it"))
	case s.Owner == nil && len(s.Readers) == 0:
		line("lock", "free")
	case s.Owner == nil:
		line("lock", "held by readers")
	case s.Owner.Void() && s.Draining:
		line("lock", "free: %s waited for readers to leave", claimText(s.Owner))
	case s.Owner.Void():
		line("lock", "%s", p.warn.Render("held by "+claimText(s.Owner)+": the next one gets it, and is told"))
	case s.Draining:
		line("lock", "%s waits for readers to leave", claimText(s.Owner))
	case kind == "rwmutex":
		line("lock", "held for writing by %s", claimText(s.Owner))
	default:
		line("lock", "held by %s", claimText(s.Owner))
	}
	if s.Inconsistent {
		line("data", "%s", p.warn.Render("inconsistent: an owner died, and nobody has said since that all is well"))
	}
	for i := range s.Readers {
		line("reader", "%s: %s", claimText(&s.Readers[i]), count(int64(s.Readers[i].Count), "lock"))
	}
}

func describeSemaphore(s *inspect.Primitive, line printer) {
	if s.Permits == 0 {
		line("value", "%d", *s.Value)
		return
	}
	line("value", "%d of %s free", *s.Value, count(int64(s.Permits), "permit"))
	for i := range s.Holders {
		line("holder", "%s: %s", claimText(&s.Holders[i]), count(int64(s.Holders[i].Count), "permit"))
	}
}

func describeEvent(s *inspect.Primitive, line printer) {
	reset := "until it is reset"
	if s.AutoReset {
		reset = "for one, who resets it"
	}
	if *s.Set {
		line("event", "set, %s", reset)
	} else {
		line("event", "not set; once it is, %s", reset)
	}
}

func describeBarrier(s *inspect.Primitive, p palette, line printer) {
	arrived, taken := 0, 0
	for _, place := range s.Places {
		if place.Arrived {
			arrived++
		}
		if place.Party != nil && !place.Vacant {
			taken++
		}
	}
	line("barrier", "phase %d, %d of %d places taken, %d arrived", *s.Phase, taken, len(s.Places), arrived)
	for i, place := range s.Places {
		var text []string
		switch {
		case place.Party == nil:
			text = []string{"nobody yet"}
		case place.Vacant:
			text = []string{"vacant, and not waited for; last had by " + claimText(place.Party)}
		case place.Arrived:
			text = []string{claimText(place.Party), "arrived"}
		default:
			text = []string{claimText(place.Party), p.warn.Render("waited for")}
		}
		line(fmt.Sprintf("place %d", i), "%s", strings.Join(text, ", "))
	}
}

func semaphoreText(s inspect.SemaphoreState) string {
	text := fmt.Sprintf("value %d, %d waiting", s.Value, s.Waiters)
	if s.ZeroWaiters > 0 {
		text += fmt.Sprintf(", %d waiting for 0", s.ZeroWaiters)
	}
	if s.LastPID > 0 {
		text += fmt.Sprintf(", last changed by pid %d", s.LastPID)
	}
	return text
}
