package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// command is one run of shoal.
type command struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	json   bool              // --json
	bare   map[string]string // what was given as a bare name, by its address
	began  bool              // a verb has begun: from here on an error is no longer one of usage
}

// Main runs the command of this process and returns its exit code.
func Main() Code {
	return Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// Run runs shoal with args, which do not include the program's name, and
// returns its exit code. Streams that are files may be terminals.
func Run(args []string, stdin io.Reader, stdout, stderr io.Writer) Code {
	c := &command{stdin: stdin, stdout: stdout, stderr: stderr}
	root := c.root()
	root.SetArgs(args)
	verb, err := root.ExecuteContextC(context.Background())
	if errors.Is(err, syscall.EPIPE) {
		return OK // whoever reads the output has seen enough
	}
	if err != nil && !c.began {
		err = usageError{err}
	}
	code := codeOf(err)
	if !errors.As(err, new(reported)) && err != nil {
		c.say("shoal: %v", c.named(err))
		if code == Usage {
			c.say("Try: %s --help", verb.CommandPath())
		}
	}
	return code
}

// root makes the tree of commands.
func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "shoal",
		Short: "Shared memory from the shell: System V, POSIX and files",
		Long: addressHelp + `

Exit codes: 0 ok, 1 failure or findings, 2 usage, 3 not found, 4 would block
or timed out, 5 incompatible or corrupt, 6 permission.`,
		Example: `  shoal write sysv:0x1234 --create --size 1024 "Hello, Shared Memory!"
  shoal read sysv:0x1234 --string
  seq 1000000 | shoal pub lines --create    # shoal sub lines, elsewhere
  shoal ls
  shoal who /my_shm
  shoal rm sysv:0x1234`,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.SetHelpTemplate(helpTemplate)
	root.SetUsageTemplate(helpTemplate)
	root.PersistentFlags().BoolVar(&c.json, "json", false, "print JSON, one object a line")
	root.AddCommand(
		c.createCommand(), c.writeCommand(), c.readCommand(),
		c.lsCommand(), c.statCommand(), c.whoCommand(),
		c.rmCommand(), c.gcCommand(), c.doctorCommand(),
		c.pubCommand(), c.subCommand(), c.sendCommand(), c.recvCommand(),
		c.watchCommand(), c.checkCommand(), c.schemaCommand(),
		c.semCommand(), c.lockCommand(),
		c.demoCommand(), c.benchCommand(), c.versionCommand(), c.manCommand(),
	)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	c.watch(root)
	return root
}

// watch notes when a verb begins: whatever cobra refuses before is usage.
func (c *command) watch(cmd *cobra.Command) {
	cmd.DisableFlagsInUseLine = true // the use lines name the flags that matter
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			c.began = true
			return run(cmd, args)
		}
	}
	for _, sub := range cmd.Commands() {
		c.watch(sub)
	}
}

// helpTemplate leads with examples.
const helpTemplate = `{{.Short}}.
{{if .HasExample}}
Examples:
{{.Example}}
{{end}}
Usage:
{{if .HasAvailableSubCommands}}  {{.CommandPath}} COMMAND [ARGUMENTS]

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}} {{.Short}}{{end}}{{end}}
{{else}}  {{.UseLine}}
{{end}}{{if .HasAvailableLocalFlags}}
Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{if .HasAvailableInheritedFlags}}
Flags of every command:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}
{{end}}{{with .Long}}
{{. | trimTrailingWhitespaces}}
{{end}}`

// say prints a line of words on standard error.
func (c *command) say(format string, args ...any) {
	fmt.Fprintln(c.stderr, printableLines(fmt.Sprintf(format, args...)))
}

// indented joins lines for help texts.
func indented(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
