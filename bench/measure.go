//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/bench/result"
	"github.com/seed-247006a4/shoal/bench/role"
)

// patience is how much longer than asked for a measurement may take before it is given
// up.
const patience = 10 * time.Second

// A bench measures.
type bench struct {
	*builder
	time  time.Duration
	apart []int  // two processors; none if there is one
	temp  string // a directory for what needs one
}

// prefix is how the names of all objects begin that this process has to do with.
func prefix(pid int) string { return fmt.Sprintf("shoal-bench-%d-", pid) }

// measure measures an entrant once, in new processes.
func (b *bench) measure(ctx context.Context, s *scenario, e entrant) (r result.Round, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 3*b.time+patience, errors.New("no result in time"))
	defer cancel()
	p := byName(e.participant)
	j := s.job
	j.Participant, j.Time, j.Dir, j.Side = p.name, b.time, b.temp, role.Near
	j.Batch, j.Ends = max(j.Batch, 1), max(j.Ends, 1)
	if j.Wait == "" {
		j.Wait = e.wait
	}
	if j.Wait == "" {
		j.Wait = role.Adaptive
	}
	command, err := p.program(ctx, b.builder, &j)
	if err == nil {
		defer b.forget()
		switch {
		case p.limit():
			r, err = b.measureLimit(ctx, s, command)
		default:
			r, err = b.play(ctx, s, p, command, j)
		}
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
	}
	return r, err
}

// cast are the processes of a measurement.
type cast struct {
	server    *process
	far, near []*process
}

func (c *cast) all() (all []*process) {
	if c.server != nil {
		all = append(all, c.server)
	}
	return append(append(all, c.far...), c.near...)
}

func (c *cast) end() {
	for _, p := range c.all() {
		p.end()
	}
}

// play starts the processes of a measurement, and waits for what they find.
func (b *bench) play(ctx context.Context, s *scenario, p *participant, command []string, j role.Job) (r result.Round, err error) {
	var c cast
	defer c.end()
	j.There = prefix(os.Getpid()) + "there"
	if j.Measure == role.Ping || j.Measure == role.Publish {
		j.Back = prefix(os.Getpid()) + "back"
	}
	if p.files {
		j.There = filepath.Join(b.temp, j.There)
		if j.Back != "" {
			j.Back = filepath.Join(b.temp, j.Back)
		}
	}
	start := func(side string, number, index int) (*process, error) {
		j.Side, j.Number = side, number
		cpus := b.apart
		if s.apart && len(b.apart) == 2 && side != "server" && !p.alone {
			cpus = b.apart[index : index+1]
		}
		x, err := start(ctx, side+" side", append(command[:len(command):len(command)], j.Args()...), cpus)
		if err != nil {
			return nil, err
		}
		return x, x.ready()
	}
	if p.server {
		x, err := start("server", 0, 0)
		if x != nil {
			c.server = x
		}
		if err != nil {
			return r, err
		}
		j.Server = x.server
		if err := x.begin(); err != nil {
			return r, err
		}
	}
	for n := range max(s.far, 1) {
		if p.alone || j.Measure == role.Sleep {
			break
		}
		x, err := start(role.Far, n, 1)
		if x != nil {
			c.far = append(c.far, x)
		}
		if err != nil {
			return r, err
		}
	}
	for n := range max(s.near, 1) {
		x, err := start(role.Near, n, 0)
		if x != nil {
			c.near = append(c.near, x)
		}
		if err != nil {
			return r, err
		}
	}
	if j.Measure == role.Hold {
		for _, x := range append(c.far, c.near...) {
			if err := x.begin(); err != nil {
				return r, err
			}
		}
		size, touched := sharedMemory()
		r.Value, r.Other = float64(size), map[string]float64{"in place": float64(touched)}
		return r, nil
	}
	for _, x := range append(c.far, c.near...) {
		if err := x.begin(); err != nil {
			return r, err
		}
	}
	if j.Measure == role.Death {
		return b.kill(&c)
	}
	return b.collect(s, &c)
}

