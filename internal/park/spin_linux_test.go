//go:build linux && (amd64 || arm64)

package park

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
)

func TestSpinner(t *testing.T) {
	if usable() < 2 {
		t.Skip("one processor: nobody spins")
	}
	forgetProcessors()
	var s Spinner
	calls := 0
	if !s.Spin(func() bool { calls++; return true }) || calls != 1 || s.budget.Load() != 0 {
		t.Errorf("ready at once: %d looks, budget %v", calls, s.patience())
	}
	// In vain: less and less, and never for long.
	var took []time.Duration
	for range 101 {
		begin := time.Now()
		if s.Spin(func() bool { return false }) {
			t.Fatal("spun until true, which never was")
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	if median := took[50]; median > 4*minSpin {
		t.Errorf("spins in vain take %v; want about %v", median, minSpin)
	}
	if s.patience() != minSpin {
		t.Errorf("budget %v after failures; want %v", s.patience(), minSpin)
	}
	// With success: more again.
	looks := 0
	for tries := 0; s.patience() < maxSpin && tries < 1000; tries++ {
		looks = 0
		before := s.patience()
		// It may give up before the third look if the thread has to wait meanwhile.
		if ok := s.Spin(func() bool { looks++; return looks == 3 }); ok != (s.patience() > before) && s.patience() > minSpin {
			t.Errorf("spun %v: budget from %v to %v", ok, before, s.patience())
		}
	}
	if s.patience() != maxSpin {
		t.Errorf("budget %v after successes; want %v", s.patience(), maxSpin)
	}
	if a := testing.AllocsPerRun(100, func() {
		s.Spin(func() bool { looks++; return looks%4 == 0 })
	}); a != 0 {
		t.Errorf("%v allocations", a)
	}
}

// With one processor nobody spins; with two, one at a time.
func TestSpinnerAlone(t *testing.T) {
	defer forgetProcessors()
	looks := 0
	look := func() bool { looks++; return false }
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	forgetProcessors()
	var s Spinner
	if s.Spin(look); looks != 1 {
		t.Errorf("%d looks with GOMAXPROCS=1; want 1", looks)
	}
	if runtime.GOMAXPROCS(2); usable() < 2 {
		return
	}
	forgetProcessors()
	looks = 0
	if s.Spin(look); looks < 3 {
		t.Errorf("%d looks with two processors; want some", looks)
	}
	var inner Spinner
	nested := 0
	s.Spin(func() bool {
		if looks == 0 {
			return true
		}
		looks = 0
		spinning.Add(int32(usable()) - 2) // all others but us
		before := nested
		inner.Spin(func() bool { nested++; return false })
		spinning.Add(2 - int32(usable()))
		if before == 0 && nested != 1 && spinning.Load() > 0 {
			t.Errorf("%d looks while others spin; want 1", nested)
		}
		return false
	})
}

// forgetProcessors makes the next Spin ask again how many processors there are.
func forgetProcessors() { lookedAt.Store(-int64(time.Hour)) }

func TestPauseRate(t *testing.T) {
	processors.Do(measure)
	each := float64(1<<16) / float64(pauseRate)
	t.Logf("a pause takes %.1f ns", each)
	if each < 0.1 || each > 1000 {
		t.Errorf("a pause takes %.1f ns", each)
	}
}

// BenchmarkSpin is ping-pong between two processes that spin before they sleep.
func BenchmarkSpin(b *testing.B) {
	f, words := memory(b)
	cmd, _ := process(b, "spinner", f, "ROUNDS="+strconv.Itoa(b.N))
	for words[lostB].Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	b.ResetTimer()
	spinPlay(words, 0, b.N)
	b.StopTimer()
	cmd.Wait()
}

func spinPlay(words []mem.Uint32, me uint32, rounds int) {
	e := (*EventCount)(&words[wakes])
	var s Spinner
	ready := func() bool { return words[ball].Load()%2 == me }
	for range rounds {
		if !s.Spin(ready) {
			e.Await(background, ready)
		}
		words[ball].Add(1)
		e.Notify()
	}
}

func init() {
	roles["spinner"] = func(words []mem.Uint32) {
		rounds, _ := strconv.Atoi(os.Getenv("ROUNDS"))
		words[lostB].Store(1)
		spinPlay(words, 1, rounds)
	}
}
