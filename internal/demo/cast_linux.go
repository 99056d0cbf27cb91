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
)

// A cast is the processes of a story, and the stream of what happens to them.
type cast struct {
	ctx    context.Context // the processes' lives, except the warden's
	end    context.CancelFunc
	stderr io.Writer // safe for concurrent use

	in     *os.File // the stream of events
	events *json.Decoder
	out    *os.File // its other end, which every process inherits

	warden *process
	will   *os.File   // the pipe to the warden, which every other process inherits
	estate []property // what was written there

	unwatch func() bool
	playing map[int]*process // those that have not ended, by pid
	deaf    bool             // the stream cannot be read any more
}

// A process is one started process.
type process struct {
	who    string // in the story: "writer"
	pid    int
	made   string // the address of the segment that it has made
	passes []pass // of a transfer, as far as the process has told
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
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	c.will = w
	c.warden, err = c.launch(context.Background(), "warden", "warden", nil, &syscall.SysProcAttr{Setpgid: true}, r)
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
		Setpgid:   true, // Ctrl-C is for the demo, which then sees to its processes
	}
	return c.launch(c.ctx, who, role, args, attr, append([]*os.File{c.will}, files...)...)
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
		cmd.Wait()
		// All that the process has said is in the pipe by now.
		put(c.out, event{PID: p.pid, Exit: cmd.ProcessState.String()})
	}()
	return p, nil
}

// made tells the warden of an object that the demo itself has made.
func (c *cast) made(p property) {
	c.estate = append(c.estate, p)
	_ = put(c.will, p) // if the warden has died, that is one of the next events
}

// dismiss ends all processes that are left, the warden last, and closes the
// stream. It returns what could not be removed. Dismissing twice is harmless.
func (c *cast) dismiss(s *story) (err error) {
	c.end()
	if c.will != nil {
		c.will.Close()
	}
	for len(c.playing) > 0 && !c.deaf {
		// Why the others fail does not matter any more.
		if e, failure := s.next(); c.warden != nil && e.PID == c.warden.pid && e.Failed != "" {
			err = failure
		}
	}
	c.unwatch()
	c.in.Close()
	c.out.Close()
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
