package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

func (c *command) semCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sem VERB ADDR",
		Short: "Make, post, wait for and remove semaphores",
		Long: `Addresses:
  /name, posix:/name   a POSIX named semaphore, as sem_open(3) of glibc names it
  sysv:KEY[.INDEX]     one of the System V set with this key, counted from 0

C programs that use the same name or key are at the other end.`,
		Example: indented(
			"shoal sem create /ready --value 0",
			"shoal sem wait /ready --timeout 10s && echo go",
			"shoal sem post sysv:0x77.1"),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(c.semCreateCommand(), c.semPostCommand(), c.semWaitCommand(), c.semValueCommand(), c.semRemoveCommand())
	return cmd
}

func (c *command) semCreateCommand() *cobra.Command {
	var value uint32
	var count int
	perm := mode(0o600)
	cmd := &cobra.Command{
		Use:   "create ADDR [--value N] [--mode M]",
		Short: "Make a new semaphore",
		Long:  "One that exists already is an error, and left alone.",
		Example: indented(
			"shoal sem create /ready",
			"shoal sem create sysv:0x77 --count 3 --value 1 --mode 0660"),
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := semaphoreAddress(args[0])
			if err != nil {
				return err
			}
			return a.create(value, count, fs.FileMode(perm))
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	numberVar(cmd, &value, "value", 0, 0, "its first value")
	numberVar(cmd, &count, "count", 1, 1, "how many semaphores a System V set has, all of that value")
	cmd.Flags().Var(&perm, "mode", "its permissions, in `octal`")
	noCompletion(cmd, "value", "count", "mode")
	return cmd
}

func (c *command) semPostCommand() *cobra.Command {
	n := 1
	cmd := &cobra.Command{
		Use:   "post ADDR [--count N]",
		Short: "Add one, and wake a waiter",

		ValidArgsFunction: first(completeSemaphores),
		Example:           indented("shoal sem post /ready", "shoal sem post sysv:0x77.1 --count 3"),
		Args:              cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := semaphoreAddress(args[0])
			if err != nil {
				return err
			}
			return a.post(n)
		},
	}
	numberVar(cmd, &n, "count", 1, 1, "how often")
	noCompletion(cmd, "count")
	return cmd
}

func (c *command) semWaitCommand() *cobra.Command {
	var timeout time.Duration
	n := 1
	cmd := &cobra.Command{
		Use:   "wait ADDR [--timeout D] [--count N]",
		Short: "Take one off, and wait until that is possible",

		ValidArgsFunction: first(completeSemaphores),
		Long: `The exit code is 4 if the time has passed, which a time-out of 0s does at once.
With --count, what has been taken before that stays taken.`,
		Example: indented("shoal sem wait /ready", "shoal sem wait /ready --timeout 0s || echo not yet"),
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := semaphoreAddress(args[0])
			if err != nil {
				return err
			}
			if timeout < 0 {
				return usageError{fmt.Errorf("time-out %v is negative", timeout)}
			}
			ctx := cmd.Context()
			if cmd.Flags().Changed("timeout") {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, timeout)
				defer cancel()
			}
			err = a.wait(ctx, n)
			if errors.Is(err, context.DeadlineExceeded) {
				err = fmt.Errorf("wait %s: nobody has posted it in %v: %w", args[0], timeout, os.ErrDeadlineExceeded)
			}
			return err
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", 0, "how long to wait: 500ms, 10s; without it, for ever")
	numberVar(cmd, &n, "count", 1, 1, "how often")
	noCompletion(cmd, "timeout", "count")
	return cmd
}

func (c *command) semValueCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "value ADDR",
		Short: "Print the value",

		ValidArgsFunction: first(completeSemaphores),
		Example:           indented("shoal sem value /ready", "shoal sem value sysv:0x77.1 --json"),
		Args:              cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a, err := semaphoreAddress(args[0])
			if err != nil {
				return err
			}
			n, err := a.value()
			if err != nil {
				return err
			}
			if c.json {
				return c.printJSON(map[string]any{"address": args[0], "value": n})
			}
			_, err = fmt.Fprintln(c.stdout, n)
			return err
		},
	}
}

func (c *command) semRemoveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "rm ADDR...",
		Short: "Remove semaphores",

		ValidArgsFunction: completeSemaphores,
		Long: `Whoever waits for a System V semaphore that is removed gets an error; of a POSIX
one only the name goes, and its users go on. A System V set goes as a whole.`,
		Example: indented("shoal sem rm /ready sysv:0x77"),
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			for _, arg := range args {
				if _, err := semaphoreAddress(arg); err != nil {
					return err
				}
			}
			var failed error
			for _, arg := range args {
				a, _ := semaphoreAddress(arg)
				if err := a.remove(); err != nil {
					c.say("shoal: %v", err)
					failed = errors.Join(failed, err)
				}
			}
			if failed != nil {
				return reported{codeOf(failed)}
			}
			return nil
		},
	}
}

// semaphore is a semaphore by its address, of either kind.
type semaphore interface {
	create(value uint32, count int, perm fs.FileMode) error
	post(n int) error
	wait(ctx context.Context, n int) error
	value() (uint32, error)
	remove() error
}

