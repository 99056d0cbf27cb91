//go:build linux && (amd64 || arm64)

package role

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/pprof"
	"time"
)

// ProfileVariable is an environment variable: if it is set, processes write CPU
// profiles to files that begin with its value.
const ProfileVariable = "SHOAL_BENCH_PROFILE"

// sender sends records.
type sender interface {
	// send sends one record.
	send(number, tells uint64) error
	// flow sends n ordinary records, numbered from first on, one by one or in batches,
	// as the job says.
	flow(first uint64, n int) error
	sent() Tally
}

// receiver receives records.
type receiver interface {
	// receive returns the next record.
	receive() (number, tells uint64, err error)
	// drain receives records, and calls f at least once for every so many of them, and
	// with those that are not ordinary, until f returns true.
	drain(every int, f func(tells uint64) (last bool)) error
	received() Tally
}

// ends are what a process has opened.
type ends struct {
	sender
	receiver
	// begin, if not nil, does what can be done only when all processes are ready.
	begin func() error
	// cleanUp, if not nil, is called in the end.
	cleanUp func()
}

// A participant is something that can be measured.
type participant struct {
	open func(*Job) (*ends, error)
	// other measures, by their names: each prepares, and returns the rest.
	// The names are MEASURE/SIDE, or SIDE for one that is the same in all measures.
	other map[string]func(*Job) (func(*Outcome) error, error)
}

// participants are all of them, by name.
var participants = map[string]participant{}

// stdin tells a process when to begin, and, by its end, when it is not needed any more.
var stdin = bufio.NewReader(os.Stdin)

// serve is for processes that are there for others.
func serve(*Outcome) error {
	for {
		if _, err := stdin.ReadString('\n'); err != nil {
			return nil
		}
	}
}

// serveMeasured is for servers: it counts what they use, from the first record on or before.
func serveMeasured(o *Outcome) error {
	var u usage
	u.start()
	err := serve(o)
	u.stop(&o.Figures)
	return err
}