// collect waits for the outcomes, and makes a round of them, if the sides agree.
func (b *bench) collect(s *scenario, c *cast) (r result.Round, err error) {
	var sent, received [2]role.Tally // of the near and the far sides
	type answer struct {
		of *process
		o  role.Outcome
		error
	}
	// All are listened to at once: one that fails is not waited for by way of the others.
	answers := make(chan answer, len(c.near)+len(c.far)+1)
	listen := func(x *process) {
		go func() {
			o, err := x.outcome()
			answers <- answer{x, o, err}
		}()
	}
	heard := map[*process]role.Outcome{}
	take := func(list []*process, side int, name string) (all []role.Outcome, err error) {
		for _, x := range list {
			for {
				if _, ok := heard[x]; ok {
					break
				}
				a := <-answers
				if a.error != nil {
					return nil, a.error
				}
				heard[a.of] = a.o
			}
			o := heard[x]
			sent[side].Records += o.Sent.Records
			sent[side].Sum += o.Sent.Sum
			received[side].Records += o.Received.Records
			received[side].Sum += o.Received.Sum
			r.Sides = append(r.Sides, result.Side{Name: name, CPU: o.CPU, Took: o.Took, Switches: o.Switches})
			all = append(all, o)
		}
		return all, nil
	}
	for _, x := range append(slices.Clone(c.far), c.near...) {
		listen(x)
	}
	near, err := take(c.near, 0, role.Near)
	if err != nil {
		return r, err
	}
	for _, x := range append(slices.Clone(c.far), c.near...) {
		x.dismiss()
	}
	far, err := take(c.far, 1, role.Far)
	if err != nil {
		return r, err
	}
	if c.server != nil {
		listen(c.server)
		c.server.dismiss()
		if _, err := take([]*process{c.server}, 0, "server"); err != nil {
			return r, err
		}
	}
	copies := uint64(1) // of each record that arrive
	if s.job.Count > 1 && s.job.Measure == role.Stream {
		copies = uint64(s.job.Count)
	}
	if m := s.job.Measure; (m == role.Ping || m == role.Stream) && len(far) > 0 {
		want := role.Tally{Records: sent[0].Records * copies, Sum: sent[0].Sum * copies}
		if received[1] != want || received[0] != sent[1] {
			return r, fmt.Errorf("what was sent, %+v and %+v, is not what was received, %+v and %+v",
				want, sent[1], received[1], received[0])
		}
	}
	r.Figures = near[0].Figures
	switch s.job.Measure {
	case role.Stream:
		if len(far) > 0 {
			r.Figures = far[0].Figures
		}
		rate := func(f *role.Figures) float64 { return float64(f.Count) / float64(max(f.Took, 1)) * 1e9 }
		r.Value = rate(&r.Figures)
		for i := 1; i < len(far); i++ {
			r.Value += rate(&far[i].Figures)
		}
		if c.server != nil { // which may hold back what has not been received, and give it out at once
			offered := 0.0
			for i := range near {
				offered += rate(&near[i].Figures) * float64(copies)
			}
			if offered > 0 {
				r.Value = min(r.Value, offered)
			}
		}
		if r.Value == 0 {
			return r, errors.New("nothing came in the time that was measured")
		}
	case role.Sleep:
		r.Value = r.Other["threads"]
	case role.Latest:
		r.Figures = far[0].Figures
		r.Other = map[string]float64{"to write": near[0].P50}
		r.Value = r.P50
	default:
		if s.halve {
			for _, t := range []*float64{&r.P50, &r.P99, &r.P999, &r.Max} {
				*t /= 2
			}
		}
		r.Value = r.P50
		if r.Count == 0 {
			return r, errors.New("no samples in the time that was measured")
		}
	}
	return r, nil
}

// kill kills the far side, and waits until the near one has noticed.
func (b *bench) kill(c *cast) (r result.Round, err error) {
	time.Sleep(20 * time.Millisecond) // until the near side is asleep: nothing else depends on it
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return r, err
	}
	if err := unix.Kill(c.far[0].cmd.Process.Pid, unix.SIGKILL); err != nil {
		return r, err
	}
	o, err := c.near[0].outcome()
	if err != nil {
		return r, err
	}
	r.Value = o.Other["noticed"] - float64(t.Nano())
	return r, nil
}

