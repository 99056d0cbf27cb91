//go:build linux && (amd64 || arm64)

package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/sysv"
)

// A cast is the processes of a story, and the stream of what happens to them.
type cast struct {
	ctx    context.Context // the processes' lives, except the warden's
	end    context.CancelFunc
	stderr io.Writer // safe for concurrent use

	in     *os.File // the stream of events
	events *json.Decoder
	out    *os.File // its other end, which every process inherits

	warden  *process
	will    *os.File   // the pipe to the warden, which every other process inherits
	answers *os.File   // the pipe from it, likewise
	estate  []property // what the processes make, should the warden be killed

	unwatch func() bool
	playing map[int]*process // those that have not ended, by pid
	deaf    bool             // the stream cannot be read any more
}

// A process is one started process.
type process struct {
	who    string // in the story: "writer"
	pid    int
	made   *sysv.ShmID // the System V segment that it has made, if it has ended
	passes []pass      // of a transfer, as far as the process has told
	booked uint64      // how many bookings it has made, if it has told
	tally  *tally      // what it has received of a topic, if it has told
	doomed bool        // the story kills it
}

// newCast prepares a cast without processes. When ctx is done the stream says so.
func newCast(ctx context.Context, stderr io.Writer) (*cast, error) {
	in, out, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	if _, isFile := stderr.(*os.File); !isFile {
		stderr = &turns{to: stderr} // exec.Cmd writes to it, from a goroutine for each process
	}
	c := &cast{stderr: stderr, in: in, events: json.NewDecoder(in), out: out, playing: make(map[int]*process)}
	c.ctx, c.end = context.WithCancel(context.Background())
	c.unwatch = context.AfterFunc(ctx, func() { put(out, event{Interrupted: true}) })
	return c, nil
}

// hireWarden starts the warden: before anything is made, and before the others.
func (c *cast) hireWarden() error {
	will, toWarden, err := os.Pipe()
	if err != nil {
		return err
	}
	defer will.Close()
	c.will = toWarden
	fromWarden, answers, err := os.Pipe()
	if err != nil {
		return err
	}
	defer answers.Close() // who waits for an answer is to learn that the warden has died
	c.answers = fromWarden
	attr := &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	c.warden, err = c.launch(context.Background(), "warden", "warden", nil, attr, will, answers)
	return err
}

// start starts this program again in a role. The process inherits files from
// descriptor firstFile on. It is killed when the demo wants it to end, and when
// the demo has died, whatever the cause.
//
// Preconditions: the warden has been hired. The calling goroutine is locked to its
// thread, for as long as the process is to live.
func (c *cast) start(who, role string, args []string, files ...*os.File) (*process, error) {
	attr := &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		// A group of its own: Ctrl-C is for the demo, which then sees to its
		// processes; and the warden can hold its pid.
		Setpgid: true,
	}
	return c.launch(c.ctx, who, role, args, attr, append([]*os.File{c.will, c.answers}, files...)...)
}

func (c *cast) launch(ctx context.Context, who, role string, args []string, attr *syscall.SysProcAttr, files ...*os.File) (*process, error) {
	cmd := exec.CommandContext(ctx, "/proc/self/exe", args...)
	cmd.Args[0] = "shoal-demo-" + who // what ps(1) shows
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = c.stderr
	cmd.ExtraFiles = append([]*os.File{c.out}, files...)
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the %s: %w", who, err)
	}
	p := &process{who: who, pid: cmd.Process.Pid}
	c.playing[p.pid] = p
	go func() {
		c.inspect(p.pid)
		cmd.Wait()
		// All that the process has said is in the pipe by now.
		put(c.out, event{PID: p.pid, Exit: cmd.ProcessState.String()})
	}()
	return p, nil
}

// inspect waits until a process has ended, and reports the System V segment that
// it has made. The process has not been waited for (wait(2)), so its pid cannot be
// another's.
func (c *cast) inspect(pid int) {
	for unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
	}
	made, err := (&sysvSegment{Key: sysvKey, Maker: pid}).find()
	if err != nil {
		put(c.out, event{PID: pid, Failed: cut(err.Error())})
	}
	if made != nil {
		put(c.out, event{PID: pid, Property: &property{SysV: made}})
	}
}

// dismiss ends all processes that are left, the warden last, and closes the
// stream. It returns what could not be removed, and why the warden has not done
// it. Dismissing twice is harmless.
func (c *cast) dismiss(s *story) (err error) {
	c.end()
	if c.will != nil {
		c.will.Close()
	}
	for len(c.playing) > 0 && !c.deaf {
		// Why the others fail does not matter any more.
		if e, failure := s.next(); c.warden != nil && e.PID == c.warden.pid && err == nil {
			err = failure
		}
	}
	c.unwatch()
	c.in.Close()
	c.out.Close()
	if c.answers != nil {
		c.answers.Close()
	}
	// Nothing is left, unless the warden was killed.
	err = errors.Join(err, settle(c.estate))
	c.estate = nil
	return err
}

// turns makes a writer safe for concurrent use.
type turns struct {
	mu sync.Mutex
	to io.Writer
}

func (t *turns) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.to.Write(b)
}
