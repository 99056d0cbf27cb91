package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/inspect"
)

func (c *command) statCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stat ADDR...",
		Short: "Tell everything that is known of an object",
		Long: `Of a Shoal object it tells the members, whether they live, and the state of what
they share: who holds a mutex, what a semaphore counts, who publishes to a topic
and who is how far behind. Of a segment that begins with a member table it tells
the members; of semaphores the values, and how many wait.

It only looks, and takes part in nothing. A System V segment that has members,
and no other, is attached for it, which the kernel records. What is damaged is
told, with its offset, and the exit code is 5.`,
		Example: indented(
			"shoal stat build",
			"shoal stat sysv:0x1234",
			"shoal stat /my_shm --json | jq .holders"),
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeAll,
		RunE: func(_ *cobra.Command, args []string) error {
			addrs, err := c.resolveAll(args)
			if err != nil {
				return err
			}
			var wrong error
			for i, addr := range addrs {
				o, partial, err := inspect.Find(addr)
				if err != nil {
					return err
				}
				if err := c.sayDamage(o); wrong == nil {
					wrong = err
				}
				if c.json {
					if err := c.printJSON(o); err != nil {
						return err
					}
					continue
				}
				if i > 0 {
					fmt.Fprintln(c.stdout)
				}
				if err := c.printStat(o); err != nil {
					return err
				}
				c.sayPartial(partial)
			}
			if wrong != nil {
				return reported{codeOf(wrong)}
			}
			return nil
		},
	}
}

func (c *command) printStat(o inspect.Object) error {
	p := newPalette(c.stdout)
	var b strings.Builder
	const indent = 14
	columns := terminalWidth(c.stdout)
	line := func(name, format string, args ...any) {
		label := fmt.Sprintf("%-12s", name)
		text := fmt.Sprintf(format, args...)
		if columns > 2*indent {
			text = strings.ReplaceAll(ansi.Wrap(text, columns-indent, ""), "\n", "\n"+strings.Repeat(" ", indent))
		}
		fmt.Fprintf(&b, "%s  %s\n", p.faint.Render(label), text)
	}
	kind := "foreign"
	if o.Own {
		kind = "Shoal's own"
	}
	if o.Name != "" {
		line("name", "%s", p.head.Render(printable(o.Name)))
		line("address", "%s", printable(o.Address))
	} else {
		line("address", "%s", p.head.Render(printable(o.Address)))
	}
	line("type", "%s, %s", typeText(o), kind)
	line("state", "%s", stateStyle(o, p).Render(stateText(o)))
	if o.HasID() {
		line("id", "%d", o.ID)
	}
	switch {
	case o.Type == inspect.SemaphoreSet:
		line("semaphores", "%d", o.Count)
	case o.Count >= 0:
		line("messages", "%d", o.Count)
	}
	if o.Size >= 0 {
		line("size", "%s", exactBytes(o.Size))
	}
	if o.Resident >= 0 {
		swapped := ""
		if o.Swapped > 0 {
			swapped = ", " + bytesText(o.Swapped) + " swapped"
		}
		line("resident", "%s%s", exactBytes(o.Resident), swapped)
	}
	line("mode", "%04o (%s)", uint32(o.Mode), o.Mode.String()[1:])
	line("owner", "%s:%s (%d:%d)", printable(userNames{}.name(o.UID)), printable(groupName(o.GID)), o.UID, o.GID)
	if o.Locked {
		line("locked", "kept in memory")
	}
	if o.Sealed {
		line("sealed", "it cannot become shorter")
	}
	if o.Creator.PID > 0 {
		line("creator", "%s, %s", processText(o.Creator.PID, o.Creator.Life != inspect.Dead), o.Creator.Life)
	}
	if o.LastPID > 0 {
		line("last used by", "pid %d", o.LastPID)
	}
	for _, t := range []struct {
		name string
		time time.Time
	}{{"created", o.Created}, {"changed", o.Changed}, {"used", o.Used}} {
		if !t.time.IsZero() {
			line(t.name, "%s (%s ago)", t.time.Format(time.DateTime), age(time.Since(t.time)))
		}
	}
	if o.Attached >= 0 {
		line("attached", "%s", count(int64(o.Attached), "time"))
	}
	for _, h := range o.Holders {
		line("held by", "%s: %s", processText(h.PID, true), holding(h.Mapped, h.Descriptors))
	}
	for i, s := range o.Semaphores {
		name := "semaphore"
		if o.Type == inspect.SemaphoreSet {
			name = fmt.Sprintf("[%d]", i)
		}
		line(name, "%s", semaphoreText(s))
	}
	if o.Structure != nil {
		describeStructure(o.Structure, p, line)
	}
	if o.Unread != nil {
		line("contents", "%s", printable(o.Unread.Error()))
	}
	_, err := fmt.Fprint(c.stdout, b.String())
	return err
}

// exactBytes writes a size for people and to the byte.
func exactBytes(n int64) string {
	if n < 1024 {
		return count(n, "byte")
	}
	return fmt.Sprintf("%d bytes (%s)", n, bytesText(n))
}

// processText writes a process with its name, if it has one that counts.
func processText(pid int, named bool) string {
	if name := inspect.Command(pid); named && name != "" {
		return fmt.Sprintf("pid %d (%s)", pid, printable(name))
	}
	return fmt.Sprintf("pid %d", pid)
}

// holding says in which way a process holds an object.
func holding(mapped int64, descriptors int) string {
	var ways []string
	if mapped > 0 {
		ways = append(ways, bytesText(mapped)+" mapped")
	}
	if descriptors > 0 {
		ways = append(ways, count(int64(descriptors), "descriptor"))
	}
	return strings.Join(ways, ", ")
}
