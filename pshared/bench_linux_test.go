package pshared_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// The benchmarks run the C library's primitives (testdata/rival.c) beside ours, in
// turns, and report the medians of both and the median of the ratios of pairs: a
// machine that is busy for a while is so for both.

// rival compiles the C program and returns how to run it.
func rival(b *testing.B) func(what string, n int) []float64 {
	b.Helper()
	program := filepath.Join(b.TempDir(), "rival")
	if out, err := exec.Command("cc", "-O2", "-pthread", "-o", program, "testdata/rival.c").CombinedOutput(); err != nil {
		b.Fatalf("cc (make setup installs it): %v\n%s", err, out)
	}
	return func(what string, n int) []float64 {
		b.Helper()
		out, err := exec.Command(program, what, strconv.Itoa(n)).Output()
		if err != nil {
			b.Fatal(err)
		}
		numbers := make([]float64, 2)
		fmt.Sscan(string(out), &numbers[0], &numbers[1])
		if numbers[0] <= 0 {
			b.Fatalf("rival %s: %q", what, out)
		}
		return numbers
	}
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// beside measures both, in turns, and reports nanoseconds an operation of each.
func beside(b *testing.B, theirs, ours func() float64) {
	b.Helper()
	var t, o, ratios []float64
	theirs() // warm, both
	ours()
	for b.Loop() {
		x, y := theirs(), ours()
		t, o, ratios = append(t, x), append(o, y), append(ratios, y/x)
	}
	b.ReportMetric(0, "ns/op") // of a pair of runs: of no interest
	b.ReportMetric(median(t), "C-ns")
	b.ReportMetric(median(o), "shoal-ns")
	b.ReportMetric(median(ratios), "ratio")
}

// perOp runs f and returns nanoseconds for each of n operations.
func perOp(n int, f func()) float64 {
	begin := time.Now()
	f()
	return float64(time.Since(begin).Nanoseconds()) / float64(n)
}

const alone = 1_000_000 // operations in a run without contention

// Lock and Unlock of a mutex that nobody else wants. The bar: ratio 1.5.
func BenchmarkMutex(b *testing.B) {
	c := rival(b)
	mu := mutexes(b, 1)[0]
	beside(b, func() float64 { return c("mutex", alone)[0] }, func() float64 {
		return perOp(alone, func() {
			for range alone {
				if mu.Lock() != nil || mu.Unlock() != nil {
					b.Fatal("lock")
				}
			}
		})
	})
}

// RLock and RUnlock, which the C library has not got in robust.
func BenchmarkRWMutex(b *testing.B) {
	rw := rwmutexes(b, 1)[0]
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			rw.RLock()
			rw.RUnlock()
		}
	})
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			rw.Lock()
			rw.Unlock()
		}
	})
}

// Release and Acquire of a semaphore that nobody else wants.
func BenchmarkSemaphore(b *testing.B) {
	c := rival(b)
	for _, undo := range []bool{false, true} {
		b.Run(map[bool]string{false: "plain", true: "undo"}[undo], func(b *testing.B) {
			s := semaphores(b, 1, pshared.SemaphoreConfig{Value: 1, Undo: undo})[0]
			beside(b, func() float64 { return c("sem", alone)[0] }, func() float64 {
				return perOp(alone, func() {
					for range alone {
						if s.Acquire() != nil || s.Release() != nil {
							b.Fatal("acquire")
						}
					}
				})
			})
		})
	}
}

// Set and Wait of a bell that nobody else hears.
func BenchmarkEvent(b *testing.B) {
	e := events(b, 1, pshared.AutoReset)[0]
	for b.Loop() {
		e.Set()
		e.Wait()
	}
}