// Play plays the role that the arguments of this process tell.
func Play(args []string) error {
	j, err := ParseJob(args)
	if err != nil {
		return err
	}
	p, ok := participants[j.Participant]
	if !ok {
		return fmt.Errorf("participant %q: there is none of that name", j.Participant)
	}
	var act func(*Outcome) error
	prepare := p.other[j.Measure+"/"+j.Side]
	if prepare == nil {
		prepare = p.other[j.Side]
	}
	if prepare != nil {
		if act, err = prepare(&j); err != nil {
			return err
		}
	} else {
		if p.open == nil {
			return fmt.Errorf("participant %q: it has no %s", j.Participant, j.Measure)
		}
		e, err := p.open(&j)
		if err != nil {
			return err
		}
		if act, err = j.work(e); err != nil {
			return err
		}
	}
	fmt.Println("ready " + j.Server)
	if line, err := stdin.ReadString('\n'); err != nil {
		return fmt.Errorf("%q: %w", line, err)
	}
	if prefix := os.Getenv(ProfileVariable); prefix != "" {
		f, err := os.Create(fmt.Sprintf("%s%s-%s-%d-%s%d", prefix, j.Participant, j.Measure, j.Size, j.Side, j.Number))
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	o := &Outcome{}
	if err := act(o); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(o)
}

// work returns what there is to do when all are ready.
func (j *Job) work(e *ends) (act func(*Outcome) error, err error) {
	var do func(*ends, *Outcome) error
	switch {
	case j.Measure == Hold:
		do = func(_ *ends, o *Outcome) error { return serve(o) }
	case j.Measure == Ping && j.Side == Near:
		do = j.ping
	case j.Measure == Ping:
		do = j.pong
	case j.Measure == Stream && j.Side == Near:
		do = j.pour
	case j.Measure == Stream:
		do = j.drain
	case j.Measure == Publish && j.Side == Near:
		do = j.publish
	case j.Measure == Publish:
		do = func(_ *ends, o *Outcome) error { return serve(o) }
	default:
		return nil, fmt.Errorf("%s of the %s side: there is none", j.Measure, j.Side)
	}
	return func(o *Outcome) error {
		if e.begin != nil {
			if err := e.begin(); err != nil {
				return err
			}
		}
		err := do(e, o)
		if e.sender != nil {
			o.Sent = e.sent()
		}
		if e.receiver != nil {
			o.Received = e.received()
		}
		if e.cleanUp != nil {
			e.cleanUp()
		}
		return err
	}, nil
}

// warmUp is how long is not measured in the beginning.
func (j *Job) warmUp() time.Duration { return j.Time / 5 }

// warm reports whether enough has been done before what is measured: for a time, and
// until the transport has been gone round twice, so that its memory is in place. Who is
// too slow for that gets twice the time of the measurement.
func (j *Job) warm(now, begin time.Duration, records uint64) bool {
	return now > begin+j.warmUp() &&
		(j.Count > 1 || records*uint64(j.Size) >= 2*uint64(j.Area) || now > begin+2*j.Time)
}

// ping sends records and waits for each to come back.
func (j *Job) ping(e *ends, o *Outcome) error {
	times := newSamples()
	var u usage
	number := uint64(0)
	begin := clock()
	end := begin + forEver
	for last := begin; last < end && !times.full(); {
		if j.Wait == Cold {
			time.Sleep(time.Millisecond)
			last = clock()
		}
		number++
		if err := e.send(number, Ordinary); err != nil {
			return err
		}
		got, _, err := e.receive()
		if err != nil {
			return err
		}
		if got != number {
			return fmt.Errorf("record %d came back as %d", number, got)
		}
		now := clock()
		if end-begin != forEver {
			times.add(now-last, 1)
		} else if j.warm(now, begin, number) || j.Wait == Cold {
			end = now + j.Time
			u.start()
		}
		last = now
	}
	u.stop(&o.Figures)
	if err := e.send(number+1, End); err != nil {
		return err
	}
	times.percentiles(&o.Figures)
	return nil
}

// pong sends every record back.
func (j *Job) pong(e *ends, o *Outcome) error {
	var u usage
	for first := true; ; first = false {
		number, tells, err := e.receive()
		if err != nil {
			return err
		}
		if first {
			u.start()
		}
		if tells == End {
			u.stop(&o.Figures)
			return nil
		}
		if err := e.send(number, Ordinary); err != nil {
			return err
		}
	}
}

// forEver is a time that has not been settled yet.
const forEver = time.Duration(1 << 62)

// look is how many records are sent or received between two looks at the clock.
func (j *Job) look() int { return max(64<<10/j.Size/j.Batch/max(j.Count, 1), 1) * j.Batch }

// pour sends records as fast as it can, a little longer than the other side measures.
func (j *Job) pour(e *ends, o *Outcome) error {
	var u usage
	n := j.look()
	number, before := uint64(0), uint64(0)
	begin := clock()
	end := begin + forEver
	for now := begin; now < end; now = clock() {
		if end-begin == forEver && j.warm(now, begin, number) {
			end, before = now+j.Time+j.Time/10, number
			u.start()
		}
		if err := e.flow(number, n); err != nil {
			return err
		}
		number += uint64(n)
	}
	u.stop(&o.Figures)
	o.Count = number - before
	return e.send(number, End)
}

// drain receives a stream, and times the middle of it.
func (j *Job) drain(e *ends, o *Outcome) error {
	var u usage
	var first time.Duration
	var before uint64
	done, missing := false, j.Ends
	begin := clock()
	measured := func(now time.Duration) {
		done = true
		o.Count, o.Took = e.received().Records-before, int64(now-first)
		u.stop(&o.Figures)
	}
	err := e.drain(j.look(), func(tells uint64) bool {
		if tells == End {
			missing--
			return missing == 0
		}
		if done {
			return false
		}
		switch now := clock(); {
		case first == 0 && j.warm(now, begin, e.received().Records/uint64(max(j.Count, 1))):
			first, before = now, e.received().Records
			u.start()
		case first != 0 && now > first+j.Time:
			measured(now)
		}
		return false
	})
	if first != 0 && !done {
		measured(clock())
	}
	return err
}

// publish times bursts of records that nobody reads, until the transport is as full as
// it may get, or time is over.
func (j *Job) publish(e *ends, o *Outcome) error {
	const burst = 64
	times := newSamples()
	var u usage
	u.start()
	end := clock() + j.Time
	number := uint64(0)
	for most := uint64(j.Area / j.Size * 3 / 4); number+burst < most && clock() < end; number += burst {
		begin := clock()
		if err := e.flow(number, burst); err != nil {
			return err
		}
		times.add(clock()-begin, burst)
	}
	u.stop(&o.Figures)
	times.percentiles(&o.Figures)
	o.Other = map[string]float64{"mean": times.mean()}
	return nil
}
