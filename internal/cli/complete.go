package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// completion is what cobra asks to complete an argument.
type completion = func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective)

// completeFirst completes the first argument with the addresses of the objects
// that there are.
func completeFirst(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	return first(completeAll)(cmd, args, begun)
}

// first completes the first argument alone.
func first(f completion) completion {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, begun)
	}
}

// completeAll completes every argument so, but none twice. Objects come with
// their size as a description, Shoal objects by their bare names with their kind.
// It asks for no holders: completion must be quick.
func completeAll(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if strings.HasPrefix(begun, "file:") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	found := candidates{given: args, begun: begun}
	infos, err := shm.List()
	if err != nil {
		return found.answer()
	}
	for _, info := range infos {
		addr := info.Address.String()
		if name, kind := shoalObject(addr); name != "" && !strings.HasPrefix(begun, "/") {
			found.add(name, kind)
		} else {
			found.add(addr, bytesText(info.Size))
		}
	}
	return found.answer()
}

// completeNames completes every argument with the bare names of the Shoal objects
// that there are, sound or damaged, but none twice.
func completeNames(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	found := candidates{given: args, begun: begun}
	infos, _ := shm.List()
	for _, info := range infos {
		addr := info.Address.String()
		if name, kind := shoalObject(addr); name != "" {
			found.add(name, kind)
		} else if name = inspect.BareName(addr); name != "" {
			found.add(name, bytesText(info.Size))
		}
	}
	return found.answer()
}

// completeSemaphores completes names of POSIX semaphores and keys of System V
// sets.
func completeSemaphores(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	found := candidates{given: args, begun: begun}
	infos, _ := shm.List()
	for _, info := range infos {
		if name, ok := inspect.SemaphoreName(info); ok {
			found.add(name, "POSIX semaphore")
		}
	}
	sets, _ := sysv.SemList()
	for _, s := range sets {
		if s.Key != sysv.Private {
			found.add("sysv:"+s.Key.String(), count(int64(s.Count), "semaphore"))
		}
	}
	return found.answer()
}

// shoalObject returns the bare name and the kind of a sound Shoal object; "" for
// anything else.
func shoalObject(addr string) (name, kind string) {
	if name = inspect.BareName(addr); name == "" {
		return "", ""
	}
	s, err := inspect.Look(addr)
	if err != nil || s == nil || s.Kind == "" {
		return "", ""
	}
	return name, s.Kind
}

// candidates are the completions of an argument.
type candidates struct {
	given []string
	begun string
	found []string
}

// add adds one, if it fits what has been typed. A shell is no place for names
// with tabs and the like.
func (c *candidates) add(text, description string) {
	if strings.HasPrefix(text, c.begun) && !slices.Contains(c.given, text) && printable(text) == text {
		c.found = append(c.found, cobra.CompletionWithDesc(text, description))
	}
}

func (c *candidates) answer() ([]string, cobra.ShellCompDirective) {
	slices.Sort(c.found)
	return c.found, cobra.ShellCompDirectiveNoFileComp
}

// noCompletion keeps the shell from offering files as values of flags.
func noCompletion(cmd *cobra.Command, flags ...string) {
	for _, f := range flags {
		must(cmd.RegisterFlagCompletionFunc(f, cobra.NoFileCompletions))
	}
}

// completeKinds completes names of live Shoal objects of some kinds.
func completeKinds(kinds ...string) completion {
	return func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		found := candidates{given: args, begun: begun}
		infos, _ := shm.List()
		for _, info := range infos {
			if name, kind := shoalObject(info.Address.String()); name != "" && slices.Contains(kinds, kind) {
				found.add(name, kind)
			}
		}
		return found.answer()
	}
}