// work is a chain of n dependent multiplications: rival.c has the same.
func work(x uint64, n int) uint64 {
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

var sink uint64

// arena is where two processes compete: words in a segment.
type arena struct {
	counter, last, handed *uint64
	ready, start          *mem.Uint32
}

const arenaSize = 4096

func newArena(seg *shm.Segment) (a arena, err error) {
	for offset, p := range map[int]**uint64{0: &a.counter, 8: &a.last, 16: &a.handed} {
		if *p, err = mem.At[uint64](seg.Bytes(), offset); err != nil {
			return a, err
		}
	}
	if a.ready, err = mem.At[mem.Uint32](seg.Bytes(), 128); err != nil {
		return a, err
	}
	a.start, err = mem.At[mem.Uint32](seg.Bytes(), 256)
	return a, err
}

func (a arena) compete(mu *pshared.Mutex, me uint64, n int) {
	x := me
	for range n {
		rerun.Check(mu.Lock())
		*a.counter++
		if *a.last != me {
			*a.last = me
			*a.handed++
		}
		x = work(x, 8)
		rerun.Check(mu.Unlock())
		x = work(x, 64)
	}
	sink = x
}

func init() {
	// compete: the other process of BenchmarkMutexContended, run after run.
	roles["compete"] = func([]string) {
		seg, err := shm.Open("/arena", nil)
		rerun.Check(err)
		a, err := newArena(seg)
		rerun.Check(err)
		mu, err := pshared.OpenMutex("mutex")
		rerun.Check(err)
		for run := uint32(1); ; run++ {
			rerun.Say("ready")
			n, err := strconv.Atoi(rerun.Hear())
			rerun.Check(err)
			a.ready.Store(2*run - 1)
			for a.start.Load() != run {
			}
			a.compete(mu, 2, n)
			a.ready.Store(2 * run)
		}
	}
	// pingpong: the other process of BenchmarkHandOver.
	roles["pingpong"] = func(args []string) {
		play, _, err := player(args[0], 1)
		rerun.Check(err)
		rerun.Say("ready")
		for {
			n, err := strconv.Atoi(rerun.Hear())
			rerun.Check(err)
			play(n)
		}
	}
}

// Two processes want the same mutex all the time: each locks it, works for about
// 10 ns, unlocks it, and works for about 80 ns. Reported is the time for each of
// all the locks (ratio), how often the mutex went from one process to the other
// (handed), and the time for each time that it did (handover-ratio). The fewer
// times it does, the faster the locks look: a process that runs on alone while the
// other sleeps pays next to nothing. The bar: handover-ratio 1.25.
func BenchmarkMutexContended(b *testing.B) {
	const n = 200_000
	c := rival(b)
	seg := got(shm.Create("/arena", arenaSize, nil))(b)
	defer shm.Remove("/arena")
	defer seg.Close()
	a := got(newArena(seg))(b)
	mu := mutexes(b, 1)[0]
	other := rerun.Start(b, "compete")
	run, handed, each := uint32(0), [2][]float64{}, [2][]float64{}
	beside(b, func() float64 {
		r := c("compete", n)
		handed[0], each[0] = append(handed[0], r[1]), append(each[0], r[0]/r[1])
		return r[0]
	}, func() float64 {
		run++
		other.Expect("ready")
		other.Say(n)
		for a.ready.Load() != 2*run-1 {
		}
		before := *a.handed
		t := perOp(2*n, func() {
			a.start.Store(run)
			a.compete(mu, 1, n)
			for a.ready.Load() != 2*run {
			}
		})
		h := float64(*a.handed-before) / (2 * n)
		handed[1], each[1] = append(handed[1], h), append(each[1], t/h)
		return t
	})
	if *a.counter != uint64(run)*2*n {
		b.Errorf("counted %d; want %d", *a.counter, uint64(run)*2*n)
	}
	b.ReportMetric(median(handed[0]), "C-handed")
	b.ReportMetric(median(handed[1]), "shoal-handed")
	b.ReportMetric(median(each[0]), "C-handover-ns")
	b.ReportMetric(median(each[1]), "shoal-handover-ns")
	b.ReportMetric(median(each[1])/median(each[0]), "handover-ratio")
}

// player returns what one side of a hand-over does n times: take here, give there.
func player(kind string, side int) (play func(n int), end func(), err error) {
	names := []string{"ping", "pong"}
	var opened [2]object
	var take, give func() error
	switch kind {
	case "semaphore":
		var s [2]*pshared.Semaphore
		for i, name := range names {
			if s[i], err = pshared.OpenSemaphore(name, pshared.SemaphoreConfig{}); err != nil {
				return nil, nil, err
			}
			opened[i] = s[i]
		}
		take, give = s[1-side].Acquire, s[side].Release
	case "event":
		var e [2]*pshared.Event
		for i, name := range names {
			if e[i], err = pshared.OpenEvent(name, pshared.AutoReset); err != nil {
				return nil, nil, err
			}
			opened[i] = e[i]
		}
		take, give = e[1-side].Wait, func() error { e[side].Set(); return nil }
	}
	return func(n int) {
		if side == 0 {
			rerun.Check(give())
		}
		for i := range n {
			rerun.Check(take())
			if side == 1 || i < n-1 {
				rerun.Check(give())
			}
		}
	}, func() { opened[0].Close(); opened[1].Close() }, nil
}

// Two processes wake each other in turns: a semaphore, or a bell, beside sem_t.
// sem_t does not spin, so this is mostly a matter of spinning or sleeping.
func BenchmarkHandOver(b *testing.B) {
	const n = 5_000
	c := rival(b)
	for _, kind := range []string{"semaphore", "event"} {
		b.Run(kind, func(b *testing.B) {
			defer pshared.Remove("ping")
			defer pshared.Remove("pong")
			play, end, err := player(kind, 0)
			must(b, err)
			defer end()
			other := rerun.Start(b, "pingpong", kind)
			other.Expect("ready")
			beside(b, func() float64 { return c("pingpong", n)[0] }, func() float64 {
				other.Say(n)
				return perOp(2*n, func() { play(n) })
			})
		})
	}
}