// semaphoreAddress reads an address; a wrong one is usage.
func semaphoreAddress(s string) (semaphore, error) {
	name := strings.TrimPrefix(s, "posix:")
	if strings.HasPrefix(name, "/") {
		if _, err := posix.SemPath(name); err != nil {
			return nil, usageError{fmt.Errorf("%q is no name of a semaphore: %w", s, err)}
		}
		return posixSemaphore(name), nil
	}
	if rest, ok := strings.CutPrefix(s, "sysv:"); ok {
		text, number, indexed := strings.Cut(rest, ".")
		key, err := sysv.ParseKey(text)
		index := uint64(0)
		if err == nil && indexed {
			if index, err = strconv.ParseUint(number, 10, 16); err != nil {
				err = fmt.Errorf("%q is no number of a semaphore in its set", number)
			}
		}
		if err == nil && key == sysv.Private {
			err = errors.New("key 0 is IPC_PRIVATE and finds nothing")
		}
		if err != nil {
			return nil, usageError{fmt.Errorf("%q: %w", s, err)}
		}
		return sysvSemaphore{key, uint16(index)}, nil
	}
	return nil, usageError{fmt.Errorf("%q is no semaphore: they are /name, posix:/name and sysv:KEY[.INDEX]", s)}
}

type posixSemaphore string

func (name posixSemaphore) create(value uint32, count int, perm fs.FileMode) error {
	if count != 1 {
		return usageError{errors.New("only System V semaphores come in sets")}
	}
	s, err := posix.SemOpen(string(name), os.O_CREATE|os.O_EXCL, perm, value)
	if err != nil {
		return err
	}
	return s.Close()
}

// with runs fn on the open semaphore.
func (name posixSemaphore) with(fn func(*posix.Sem) error) error {
	s, err := posix.SemOpen(string(name), 0, 0, 0)
	if errors.Is(err, syscall.EINVAL) {
		err = fmt.Errorf("%w: %w", err, shm.ErrKind)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	return fn(s)
}

func (name posixSemaphore) post(n int) error {
	return name.with(func(s *posix.Sem) error {
		for range n {
			if err := s.Post(); err != nil {
				return err
			}
		}
		return nil
	})
}

func (name posixSemaphore) wait(ctx context.Context, n int) error {
	return name.with(func(s *posix.Sem) error {
		for range n {
			// What is there is taken, even if no time is left.
			if err := s.TryWait(); !errors.Is(err, syscall.EAGAIN) {
				if err != nil {
					return err
				}
				continue
			}
			if err := s.WaitContext(ctx); err != nil {
				return err
			}
		}
		return nil
	})
}

func (name posixSemaphore) value() (n uint32, err error) {
	err = name.with(func(s *posix.Sem) (err error) { n, err = s.Value(); return err })
	return n, err
}

func (name posixSemaphore) remove() error { return posix.SemUnlink(string(name)) }

type sysvSemaphore struct {
	key   sysv.Key
	index uint16
}

func (s sysvSemaphore) create(value uint32, count int, perm fs.FileMode) error {
	if value > math.MaxInt16 {
		return usageError{fmt.Errorf("value %d: a System V semaphore has at most %d", value, math.MaxInt16)}
	}
	if count = max(count, int(s.index)+1); count > math.MaxUint16 {
		return usageError{fmt.Errorf("count %d is too many", count)}
	}
	id, err := sysv.SemGet(s.key, count, sysv.Create|sysv.Exclusive|sysv.Flag(perm))
	if err != nil {
		return err
	}
	if err := begin(id, uint16(value), count); err != nil {
		return errors.Join(err, id.Remove())
	}
	return nil
}

// begin gives a new set its values, and then shows by a first operation that they
// are there: programs that open it wait for the time of that (sysv.SemGet).
func begin(id sysv.SemID, value uint16, count int) error {
	if value == 0 {
		return id.Op(sysv.SemBuf{Flags: sysv.NoWait}) // it is 0
	}
	if err := id.SetAll(slices.Repeat([]uint16{value}, count)); err != nil {
		return err
	}
	return id.Op(sysv.SemBuf{Op: -1, Flags: sysv.NoWait}, sysv.SemBuf{Op: 1, Flags: sysv.NoWait})
}

// fail tells a semaphore that is not there from other mistakes.
func (s sysvSemaphore) fail(err error) error {
	switch {
	case errors.Is(err, syscall.EFBIG): // semop(2)
		return fmt.Errorf("the set sysv:%v has no semaphore %d: %w", s.key, s.index, fs.ErrNotExist)
	case errors.Is(err, syscall.EIDRM):
		return fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	return err
}

func (s sysvSemaphore) op(ctx context.Context, n int, op int16) error {
	id, err := sysv.SemGet(s.key, 0, 0)
	if err != nil {
		return err
	}
	for range n {
		err := id.Op(sysv.SemBuf{Num: s.index, Op: op, Flags: sysv.NoWait})
		if errors.Is(err, syscall.EAGAIN) {
			err = id.OpContext(ctx, sysv.SemBuf{Num: s.index, Op: op})
		}
		if err != nil {
			return s.fail(err)
		}
	}
	return nil
}

func (s sysvSemaphore) post(n int) error                      { return s.op(context.Background(), n, 1) }
func (s sysvSemaphore) wait(ctx context.Context, n int) error { return s.op(ctx, n, -1) }

func (s sysvSemaphore) value() (uint32, error) {
	id, err := sysv.SemGet(s.key, 0, 0)
	if err != nil {
		return 0, err
	}
	n, err := id.Value(int(s.index))
	if errors.Is(err, syscall.EINVAL) { // semctl(2) says so of an index
		err = s.fail(syscall.EFBIG)
	}
	return uint32(n), s.fail(err)
}

func (s sysvSemaphore) remove() error {
	id, err := sysv.SemGet(s.key, 0, 0)
	if err != nil {
		return err
	}
	return id.Remove()
}
