package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/shm"
)

func (c *command) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check NAME...",
		Short: "Look through Shoal objects for what cannot be",
		Long: `It looks for what no sequence of operations and deaths leads to: in the header,
the member table, the words of a lock, all records of a ring or topic that are
still there, all slots of a queue. What the dead have left behind and the next
user takes back is in order.

It only looks, and objects may be in use. The exit code is 1 if it finds
something.`,
		Example: indented(
			"shoal check lines",
			"shoal check jobs ticks --json | jq '.findings[]'"),
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeNames,
		RunE: func(_ *cobra.Command, args []string) error {
			addrs, err := c.resolveAll(args)
			if err != nil {
				return err
			}
			code := OK
			for _, addr := range addrs {
				found, err := c.check(addr)
				switch {
				case err != nil:
					c.say("shoal: %v", c.named(err))
					if code == OK || code == Failure {
						code = codeOf(err)
					}
				case found && code == OK:
					code = Failure
				}
			}
			if code != OK {
				return reported{code}
			}
			return nil
		},
	}
}

// check looks through one object, and reports whether there is something to find.
func (c *command) check(addr string) (found bool, err error) {
	name := c.shown(addr)
	s, err := inspect.Check(addr)
	if err == nil && s == nil {
		err = &shm.Error{Op: "check", Object: addr, Err: errNoShoalObject}
	}
	if err != nil {
		return false, err
	}
	findings := s.Damage
	if findings == nil {
		findings = []inspect.Damage{} // as JSON an empty list
	}
	if s.State != nil && s.State.NotRecoverable {
		findings = append(findings, inspect.Damage{Text: "not recoverable: an owner died, and the next one unlocked without MarkConsistent; remove it"})
	}
	if c.json {
		return len(findings) > 0, c.printJSON(struct {
			Address  string           `json:"address"`
			Name     string           `json:"name,omitempty"`
			Kind     string           `json:"kind,omitempty"`
			Clean    bool             `json:"clean"`
			Findings []inspect.Damage `json:"findings"`
		}{addr, inspect.BareName(addr), s.Kind, len(findings) == 0, findings})
	}
	p := newPalette(c.stdout)
	if len(findings) == 0 {
		_, err := fmt.Fprintf(c.stdout, "%s: %s\n", printable(name), p.good.Render("clean"))
		return false, err
	}
	for _, f := range findings {
		text := f.String()
		if f.Offset == 0 && s.State != nil {
			text = f.Text
		}
		if _, err := fmt.Fprintf(c.stdout, "%s: %s\n", printable(name), p.bad.Render(printable(text))); err != nil {
			return true, err
		}
	}
	return true, nil
}
