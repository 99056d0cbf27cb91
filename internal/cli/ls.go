package cli

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/inspect"
)

func (c *command) lsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls",
		Short: "List every shared object of the machine",
		Long: `These are the objects of this IPC and mount namespace, whoever made them:
System V and POSIX memory, semaphores and message queues.

Shoal objects stand there by their bare names, with MEMBERS: how many take part
and how many could; "dead" are those whose slots nobody has cleared yet. Of
rings, topics and queues it tells

  RECORDS   their type: bytes, or a name for each field
  FILL      how much is in use; of a topic, how far the last subscriber is
            behind that publishers wait for, as a part of a lane
  RATE      records sent a second, in the fifth of a second in which it looks
  PUB/SUB   live publishers and subscribers, or writers and readers
  REPAIRS   how often something was taken over from the dead

STATE is
  in use    a process has it mapped, attached or open
  idle      nobody uses it, but its creator lives; or it waits for its next
            user: a semaphore, an event, a lock whose owner died, unread records
  orphan    nobody uses it, and its creator is dead or nobody recorded one
  removed   it has no name any more, and lives until its last user lets go
  damaged   it has size 0, and nobody uses it: its creator died half-way
  unknown   the kernel keeps no record of its users: semaphore sets, queues
A question mark: other processes may use it, that this user cannot see.

AGE is the time since the last sign of life that the kernel recorded:
creation, attach and detach, a change of size or mode. Writing to memory is
none.`,
		Example: indented(
			"shoal ls",
			`shoal ls --json | jq 'select(.state == "orphan") | .address'`),
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			s, err := inspect.Take()
			if err != nil {
				return err
			}
			if c.json {
				for _, o := range s.Objects {
					if err := c.printJSON(o); err != nil {
						return err
					}
				}
				return nil
			}
			if len(s.Objects) == 0 {
				c.say("no shared objects")
			} else if err := c.printObjects(s, measureRates(s)); err != nil {
				return err
			}
			c.sayPartial(s.Partial)
			return nil
		},
	}
}

// sayPartial says why not every holder may have been seen.
func (c *command) sayPartial(why string) {
	if why != "" {
		c.say("partial: %s", why)
	}
}

func (c *command) printObjects(s *inspect.Snapshot, rates map[string]float64) error {
	p := newPalette(c.stdout)
	columns := []column{
		{title: "ADDRESS", cut: 24},
		{title: "TYPE", missing: 1},
		{title: "SIZE", right: true},
		{title: "RESIDENT", right: true, missing: 9},
		{title: "MODE", missing: 8},
		{title: "OWNER", cut: 5},
		{title: "CREATOR"},
		{title: "HELD BY"},
		{title: "AGE", right: true},
		{title: "STATE"},
	}
	// Where nothing has members, or records, nobody misses the columns.
	joined := slices.ContainsFunc(s.Objects, func(o inspect.Object) bool { return o.Structure != nil })
	flowing := slices.ContainsFunc(s.Objects, func(o inspect.Object) bool { return o.Structure != nil && o.Structure.Flow != nil })
	repaired := slices.ContainsFunc(s.Objects, func(o inspect.Object) bool { return repairs(o) > 0 })
	if repaired {
		columns = slices.Insert(columns, 2, column{title: "REPAIRS", right: true, missing: 7})
	}
	shown := flowColumns(s, rates)
	if flowing {
		columns = slices.Insert(columns, 2, shown...)
		for i := range columns {
			if columns[i].title == "CREATOR" || columns[i].title == "OWNER" { // what flows is of more interest
				columns[i].missing = 5
			}
		}
	}
	if joined {
		columns = slices.Insert(columns, 2, column{title: "MEMBERS", missing: 4})
	}
	t := table{columns: columns}
	users := userNames{}
	for _, o := range s.Objects {
		creator := cell{"-", p.faint}
		if o.Creator.PID > 0 {
			creator = cell{strconv.Itoa(o.Creator.PID), p.plain}
			if o.Creator.Life == inspect.Dead {
				creator.text += " dead"
			}
		}
		row := []cell{
			{printable(nameOf(o)), p.plain},
			{printable(typeText(o)), p.faint},
			{extent(o), p.plain},
			{bytesText(o.Resident), p.plain},
			{fmt.Sprintf("%04o", uint32(o.Mode)), p.plain},
			{printable(users.name(o.UID)), p.plain},
			creator,
			{holders(o), p.plain},
			{idleText(s, o), p.plain},
			{stateText(o), stateStyle(o, p)},
		}
		if repaired {
			row = slices.Insert(row, 2, cell{repairsOf(o), p.plain})
		}
		if flowing {
			row = slices.Insert(row, 2, flowCells(o, shown, rates, p)...)
		}
		if joined {
			row = slices.Insert(row, 2, cell{membersText(o), p.plain})
		}
		t.add(row...)
	}
	return t.print(c.stdout, terminalWidth(c.stdout), p.head)
}

// nameOf is what people call an object: its bare name, if it has one.
func nameOf(o inspect.Object) string {
	if o.Name != "" {
		return o.Name
	}
	return o.Address
}

// typeText is what an object is, as near as can be told.
func typeText(o inspect.Object) string {
	switch {
	case o.Structure != nil && o.Structure.Kind != "":
		return o.Structure.Kind
	case o.LocksOf != "":
		return "locks of " + o.LocksOf
	}
	return o.Type.String()
}

// membersText is how many take part, of how many slots.
func membersText(o inspect.Object) string {
	switch {
	case o.Structure == nil:
		return "-"
	case len(o.Structure.Damage) > 0:
		return "damaged"
	case o.Structure.Members == nil:
		return "-"
	}
	m := o.Structure.Members
	text := fmt.Sprintf("%d of %d", len(m.Members)-m.Dead(), m.Slots)
	if dead := m.Dead(); dead > 0 {
		text += fmt.Sprintf(", %d dead", dead)
	}
	return text
}

// extent is how large an object is, in its own measure.
func extent(o inspect.Object) string {
	switch o.Type {
	case inspect.SemaphoreSet:
		return strconv.Itoa(o.Count) + " sem"
	case inspect.MessageQueue:
		if o.Count >= 0 {
			return strconv.Itoa(o.Count) + " msg"
		}
	}
	return bytesText(o.Size)
}

// holders names the processes that hold o, as far as there is room.
func holders(o inspect.Object) string {
	switch n := len(o.Holders); {
	case n == 0 && o.Attached > 0:
		return fmt.Sprintf("%d unseen", o.Attached)
	case n == 0:
		return "-"
	case n == 1:
		return strconv.Itoa(o.Holders[0].PID)
	default:
		return fmt.Sprintf("%d +%d", o.Holders[0].PID, n-1)
	}
}

func stateText(o inspect.Object) string {
	if !o.Certain {
		return o.State.String() + "?"
	}
	return o.State.String()
}

func stateStyle(o inspect.Object, p palette) lipgloss.Style {
	switch o.State {
	case inspect.InUse:
		return p.good
	case inspect.Orphan, inspect.Removed:
		return p.warn
	case inspect.Damaged:
		return p.bad
	}
	return p.plain
}

// idleText writes how long ago an object showed its last sign of life.
func idleText(s *inspect.Snapshot, o inspect.Object) string {
	since := o.Since()
	if since.IsZero() {
		return "-"
	}
	return age(s.Time.Sub(since))
}

// age writes a duration in its largest unit: "5s", "12m", "3h", "40d".
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(d/time.Second, 0))
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
