package cli

import (
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the manual pages. They come from the same text as --help,
// so there is no copy of them to keep up; packagers run "make man". The date in
// them is that of the run, or of SOURCE_DATE_EPOCH.
func (c *command) manCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "man DIR",
		Short:   "Write the manual pages into a directory",
		Hidden:  true,
		Example: indented("shoal man /usr/local/share/man/man1"),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			return doc.GenManTree(root, &doc.GenManHeader{
				Title: "SHOAL", Section: "1", Source: "shoal " + readBuild().Version, Manual: "Shoal Manual",
			}, args[0])
		},
	}
}
