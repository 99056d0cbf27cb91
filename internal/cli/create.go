package cli

import (
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/shm"
)

func (c *command) createCommand() *cobra.Command {
	var size positiveSize
	perm := mode(shm.DefaultMode)
	cmd := &cobra.Command{
		Use:   "create ADDR --size N [--mode M]",
		Short: "Make a new object, all zero, and print its address",
		Long: `The object appears complete: with its size, its exact mode whatever the umask,
and its memory reserved. One that exists already is an error, and left alone.`,
		Example: indented(
			"shoal create /ticks --size 64MiB",
			"shoal create sysv:0x1234 --size 1024 --mode 0666",
			"id=$(shoal create sysv:0 --size 4KiB)   # a private segment, known by its id"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			addr, err := c.plain(args[0])
			if err != nil {
				return err
			}
			seg, err := shm.Create(addr, int64(size.size), &shm.Options{Mode: fs.FileMode(perm)})
			if err != nil {
				return err
			}
			defer seg.Close()
			if c.json {
				return c.printJSON(map[string]any{
					"address": seg.Address().String(), "size": seg.Size(), "mode": perm.String(),
				})
			}
			_, err = fmt.Fprintln(c.stdout, printable(seg.Address().String()))
			return err
		},
	}
	cmd.Flags().Var(&size, "size", "`size` of the object in bytes: 1024, 64KiB, 1GiB")
	cmd.Flags().Var(&perm, "mode", "its permissions, in `octal`")
	must(cmd.MarkFlagRequired("size"))
	noCompletion(cmd, "size", "mode")
	return cmd
}

// must stops at a mistake in the tree of commands itself.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
