package cli

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelp checks that every command leads with examples and fits a terminal.
func TestHelp(t *testing.T) {
	c := &command{}
	root := c.root()
	commands := append([]*cobra.Command{root}, root.Commands()...)
	if len(commands) < 13 {
		t.Fatalf("%d commands", len(commands))
	}
	for _, cmd := range commands {
		if cmd.Name() == "help" || cmd.Name() == "completion" { // cobra's own
			continue
		}
		var out strings.Builder
		cmd.SetOut(&out)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		help := out.String()
		if !strings.HasPrefix(help, cmd.Short+".\n\nExamples:\n  shoal ") && !strings.Contains(help, "\nExamples:\n  id=") {
			t.Errorf("%s: does not lead with examples:\n%s", cmd.Name(), help)
		}
		for line := range strings.Lines(help) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 80 {
				t.Errorf("%s: a line of %d: %s", cmd.Name(), n, line)
			}
		}
		if !strings.Contains(help, "Usage:\n  shoal") || !strings.HasSuffix(help, "\n") {
			t.Errorf("%s: no usage:\n%s", cmd.Name(), help)
		}
	}
}
