//go:build linux && (amd64 || arm64)

package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/shm"
)

// patience is how much longer than asked for a measurement may take before it is
// given up: the machine may be busy with something else.
const patience = 20 * time.Second

func run(ctx context.Context, o Options, chosen []Scenario) (*Report, error) {
	// Processes die with the thread that has started them: this goroutine keeps it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	place := findPlace()
	var l *limiter
	for _, s := range chosen {
		if !s.measure.structural() && l == nil {
			var err error
			if l, err = newLimiter(ctx, o.Compiler); err != nil {
				return nil, err
			}
			defer l.close()
		}
	}
	found := map[string][]figures{}
	for round := range o.Rounds {
		for i, s := range chosen {
			if o.Progress != nil {
				o.Progress(round*len(chosen)+i, o.Rounds*len(chosen), s.Name)
			}
			f, err := measureOnce(ctx, s, o, l, place)
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err != nil {
				return nil, err
			}
			found[s.Name] = append(found[s.Name], f)
		}
	}
	r := &Report{Machine: place.machine(o, l)}
	for _, s := range chosen {
		result := s.result(found[s.Name], found[s.limit])
		if !s.measure.structural() {
			result.Language = l.language()
		}
		r.Results = append(r.Results, result)
	}
	r.Machine.Caveats = append(r.Machine.Caveats, restless(r.Results)...)
	return r, nil
}

// measureOnce measures a scenario or a limit, in new processes.
func measureOnce(ctx context.Context, s Scenario, o Options, l *limiter, p *place) (f figures, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*o.Time+patience, fmt.Errorf("%s: no result in time", s.Name))
	defer cancel()
	if s.measure.structural() || l.program == nil {
		f, err = pair(ctx, s, o, p)
	} else {
		f, err = l.measure(ctx, s, o.Time, p.apart)
	}
	if err != nil && ctx.Err() != nil {
		err = errors.Join(context.Cause(ctx), err)
	}
	return f, err
}

// pair starts the processes of a measurement, and waits for what they find.
func pair(ctx context.Context, s Scenario, o Options, p *place) (f figures, err error) {
	there := fmt.Sprintf("shoal-bench-%d-there", os.Getpid())
	back := fmt.Sprintf("shoal-bench-%d-back", os.Getpid())
	if s.measure == stream || s.measure == copied {
		back = ""
	}
	j := job{Structure: s.structure, Measure: s.measure, Size: s.size, Batch: s.batch, Polled: s.polled, Area: s.area,
		There: there, Back: back, Time: o.Time}
	sides := []side{far, near}
	if s.measure == memcpy {
		sides = []side{near}
	}
	var cast []*player
	// The names go first: when there is nobody any more, nor is there anything.
	defer func() {
		err = errors.Join(err, forget(s, there, back))
		for _, p := range cast {
			p.end()
		}
	}()
	for i, side := range sides {
		j.Side, j.CPUs = side, p.cpus(s.measure, i)
		p, err := start(ctx, s, &j)
		if err != nil {
			return f, err
		}
		cast = append(cast, p)
		if err := p.ready(); err != nil {
			return f, err
		}
	}
	if err := forget(s, there, back); err != nil {
		return f, err
	}
	for _, p := range cast {
		if _, err := io.WriteString(p.in, "go\n"); err != nil {
			return f, p.failed(err)
		}
	}
	outcomes := make([]outcome, len(cast))
	for i := len(cast) - 1; i >= 0; i-- { // the near one first: the other waits for it
		if outcomes[i], err = cast[i].outcome(); err != nil {
			return f, err
		}
	}
	return combine(s, outcomes)
}

// combine makes one result of what the sides report, if they agree.
func combine(s Scenario, outcomes []outcome) (f figures, err error) {
	f = outcomes[len(outcomes)-1].Figures
	if len(outcomes) == 1 || !s.measure.structural() {
		return f, nil
	}
	far, near := outcomes[0], outcomes[1]
	if far.Received != near.Sent || near.Received != far.Sent {
		return f, fmt.Errorf("%s: what was sent, %+v and %+v, is not what was received, %+v and %+v",
			s.Name, near.Sent, far.Sent, far.Received, near.Received)
	}
	if !s.measure.timed() {
		f = far.Figures
	}
	f.CPU = far.Figures.CPU + near.Figures.CPU
	f.Switches = far.Figures.Switches + near.Figures.Switches
	return f, nil
}

// forget removes the objects, if they are there.
func forget(s Scenario, names ...string) (err error) {
	for _, name := range names {
		if name == "" {
			continue
		}
		e := error(nil)
		if s.measure.structural() {
			e = removers[s.structure](name)
		} else {
			e = shm.Remove("/" + name)
		}
		if e != nil && !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}

// player is a process that plays a role.
type player struct {
	who    string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer
	ended  bool
}

// start starts this program again. It is killed when ctx is done, and when this
// process has died.
func start(ctx context.Context, s Scenario, j *job) (*player, error) {
	text, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	p := &player{who: fmt.Sprintf("%s, %s side", s.Name, j.Side), cmd: exec.CommandContext(ctx, "/proc/self/exe")}
	p.cmd.Args[0] = "shoal-bench-" + string(j.Side) // what ps(1) shows
	p.cmd.Env = append(os.Environ(), roleVariable+"="+string(text))
	p.cmd.Stderr = &p.stderr
	p.cmd.SysProcAttr = diesWithUs()
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.who, err)
	}
	return p, nil
}

// diesWithUs is for processes that are not to outlive the thread that starts them,
// in a process group of their own: Ctrl-C is for us.
func diesWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// ready waits until the process has all it needs.
func (p *player) ready() error {
	line, err := p.out.ReadString('\n')
	if err != nil || line != "ready\n" {
		return p.failed(fmt.Errorf("it says %q instead of that it is ready", line))
	}
	return nil
}

// outcome waits for the end.
func (p *player) outcome() (o outcome, err error) {
	if err := json.NewDecoder(p.out).Decode(&o); err != nil {
		return o, p.failed(fmt.Errorf("its result: %w", err))
	}
	p.ended = true
	if err := p.cmd.Wait(); err != nil {
		return o, p.failed(err)
	}
	return o, nil
}

// failed says why: with what the process itself has said.
func (p *player) failed(err error) error {
	p.end()
	if said := firstLine(p.stderr.String()); said != "" {
		return fmt.Errorf("%s: %s", p.who, said)
	}
	return fmt.Errorf("%s: %w", p.who, err)
}

// end ends the process, if it has not ended.
func (p *player) end() {
	if !p.ended {
		p.ended = true
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}
