//go:build linux && (amd64 || arm64)

package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/seed-247006a4/shoal/shm"
)

// A chapter is one part of the story.
type chapter struct {
	title string
	tell  func(*story) error
}

// chapters are the story, in order.
var chapters = []chapter{
	{"System V: key 0x1234, 1024 bytes", tellSysV},
	{"POSIX: /my_shm, and a semaphore instead of a race", tellPosix},
	{"256 MiB through shared memory, and through a pipe", tellTransfer},
	{"kill -9 inside a lock", tellLock},
	{"A topic: three subscribers, two kills in full flow", tellTopic},
}

// A story is one run of the demo.
type story struct {
	opts  Options
	ctx   context.Context // done when the user has had enough
	cast  *cast
	write error // the first failure of opts.Stdout
}

func run(ctx context.Context, opts Options) error {
	// A child's parent-death signal (prctl(2), PR_SET_PDEATHSIG) comes when the
	// *thread* that started it ends. Locked, the thread lasts as long as Run.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	// Without somebody who listens, SIGPIPE ends the program when the reader of its
	// standard output, like head(1), has gone. With one, the write fails.
	broken := make(chan os.Signal, 1)
	signal.Notify(broken, syscall.SIGPIPE)
	defer signal.Stop(broken)
	signals := []os.Signal{syscall.SIGINT, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // else nohup(1) asked for it
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(ctx, signals...)
	defer stop()

	cast, err := newCast(ctx, opts.Stderr)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	s := &story{opts: opts, ctx: ctx, cast: cast}
	err = s.tell()
	left := cast.dismiss(s)
	switch {
	case err == nil && left == nil:
		return nil
	case left != nil:
		return fmt.Errorf("demo: %w", errors.Join(err, left))
	case ctx.Err() != nil, s.write != nil:
		return fmt.Errorf("demo: stopped, and all that it had made removed: %w", err)
	}
	return fmt.Errorf("demo: %w", err)
}

// tell tells the whole story.
func (s *story) tell() error {
	for _, addr := range []string{sysvAddress, posixName} {
		if err := free(addr); err != nil {
			return err
		}
	}
	before, err := shm.List()
	if err != nil {
		return err
	}
	s.print("Shoal demo: real processes, shared memory. This is process %d.\n", os.Getpid())
	s.print("\nShared memory on this machine before:\n")
	s.list(before)
	s.print("\n")
	if err := s.cast.hireWarden(); err != nil {
		return err
	}
	if err := s.hear(s.cast.warden); err != nil {
		return err
	}
	for i, c := range chapters {
		s.print("\n%d. %s\n\n", i+1, c.title)
		err := c.tell(s)
		if err == nil {
			err = s.check()
		}
		if err != nil {
			return fmt.Errorf("chapter %d: %w", i+1, err)
		}
	}
	if err := s.cast.dismiss(s); err != nil {
		return err
	}
	after, err := shm.List()
	if err != nil {
		return err
	}
	s.print("\nShared memory on this machine after:\n")
	s.list(after)
	return s.compare(before, after)
}

// check returns why the story cannot go on, if so.
func (s *story) check() error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return s.write
}

// print writes to the story.
func (s *story) print(format string, args ...any) {
	if _, err := fmt.Fprintf(s.opts.Stdout, format, args...); err != nil && s.write == nil {
		s.write = err
	}
}

// say writes a line that a process says.
func (s *story) say(who string, pid int, line string) {
	s.print("  %-8s %7d  %s\n", who, pid, line)
}

// note writes a line that the demo itself says.
func (s *story) note(format string, args ...any) {
	s.say("demo", os.Getpid(), fmt.Sprintf(format, args...))
}