// measureLimit measures a limit. Payloads that go from core to core are quicker always
// at the same place if they are long, and going round if they are not: the better one
// is the limit.
func (b *bench) measureLimit(ctx context.Context, s *scenario, command []string) (r result.Round, err error) {
	r, err = b.runLimit(ctx, s, command, s.job.Area)
	if err != nil || s.job.Area != s.job.Size || s.job.Size == 64 {
		return r, err
	}
	other, err := b.runLimit(ctx, s, command, room(s.job.Size))
	if other.P50 < r.P50 {
		r = other
	}
	return r, err
}

// runLimit runs the C program for the limits once.
func (b *bench) runLimit(ctx context.Context, s *scenario, command []string, area int) (r result.Round, err error) {
	cpu := func(i int) string {
		if len(b.apart) == 0 {
			return "-1"
		}
		return strconv.Itoa(b.apart[i])
	}
	size := s.job.Size
	if size == 64 && s.job.Measure != "memcpy" {
		size = 0 // the line itself is the payload
	}
	cmd := exec.CommandContext(ctx, command[0], s.job.Measure, strconv.Itoa(size), strconv.Itoa(area),
		fmt.Sprint(b.time.Seconds()), cpu(0), cpu(1))
	cmd.SysProcAttr = ours()
	var stderr strings.Builder
	cmd.Stderr = &stderr
	began := time.Now()
	out, err := cmd.Output()
	took := time.Since(began)
	if err != nil {
		return r, fmt.Errorf("%w: %s", err, firstLine(stderr.String()))
	}
	if _, err := fmt.Sscan(string(out), &r.P50, &r.P99, &r.P999, &r.Max, &r.Count); err != nil {
		return r, fmt.Errorf("it printed %q: %w", out, err)
	}
	if s.halve {
		for _, t := range []*float64{&r.P50, &r.P99, &r.P999, &r.Max} {
			*t /= 2
		}
	}
	r.Value = r.P50
	if s.unit == "/s" {
		r.Value = 1e9 / max(r.P50, 0.1)
	}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		r.Sides = []result.Side{{Name: "both", CPU: u.Utime.Nano() + u.Stime.Nano(), Took: int64(took)}}
	}
	return r, nil
}

// sharedMemory is how large the files in shared memory are that belong to this run, and
// how many bytes of that are in place.
func sharedMemory() (size, touched int64) {
	for _, name := range objects(prefix(os.Getpid())) {
		filepath.Walk(name, func(_ string, info os.FileInfo, err error) error {
			if err == nil {
				if s, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
					size += s.Size
					touched += s.Blocks * 512
				}
			}
			return nil
		})
	}
	return size, touched
}

// objects are the paths of what is in shared memory, and in the file systems for other
// IPC, whose names have a part.
func objects(part string) []string {
	found, _ := filepath.Glob("/dev/shm/*" + part + "*")
	return found
}

// forget removes what this run has made. The processes have ended.
func (b *bench) forget() { forget(prefix(os.Getpid()), b.temp) }

func forget(part, temp string) {
	for _, path := range objects(part) {
		os.RemoveAll(path)
	}
	for _, name := range []string{"there", "back"} {
		if q, err := unix.BytePtrFromString(part + name); err == nil {
			removeQueue(q)
		}
	}
	if temp == "" {
		return
	}
	inside, _ := filepath.Glob(filepath.Join(temp, "*"))
	for _, path := range inside {
		os.RemoveAll(path)
	}
}

// removeStale removes what runs have left that were killed.
func removeStale() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), "shoal-bench-*-"))
	for _, path := range append(objects("shoal-bench-"), dirs...) {
		_, after, _ := strings.Cut(filepath.Base(path), "shoal-bench-")
		text, _, _ := strings.Cut(after, "-")
		pid, err := strconv.Atoi(text)
		if err != nil || alive(pid) {
			continue
		}
		forget(prefix(pid), "")
		os.RemoveAll(path)
	}
}

// alive reports whether there is such a process that has not ended; one that nobody has waited for yet has.
func alive(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return unix.Kill(pid, 0) != unix.ESRCH
	}
	_, after, _ := strings.Cut(string(text), ") ") // behind the name, which is in parentheses
	return !strings.HasPrefix(after, "Z") && !strings.HasPrefix(after, "X")
}
