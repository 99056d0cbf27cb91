package rerun

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is for what should take milliseconds, on a busy machine, too: reaching it is a failure.
const patience = time.Minute

// Process is a test binary in a role, seen from the test that has started it. Its methods fail that test where the
// process does not do as expected, so they are for the goroutine of the test, except for Lines, PID, Stopped and Kill,
// which any goroutine may call.
type Process struct {
	t     testing.TB
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string   // closed at the end of its output
	ended chan struct{} // closed when it is reaped
}

// Start starts this test binary in a role. The process is killed at the end of the test at the latest.
func Start(t testing.TB, role string, args ...string) *Process {
	t.Helper()
	return StartCommand(t, Command(role, args...))
}

// StartProgram is [Start] for another build of this test binary, one with other build tags for instance.
func StartProgram(t testing.TB, program, role string, args ...string) *Process {
	t.Helper()
	cmd := Command(role, args...)
	cmd.Path = program
	return StartCommand(t, cmd)
}

// Command is what [Start] starts, for those who want to prepare it: to set attributes of the process or to add to its
// environment. Its standard input and output are free, its standard error is the test's.
func Command(role string, args ...string) *exec.Cmd {
	return &exec.Cmd{
		Path: "/proc/self/exe", // reachable for every user and in every mount namespace, wherever the binary lies
		Args: append([]string{role}, args...),
		// The race detector's default is to wait a second at the end of a process.
		Env:    append(os.Environ(), variable+"="+role, "GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0"),
		Stderr: os.Stderr,
	}
}

// StartCommand starts a [Command].
//
// Each process has a thread of the test's to itself, which is its parent in the eyes of the kernel: the death of a child
// is a signal to the thread that has started it. If somebody slept in that thread, the signal would end the sleep, and
// hide that nothing else does. When the test's process dies, the kernel kills this one, too.
func StartCommand(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = unix.SIGKILL
	p := &Process{t: t, cmd: cmd, lines: make(chan string, 8), ended: make(chan struct{})}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.in = in
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	started := make(chan error)
	go p.accompany(out, started)
	if err := <-started; err != nil {
		t.Fatalf("start role %q: %v", cmd.Args, err)
	}
	t.Cleanup(p.Kill)
	return p
}

// accompany starts the process and stays with it to its end.
func (p *Process) accompany(out io.Reader, started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine, and not before the child
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	for r := bufio.NewReader(out); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			break // half a line is none
		}
		p.lines <- line[:len(line)-1]
	}
	close(p.lines)
	p.cmd.Wait()
	close(p.ended)
}

// PID is its number.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Lines are what it says, line by line, to the end of its output, when the channel is closed. Reading it is for tests
// that have to do with several things at once; others call [Process.Expect].
func (p *Process) Lines() <-chan string { return p.lines }

// Expect waits for the next line, which must begin with word, and returns the rest of it without the spaces around. "" is
// the beginning of every line.
func (p *Process) Expect(word string) string {
	p.t.Helper()
	return p.ExpectWithin(patience, word)
}

// ExpectWithin is [Process.Expect] where how long it takes is part of what is expected.
func (p *Process) ExpectWithin(d time.Duration, word string) string {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok {
			p.Kill()
			p.t.Fatalf("%v has ended (%v); expected %q", p, p.cmd.ProcessState, word)
		}
		rest, ok := strings.CutPrefix(line, word)
		if !ok {
			p.t.Fatalf("%v says %q; expected %q", p, line, word)
		}
		return strings.TrimSpace(rest)
	case <-time.After(d):
		p.t.Fatalf("%v is silent for %v; expected %q", p, d, word)
	}
	return ""
}

// Say writes a line to it, for [Hear]; the operands are set apart by spaces.
func (p *Process) Say(line ...any) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, line...); err != nil {
		p.t.Fatalf("%v does not listen: %v", p, err)
	}
}

// Kill kills it (SIGKILL), even if it is stopped, and returns when the kernel has finished with it and it is reaped: its
// locks and mappings are gone. What it has said and nobody has read is lost. Killing it again does nothing.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // which knows whether it is too late
	for range p.lines {
	}
	<-p.ended
}

// Wait says nothing more to it, waits until it has ended by itself and is reaped, and returns how it has ended. What it
// has said and nobody has read is lost. After [Process.Kill], Wait returns at once.
func (p *Process) Wait() *os.ProcessState {
	p.t.Helper()
	p.in.Close()
	lines := p.lines
	for late := time.After(patience); ; {
		select {
		case _, ok := <-lines:
			if !ok {
				lines = nil
			}
		case <-p.ended:
			return p.cmd.ProcessState
		case <-late:
			p.t.Fatalf("%v does not end for %v", p, patience)
		}
	}
}

// Stop stops it (SIGSTOP) and returns when every thread of it stands still. It can then neither end nor say anything
// before [Process.Continue]; only [Process.Kill] ends it.
func (p *Process) Stop() {
	p.t.Helper()
	p.signal(unix.SIGSTOP)
	if code, err := p.state(0); err != nil || code != cldStopped {
		p.t.Fatalf("%v ends instead of being stopped (code %d, %v)", p, code, err)
	}
}

// Stopped reports whether it is stopped, every thread of it, by [Process.Stop] or by itself.
func (p *Process) Stopped() bool {
	select {
	case <-p.ended:
		return false // its number may be another's by now
	default:
	}
	code, err := p.state(unix.WNOHANG)
	return err == nil && code == cldStopped
}

// Continue lets it go on after a stop (SIGCONT).
func (p *Process) Continue() {
	p.t.Helper()
	p.signal(unix.SIGCONT)
}

func (p *Process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatalf("%v: %v: %v", p, s, err)
	}
}

// cldStopped is CLD_STOPPED of <signal.h>: what the kernel says to the parent when the last thread has stopped.
const cldStopped = 5

// state returns the CLD code of a process that is stopped or has ended, and waits for that unless options say otherwise.
// It leaves the news to be heard again.
func (p *Process) state(options int) (code int32, err error) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, p.PID(), &info, unix.WSTOPPED|unix.WEXITED|unix.WNOWAIT|options, nil)
		if err != unix.EINTR {
			return info.Code, err
		}
	}
}

// String names it in messages.
func (p *Process) String() string {
	return fmt.Sprintf("process %d (%s)", p.PID(), strings.Join(p.cmd.Args, " "))
}
