package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what the binary knows of its own making.
type build struct {
	Version  string `json:"version"`            // of the module; "(devel)" for a build of a working tree
	Revision string `json:"revision,omitempty"` // of the source
	Modified bool   `json:"modified,omitempty"` // the source had changes that are in no revision
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func readBuild() build {
	b := build{Version: "(unknown)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

func (b build) String() string {
	s := "shoal " + b.Version
	if b.Revision != "" {
		s += " " + b.Revision[:min(12, len(b.Revision))]
		if b.Modified {
			s += "+changes"
		}
	}
	return fmt.Sprintf("%s, %s, %s", s, b.Go, b.Platform)
}

func (c *command) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "version",
		Short:             "Tell the version of this command",
		Example:           indented("shoal version"),
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			if c.json {
				return c.printJSON(readBuild())
			}
			_, err := fmt.Fprintln(c.stdout, readBuild())
			return err
		},
	}
}
