package cli

import (
	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/internal/demo"
)

func (c *command) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Watch processes exchange data, in ten seconds",
		Long: `It starts real processes that exchange data through System V and POSIX shared
memory, and leaves nothing behind. Where a name that it needs is taken, it
says so and touches nothing.`,
		Example:           indented("shoal demo"),
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return demo.Run(cmd.Context(), demo.Options{Stdout: c.stdout, Stderr: c.stderr})
		},
	}
}
