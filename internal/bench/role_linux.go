//go:build linux && (amd64 || arm64)

package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/ring"
)

// roleVariable is the environment variable that makes a process play a role; its
// value is a job.
const roleVariable = "SHOAL_BENCH_ROLE"

// profileVariable, if it is set, is a prefix of files to which processes write CPU
// profiles: PREFIX.near and PREFIX.far, of the last measurement of a structure.
const profileVariable = "SHOAL_BENCH_PROFILE"

// job is what a process is to do.
type job struct {
	Side      side
	Structure string
	Measure   measure
	Size      int
	Batch     int
	Polled    bool
	Area      int
	There     string // name of the object from the near to the far side
	Back      string // name of the one from the far to the near side; "" for a stream
	Time      time.Duration
	CPUs      []int // where it runs; none: anywhere
}

// side is which of the two processes it is: the near one begins, and is the one
// that measures round trips. The limits have sides, too, of the same names.
type side string

const (
	near side = "near"
	far  side = "far"
)

// outcome is what a process reports in the end.
type outcome struct {
	Sent, Received tally
	Figures        figures
}

// sender sends records.
type sender interface {
	// send sends one record.
	send(number, tells uint64) error
	// flow sends n ordinary records, numbered from first on, as its job says: one
	// by one, or in batches.
	flow(first uint64, n int) error
	sent() tally
}

// receiver receives records. It reads every byte.
type receiver interface {
	// receive returns the next record.
	receive() (number, tells uint64, err error)
	// drain receives records until f, which is called with those that are not
	// ordinary, says that this was the last.
	drain(f func(tells uint64) (last bool)) error
	received() tally
}

// structural reports whether it is a structure of Shoal that is measured.
func (m measure) structural() bool { return m != line && m != futex && m != memcpy }

// structures are those that can be measured: each opens what a job needs.
var structures = map[string]func(*job) (sender, receiver, error){
	"ring": openRing,
}

// removers remove their objects.
var removers = map[string]func(name string) error{
	"ring": ring.Remove,
}

func role() {
	text, ok := os.LookupEnv(roleVariable)
	if !ok {
		return
	}
	if err := play(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// play does a job: it says "ready" on standard output when it has all it needs,
// waits for a line on standard input, and then measures and prints its outcome.
func play(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return fmt.Errorf("%s=%q: %w; unset it", roleVariable, text, err)
	}
	if err := j.settle(); err != nil {
		return err
	}
	findClockCost()
	act, err := j.prepare()
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if line, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	if prefix := os.Getenv(profileVariable); prefix != "" && j.Measure.structural() {
		f, err := os.Create(prefix + "." + string(j.Side))
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	o, err := act()
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

// settle goes where the job is to run. Where it must not spin it takes one
// processor, so that the structures see that there is no other; else Shoal may use
// two, even if it is confined to them.
func (j *job) settle() error {
	processors := 2
	if j.Measure == parked {
		processors = 1
	}
	runtime.GOMAXPROCS(processors) // which also keeps the runtime from changing it
	if len(j.CPUs) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, cpu := range j.CPUs {
		set.Set(cpu)
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, task := range tasks { // those to come inherit it
		var tid int
		if _, err := fmt.Sscan(task.Name(), &tid); err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(tid, &set); err != nil && !errors.Is(err, unix.ESRCH) {
			return os.NewSyscallError("sched_setaffinity", err)
		}
	}
	return nil
}

// prepare opens what the job needs, and returns the rest of it.
func (j *job) prepare() (act func() (*outcome, error), err error) {
	if !j.Measure.structural() {
		return j.prepareLimit()
	}
	open := structures[j.Structure]
	if open == nil {
		return nil, fmt.Errorf("structure %q: there is none of that name", j.Structure)
	}
	s, r, err := open(j)
	if err != nil {
		return nil, err
	}
	work := j.pour
	switch {
	case j.Side == near && j.Back != "":
		work = j.ping
	case j.Side == far && j.Back != "":
		work = j.pong
	case j.Side == far:
		work = j.drain
	}
	return func() (*outcome, error) {
		o := &outcome{}
		err := work(s, r, &o.Figures)
		if s != nil {
			o.Sent = s.sent()
		}
		if r != nil {
			o.Received = r.received()
		}
		return o, err
	}, nil
}

// warmUp is how much of a measurement is not measured.
func (j *job) warmUp() time.Duration { return j.Time / 5 }

// ping sends records and waits for each to come back.
func (j *job) ping(s sender, r receiver, f *figures) error {
	times := newSamples()
	var u usage
	number := uint64(0)
	trip := func() error {
		number++
		if err := s.send(number, ordinary); err != nil {
			return err
		}
		got, _, err := r.receive()
		if err == nil && got != number {
			err = fmt.Errorf("record %d came back as %d", number, got)
		}
		return err
	}
	for until := clock() + j.warmUp(); clock() < until; {
		if err := trip(); err != nil {
			return err
		}
	}
	u.start()
	first := clock()
	for last := first; last < first+j.Time && len(times) < maxSamples; {
		if err := trip(); err != nil {
			return err
		}
		now := clock()
		times.add(now - last)
		last = now
	}
	f.Took = clock() - first
	u.stop(f)
	times.percentiles(f, j.divisor())
	return s.send(number+1, end)
}

// divisor makes one way of a round trip, where that is what is asked for.
func (j *job) divisor() float64 {
	if j.Measure == latency || j.Measure == line {
		return 2
	}
	return 1
}

// pong sends every record back.
func (j *job) pong(s sender, r receiver, f *figures) error {
	var u usage
	for first := true; ; first = false {
		number, tells, err := r.receive()
		if err != nil {
			return err
		}
		if first {
			u.start()
		}
		if tells == end {
			u.stop(f)
			return nil
		}
		if err := s.send(number, ordinary); err != nil {
			return err
		}
	}
}

// pour sends records as fast as it can.
func (j *job) pour(s sender, _ receiver, f *figures) error {
	const look = 64 << 10 // bytes between two looks at the clock
	n := max(look/j.Size/j.Batch, 1) * j.Batch
	number := uint64(0)
	flow := func(d time.Duration) error {
		for until := clock() + d; clock() < until; number += uint64(n) {
			if err := s.flow(number, n); err != nil {
				return err
			}
		}
		return nil
	}
	if err := flow(j.warmUp()); err != nil {
		return err
	}
	var u usage
	u.start()
	if err := s.send(number, begin); err != nil {
		return err
	}
	if err := flow(j.Time); err != nil {
		return err
	}
	u.stop(f)
	return s.send(number, end)
}

// drain receives a stream, and times it between the two records that ask for it.
func (j *job) drain(_ sender, r receiver, f *figures) error {
	var u usage
	var first time.Duration
	var before uint64
	return r.drain(func(tells uint64) bool {
		if tells == begin {
			u.start()
			first, before = clock(), r.received().Records
			return false
		}
		f.Took, f.Count = clock()-first, r.received().Records-before
		f.Rate = float64(f.Count) / max(f.Took, 1).Seconds()
		u.stop(f)
		return true
	})
}

// usage is what this process uses between two moments.
type usage struct{ before unix.Rusage }

func (u *usage) start() { _ = unix.Getrusage(unix.RUSAGE_SELF, &u.before) }

func (u *usage) stop(f *figures) {
	var now unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &now) != nil {
		return
	}
	spent := func(r *unix.Rusage) int64 { return r.Utime.Nano() + r.Stime.Nano() }
	f.CPU = time.Duration(spent(&now) - spent(&u.before))
	f.Switches = uint64(now.Nvcsw - u.before.Nvcsw)
}
