package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/shm"
)

// collection is one shoal gc.
type collection struct {
	dryRun, yes, foreign bool
	older                time.Duration
}

func (c *command) gcCommand() *cobra.Command {
	var g collection
	cmd := &cobra.Command{
		Use:   "gc [--dry-run] [--older D] [--foreign] [--yes]",
		Short: "Remove memory that dead programs left behind",
		Long: `It says for every object why it goes or stays. An object goes if nobody has it
mapped or open, its creator is known to be dead (System V records who that
was; for POSIX objects nobody does), it has shown no sign of life for some
time, and it is Shoal's own: its name begins with "shoal.". With --foreign the
objects of other programs go as well. Some of them leave memory behind on
purpose, for their next run: look at --dry-run first.

Semaphores, semaphore sets and message queues never go: they are made to wait
unused. Nor does a ring or queue with records that somebody is still to have, or
a topic with a subscription that waits for its process. Remove such a one by
name, with shoal rm.

The kernel has the last word: a segment with an attachment, or an object that
any process of the machine, in whatever container, has open or mapped is not
removed.

On a terminal it asks. Elsewhere it removes nothing without --yes.`,
		Example: indented(
			"shoal gc --dry-run --foreign",
			"shoal gc --foreign --older 1h --yes"),
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(*cobra.Command, []string) error { return c.collect(g) },
	}
	f := cmd.Flags()
	f.BoolVar(&g.dryRun, "dry-run", false, "say what would go and why, remove nothing")
	f.BoolVarP(&g.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&g.foreign, "foreign", false, "objects of other programs, too")
	f.DurationVar(&g.older, "older", inspect.DefaultAge, "only what showed no sign of life for a `time`")
	noCompletion(cmd, "older")
	return cmd
}

func (c *command) collect(g collection) error {
	if g.older < 0 {
		return usageError{fmt.Errorf("--older %s is negative", g.older)}
	}
	policy := inspect.Policy{Age: g.older, Foreign: g.foreign}
	if g.older == 0 {
		policy.Age = -1
	}
	s, err := inspect.Take()
	if err != nil {
		return err
	}
	verdicts := make([]inspect.Verdict, len(s.Objects))
	garbage, bytes := 0, int64(0)
	for i, o := range s.Objects {
		verdicts[i] = inspect.Judge(o, policy)
		if verdicts[i].Remove {
			garbage++
			bytes += max(o.Resident, 0)
		}
	}
	if !c.json {
		if err := c.printVerdicts(s, verdicts); err != nil {
			return err
		}
	}
	c.sayPartial(s.Partial)
	if garbage == 0 || g.dryRun {
		if !c.json {
			c.say("%s to remove, %s", count(int64(garbage), "object"), bytesText(bytes))
			return nil
		}
	} else if !g.yes {
		if err := c.confirm(fmt.Sprintf("Remove %s, %s?", count(int64(garbage), "object"), bytesText(bytes))); err != nil {
			return err
		}
	}
	return c.sweep(s, verdicts, g.dryRun)
}

// printVerdicts prints what is to become of every object, and why.
func (c *command) printVerdicts(s *inspect.Snapshot, verdicts []inspect.Verdict) error {
	if len(s.Objects) == 0 {
		return nil
	}
	p := newPalette(c.stdout)
	t := table{columns: []column{
		{title: "VERDICT"}, {title: "ADDRESS", cut: 24}, {title: "SIZE", right: true},
		{title: "AGE", right: true}, {title: "REASON", wrap: true, cut: 20},
	}}
	for i, o := range s.Objects {
		verdict, style := "keep", p.faint
		if verdicts[i].Remove {
			verdict, style = "remove", p.warn
		}
		t.add(cell{verdict, style}, cell{printable(nameOf(o)), p.plain}, cell{extent(o), p.plain},
			cell{idleText(s, o), p.plain}, cell{printable(verdicts[i].Reason), p.plain})
	}
	return t.print(c.stdout, terminalWidth(c.stdout), p.head)
}

// errNoConsent: there was garbage to remove, and nobody agreed.
var errNoConsent = errors.New("nothing removed")

// confirm asks on a terminal, and fails where there is none.
func (c *command) confirm(question string) error {
	if !terminal(c.stdin) || terminalWidth(c.stderr) == 0 {
		return usageError{fmt.Errorf("%w: there is no terminal to ask at; add --yes (or --dry-run to look)", errNoConsent)}
	}
	fmt.Fprintf(c.stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(c.stdin).ReadString('\n')
	answer = strings.ToLower(strings.TrimSpace(answer))
	if err == nil && (answer == "y" || answer == "yes") {
		return nil
	}
	return errNoConsent
}

// sweep removes what the verdicts condemn, and reports on each.
func (c *command) sweep(s *inspect.Snapshot, verdicts []inspect.Verdict, dryRun bool) error {
	failed := false
	for i, o := range s.Objects {
		v := verdicts[i]
		var err error
		spared := false
		if v.Remove && !dryRun {
			err = removeGarbage(o)
			switch {
			case errors.Is(err, fs.ErrNotExist): // somebody was faster
				err = nil
			case errors.Is(err, shm.ErrInUse):
				spared = true
			case err != nil:
				failed = true
			}
		}
		if c.json {
			line := struct {
				Address string `json:"address"`
				Verdict string `json:"verdict"`
				Reason  string `json:"reason"`
				Removed bool   `json:"removed"`
				Error   string `json:"error,omitempty"`
			}{o.Address, "keep", v.Reason, v.Remove && !dryRun && err == nil, ""}
			if v.Remove {
				line.Verdict = "remove"
			}
			if err != nil {
				line.Error = err.Error()
			}
			if err := c.printJSON(line); err != nil {
				return err
			}
			continue
		}
		switch {
		case !v.Remove || dryRun:
		case spared:
			c.say("kept %s: a process that was not in sight uses it", nameOf(o))
		case err != nil:
			c.say("shoal: %v", err)
		default:
			c.say("removed %s (%s)", nameOf(o), extent(o))
		}
	}
	if failed {
		return reported{Failure}
	}
	return nil
}

// removeGarbage removes an object if it is still the one that was judged, and
// nobody uses it. A System V segment goes by its id, which no new one inherits.
func removeGarbage(o inspect.Object) error {
	addr := o.Address
	if o.HasID() {
		addr = fmt.Sprintf("sysv-id:%d", o.ID)
	}
	now, err := shm.Stat(addr)
	if err != nil {
		return err
	}
	if now.Size != o.Size || !now.Changed.Equal(o.Changed) || !now.Created.Equal(o.Created) {
		return fmt.Errorf("remove %s: %w meanwhile", addr, shm.ErrInUse)
	}
	return shm.RemoveUnused(addr)
}
