package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/shm"
)

func (c *command) rmCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "rm ADDR...",
		Short: "Remove objects by their addresses",
		Long: `Naming an object is consent: there is no question, on a terminal or off it.

Processes that have an object mapped go on using it until they let go; nobody
else finds it any more. To remove only what nobody uses, see shoal gc.`,
		Example: indented(
			"shoal rm /my_shm sysv:0x1234",
			"shoal rm --dry-run sysv-sem:0x77"),
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: completeAll,
		RunE: func(_ *cobra.Command, args []string) error {
			addrs, err := c.resolveAll(args)
			if err != nil {
				return err
			}
			var failed error
			for _, addr := range addrs {
				if err := c.remove(addr, dryRun); err != nil {
					c.say("shoal: %v", c.named(err))
					if failed == nil {
						failed = err
					}
				}
			}
			if failed != nil {
				return reported{codeOf(failed)}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be removed, remove nothing")
	return cmd
}

func (c *command) remove(addr string, dryRun bool) error {
	o, _, err := inspect.Find(addr)
	if err != nil {
		return err
	}
	if !dryRun {
		if err := removeAny(addr, o); err != nil {
			return err
		}
	}
	if c.json {
		return c.printJSON(map[string]any{
			"address": addr, "removed": !dryRun, "holders": len(o.Holders),
		})
	}
	done := "removed"
	if dryRun {
		done = "would remove"
	}
	users := ""
	switch n := len(o.Holders); {
	case n == 1:
		users = fmt.Sprintf("; %s goes on using it until it lets go", processText(o.Holders[0].PID, true))
	case n > 1:
		users = fmt.Sprintf("; %s go on using it until they let go", count(int64(n), "process"))
	case o.Attached > 0:
		users = fmt.Sprintf("; processes out of sight have it attached %s and go on using it", count(int64(o.Attached), "time"))
	}
	c.say("%s %s (%s)%s", done, c.shown(addr), extent(o), users)
	return nil
}

// removeAny removes an object of any type by its address.
func removeAny(addr string, o inspect.Object) error {
	if inspect.IsMemory(addr) {
		return shm.Remove(addr)
	}
	if err := removeOther(o); err != nil {
		return fmt.Errorf("remove %s: %w", addr, err)
	}
	return nil
}
