//go:build linux && (amd64 || arm64)

package park

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Bounds of a Spinner's patience. Sleeping and being woken costs 5 to 15 µs (a
// futex round trip, measured). Who spins as long as that before he sleeps loses at
// most as much again against who knows the future (the ski-rental argument), so
// maxSpin is about that; where spinning has not paid, minSpin is still some
// cache-line round trips (0.3-0.5 µs each) long: enough to notice that the other
// side has become fast.
const (
	maxSpin   = 20 * time.Microsecond
	firstSpin = 8 * time.Microsecond
	minSpin   = time.Microsecond
)

// probeEvery is how many spins of minSpin there are for one of maxSpin: on average
// that costs another minSpin.
const probeEvery = 16

// Bursts of pause instructions between two looks. They start short, for latency, but
// not too short: a look takes the cache line away from a writer who is just filling
// it (a round trip between two processes took 670 ns with 30 ns, 590 with 80). Then
// they grow: who waits so long is in no hurry. A burst is no preemption point, so it
// must stay short.
const (
	firstBurst = 80 * time.Nanosecond
	maxBurst   = 1500 * time.Nanosecond
)

// Spinner decides how long to look before going to sleep. It learns: the time
// grows when spinning succeeds and shrinks when it was in vain. Each handle that
// somebody waits at has one; the zero value is ready for use. Goroutines that use
// one at the same time learn together: what one has learned another may overwrite.
//
// No Spinner spins on a machine, or in a process, with one usable processor, and
// no more of them at once than there are processors but one.
type Spinner struct {
	budget atomic.Int64  // nanoseconds; 0: not used so far
	vain   atomic.Uint32 // spins that began with the least budget
}

// Spin calls ready until it says true, or the time that is worth spending has
// passed, and returns what it said last. ready is called at least once and must
// not block.
func (s *Spinner) Spin(ready func() bool) bool {
	return ready() || s.spin(ready) != 0
}

// quickLooks is how many looks there are in short bursts, before they grow and before
// the first look at the clock, which costs as much as a burst: together about a round
// trip of a cache line.
const quickLooks = 8

// spin returns how many looks it took, or 0 if they were in vain.
func (s *Spinner) spin(ready func() bool) (looks int) {
	processors.Do(measure)
	now := time.Since(start)
	others := spinners(now)
	if others == 0 {
		return 0
	}
	if spinning.Add(1) > others {
		spinning.Add(-1)
		return 0
	}
	defer spinning.Add(-1)
	budget := s.patience()
	// Two who wait for each other, each asleep when the other answers, are slow
	// because they sleep, and would learn that spinning does not pay. So now and
	// then it is tried in full.
	probe := budget == minSpin && s.vain.Add(1)%probeEvery == 0
	if probe {
		budget = maxSpin
	}
	end := now + budget
	for burst := firstBurst; ; {
		pauseFor(burst)
		looks++
		if ready() {
			if budget < maxSpin || probe {
				s.budget.Store(int64(min(budget+budget/4, maxSpin)))
			}
			return looks
		}
		if looks < quickLooks {
			continue
		}
		burst = min(burst+burst/2, maxBurst)
		if time.Since(start) >= end {
			if probe {
				budget = minSpin
			}
			s.budget.Store(int64(max(budget/2, minSpin)))
			return 0
		}
	}
}

func pauseFor(d time.Duration) { pause(max(1, uint32(int64(d)*pauseRate>>16))) }

// patience returns how long to spin next time.
func (s *Spinner) patience() time.Duration {
	if d := time.Duration(s.budget.Load()); d != 0 {
		return d
	}
	return firstSpin
}

var (
	processors sync.Once
	pauseRate  int64        // pause instructions a nanosecond, times 2^16
	spinning   atomic.Int32 // goroutines that spin
	mayspin    atomic.Int32 // how many may: usable processors but one
	lookedAt   atomic.Int64 // when mayspin was found out, since start
)

// spinners returns how many goroutines may spin at once. What it depends on can
// change, so it is asked for again every second.
func spinners(now time.Duration) int32 {
	if at := lookedAt.Load(); now-time.Duration(at) > time.Second && lookedAt.CompareAndSwap(at, int64(now)) {
		mayspin.Store(int32(usable() - 1))
	}
	return mayspin.Load()
}

// usable returns how many processors this process may use at once.
func usable() int {
	n := runtime.GOMAXPROCS(0)
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) == nil {
		n = min(n, set.Count())
	}
	return n
}

// measure finds out how long a pause instruction takes here: 3 to 75 ns. The
// shortest of a few runs is the one that was not interrupted.
func measure() {
	const pauses = 256
	best := time.Duration(1<<63 - 1)
	for range 8 {
		t := time.Now()
		pause(pauses)
		best = min(best, time.Since(t))
	}
	pauseRate = pauses << 16 / max(1, int64(best))
	lookedAt.Store(int64(time.Since(start)))
	mayspin.Store(int32(usable() - 1))
}

// pause executes n pause instructions, PAUSE or YIELD, which tell the processor
// that a loop waits for memory. The loop is in assembly: a call costs more than
// the instruction, and the compiler knows neither.
// Preconditions: n is not 0.
//
//go:noescape
func pause(n uint32)
