package cli

import (
	"fmt"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/spf13/cobra"
)

// grade is the verdict of one check.
type grade int

const (
	fine    grade = iota // all is well
	warning              // it works, and something may surprise
	problem              // something does not work
)

func (g grade) String() string { return [...]string{"ok", "warning", "problem"}[g] }

// finding is what one check found.
type finding struct {
	Check  string `json:"check"`
	Grade  string `json:"verdict"`
	Found  string `json:"found"`
	Remedy string `json:"remedy,omitempty"` // what to do, or what to know

	grade grade
}

func (c *command) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check what this machine offers for shared memory",
		Long: `It looks at space, limits and how much of them is used, namespaces, huge
pages, the kernel's ways to wait, and leftovers. Each check ends in ok,
warning or problem, with what to do about it, or what to know. It changes
nothing. The exit code is 1 if there is a problem.`,
		Example: indented(
			"shoal doctor",
			`shoal doctor --json | jq 'select(.verdict != "ok")'`),
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			findings := diagnose(thisMachine())
			if err := c.printFindings(findings); err != nil {
				return err
			}
			for _, f := range findings {
				if f.grade == problem {
					return reported{Failure}
				}
			}
			return nil
		},
	}
}

func (c *command) printFindings(findings []finding) error {
	if c.json {
		for _, f := range findings {
			if err := c.printJSON(f); err != nil {
				return err
			}
		}
		return nil
	}
	p := newPalette(c.stdout)
	styles := [...]lipgloss.Style{fine: p.good, warning: p.warn, problem: p.bad}
	t := table{columns: []column{{title: "VERDICT"}, {title: "CHECK"}, {title: "FOUND", wrap: true, cut: 20}}}
	for _, f := range findings {
		t.add(cell{f.Grade, styles[f.grade]}, cell{f.Check, p.plain}, cell{printable(f.Found), p.plain})
		if f.Remedy != "" {
			t.add(cell{"", p.plain}, cell{"", p.plain}, cell{"-> " + printable(f.Remedy), p.faint})
		}
	}
	return t.print(c.stdout, terminalWidth(c.stdout), p.head)
}

// report makes a finding.
func (g grade) report(check, remedy, format string, args ...any) finding {
	return finding{check, g.String(), fmt.Sprintf(format, args...), strings.TrimSpace(remedy), g}
}

// crowded grades how full something is.
func crowded(used, limit uint64) grade {
	switch {
	case limit == 0 || used >= limit:
		return problem
	case float64(used) >= 0.8*float64(limit):
		return warning
	}
	return fine
}
