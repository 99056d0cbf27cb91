//go:build linux && (amd64 || arm64)

package role

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// epoch is when this process began: the monotonic clock is cheaper to read than both.
var epoch = time.Now()

func clock() time.Duration { return time.Since(epoch) }

// machineClock is a time that all processes agree on.
func machineClock() int64 {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}

// clockCost is what it costs to look at the clock: the least of many, which was not
// interrupted.
func clockCost() time.Duration {
	least := time.Duration(1 << 62)
	for range 64 {
		begin := clock()
		for range 63 {
			clock()
		}
		least = min(least, (clock()-begin)/64)
	}
	return least
}

// samples are times, in memory that is in place from the start.
type samples struct {
	cost  time.Duration
	times []uint32
}

// maxSamples is when a measurement ends, if not by time.
const maxSamples = 1 << 20

func newSamples() *samples {
	s := &samples{clockCost(), make([]uint32, maxSamples)}
	for i := range s.times {
		s.times[i] = 1
	}
	s.times = s.times[:0]
	return s
}

func (s *samples) full() bool { return len(s.times) == maxSamples }

// add notes a time, from which the cost of looking at the clock is taken off. divisor
// is how many things it was for.
func (s *samples) add(d time.Duration, divisor int) {
	if !s.full() {
		s.times = append(s.times, uint32(min(max(int64(d-s.cost)/int64(divisor), 0), 1<<32-1)))
	}
}

// percentiles writes down what people ask for.
func (s *samples) percentiles(f *Figures) {
	if len(s.times) == 0 {
		return
	}
	slices.Sort(s.times)
	at := func(thousandth int) float64 {
		return float64(s.times[min(len(s.times)*thousandth/1000, len(s.times)-1)])
	}
	f.P50, f.P99, f.P999, f.Max = at(500), at(990), at(999), at(1000)
	f.Count = uint64(len(s.times))
}

// mean is that of all times: what is rare and long is in it.
func (s *samples) mean() float64 {
	total := uint64(0)
	for _, t := range s.times {
		total += uint64(t)
	}
	return float64(total) / float64(max(len(s.times), 1))
}

// usage is what this process uses between two moments.
type usage struct {
	before unix.Rusage
	from   time.Duration
}

func (u *usage) start() {
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u.before)
	u.from = clock()
}

func (u *usage) stop(f *Figures) {
	var now unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &now) != nil {
		return
	}
	spent := func(r *unix.Rusage) int64 { return r.Utime.Nano() + r.Stime.Nano() }
	f.CPU = spent(&now) - spent(&u.before)
	f.Switches = now.Nvcsw - u.before.Nvcsw
	if f.Took == 0 {
		f.Took = int64(clock() - u.from)
	}
}
