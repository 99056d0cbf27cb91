package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/shm"
)

// completeFirst completes the first argument with the addresses of the objects
// that there are.
func completeFirst(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return liveAddresses(nil, begun)
}

// completeAll completes every argument so, but none twice.
func completeAll(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return liveAddresses(args, begun)
}

// liveAddresses lists the objects whose address begins so, with their size as a
// description. It asks for no holders: completion must be quick.
func liveAddresses(given []string, begun string) (found []string, _ cobra.ShellCompDirective) {
	if strings.HasPrefix(begun, "file:") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	infos, err := shm.List()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	for _, info := range infos {
		addr := info.Address.String()
		// A shell is no place for names with tabs and the like.
		if strings.HasPrefix(addr, begun) && !slices.Contains(given, addr) && printable(addr) == addr {
			found = append(found, cobra.CompletionWithDesc(addr, bytesText(info.Size)))
		}
	}
	slices.Sort(found)
	return found, cobra.ShellCompDirectiveNoFileComp
}

// noCompletion keeps the shell from offering files as values of flags.
func noCompletion(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		must(cmd.RegisterFlagCompletionFunc(f, cobra.NoFileCompletions))
	}
}
