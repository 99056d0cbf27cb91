package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/pshared"
)

func (c *command) lockCommand() *cobra.Command {
	var try bool
	var timeout time.Duration
	perm := mode(0o600)
	cmd := &cobra.Command{
		Use:   "lock NAME [--try | --timeout D] -- COMMAND [ARGUMENT...]",
		Short: "Run a command while holding a named mutex",
		Long: `Like flock(1), with a robust mutex in shared memory instead of a file: package
pshared's OpenMutex(NAME) in Go programs is the same lock.

It says on standard error when the previous owner died while it held the lock:
what the command is about to use may be half-done. If shoal lock itself is
killed the kernel kills the command, too, and the next one gets the lock at
once. (What the command has started lives on.)

The exit code is the command's own, 128 and the signal's number if a signal
ended it, 126 or 127 if it cannot be run, and 4 if the lock was not to be had in
time. SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 are passed on, and so are SIGINT and
SIGQUIT unless the terminal has sent them to the command already.`,
		Example: indented(
			"shoal lock build -- make install",
			"shoal lock build --timeout 10s -- make install",
			"shoal lock build --try -- make install || echo somebody else does it"),
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: completeLock,
		RunE: func(cmd *cobra.Command, args []string) error {
			if timeout < 0 {
				return usageError{fmt.Errorf("time-out %v is negative", timeout)}
			}
			if _, err := c.memory(args[0]); err != nil {
				return err
			}
			path, err := exec.LookPath(args[1])
			if err != nil {
				return c.cannotRun(args[1], err)
			}
			mu, err := pshared.Options{Mode: os.FileMode(perm), Members: lockMembers}.OpenMutex(args[0])
			if err != nil {
				return err
			}
			defer mu.Close()
			limited := cmd.Flags().Changed("timeout")
			if err := c.take(cmd.Context(), mu, args[0], limited || try, timeout); err != nil {
				return err
			}
			code, err := c.runUnder(path, args[1:])
			if e := mu.Unlock(); err == nil {
				err = e
			}
			if err == nil && code != 0 {
				return reported{code}
			}
			return err
		},
	}
	cmd.Flags().SetInterspersed(true)
	cmd.Flags().BoolVar(&try, "try", false, "do not wait")
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait: 500ms, 10s; without it, for ever")
	cmd.Flags().Var(&perm, "mode", "permissions of a new mutex, in `octal`")
	cmd.MarkFlagsMutuallyExclusive("try", "timeout")
	noCompletion(cmd, "timeout", "mode")
	return cmd
}

// lockMembers is how many processes can hold and wait for a lock that is new.
const lockMembers = 256

// completeLock completes the mutex, and then what the shell knows of commands.
func completeLock(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return completeKinds("mutex")(cmd, args, begun)
}

// take locks the mutex, and says so if its last owner died. It waits no longer
// than patience if that is limited.
func (c *command) take(ctx context.Context, mu *pshared.Mutex, name string, limited bool, patience time.Duration) error {
	var err error
	switch {
	case limited && patience == 0:
		var locked bool
		if locked, err = mu.TryLock(); !locked && err == nil {
			return fmt.Errorf("lock %s: %s: %w", name, rival(name), errBusy)
		}
	case limited:
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err = mu.LockContext(ctx); errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("lock %s: %s, and has not let go in %v: %w", name, rival(name), patience, os.ErrDeadlineExceeded)
		}
	default:
		err = mu.Lock()
	}
	if errors.Is(err, pshared.ErrOwnerDied) {
		c.say("shoal: lock %s: the previous owner died while it held the lock", name)
		err = mu.MarkConsistent()
	}
	return err
}

// errBusy: it would have to wait.
var errBusy = fmt.Errorf("try again later: %w", syscall.EAGAIN)

// rival says who holds the mutex, if that can be told.
func rival(name string) string {
	s, err := inspect.Look(name)
	if err != nil || s == nil || s.State == nil || s.State.Owner == nil || s.State.Owner.Void() {
		return "another process has it"
	}
	return memberText(s.State.Owner.Member) + " has it"
}

// Exit codes of a shell for what it cannot run.
const (
	notExecutable   Code = 126
	commandNotFound Code = 127
)

func (c *command) cannotRun(name string, err error) error {
	c.say("shoal: %v", err)
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, fs.ErrNotExist) {
		return reported{commandNotFound}
	}
	return reported{notExecutable}
}

// runUnder runs a command with our streams, and more in its environment, and returns its
// exit code. What ends us ends it.
func (c *command) runUnder(path string, args []string, more ...string) (Code, error) {
	// The kernel sends the death signal when the thread that has started the
	// command ends: this goroutine keeps it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	child := &exec.Cmd{Path: path, Args: args, Stdin: c.stdin, Stdout: c.stdout, Stderr: c.stderr, SysProcAttr: diesWithUs()}
	child.Env = append(os.Environ(), more...)
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, passedOn...)
	defer signal.Stop(signals)
	if err := child.Start(); err != nil {
		return 0, c.cannotRun(path, err)
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		for {
			select {
			case s := <-signals:
				// A terminal sends these to the command, too; ours is to wait for it.
				if fromTerminal := s == os.Interrupt || s == syscall.SIGQUIT; !fromTerminal || !foreground() {
					child.Process.Signal(s)
				}
			case <-ended:
				return
			}
		}
	}()
	err := child.Wait()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + Code(status.Signal()), nil
		}
		return exit.ExitCode(), nil
	}
	return 0, err
}
