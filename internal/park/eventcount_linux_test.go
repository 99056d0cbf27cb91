//go:build linux && (amd64 || arm64)

package park

import (
	"context"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// The words of a shared counter that several processes fill and empty.
const (
	made  = 0  // published
	taken = 32 // taken
	wakes = 64 // the event count
	spare = 96 // lost wake-ups
)

// consume takes items until all of them are taken.
func consume(words []mem.Uint32, total uint32) {
	e := (*EventCount)(&words[wakes])
	var s Spinner
	var last uint32
	take := func() bool {
		for {
			last = words[taken].Load()
			if last == total {
				return true
			}
			if last == words[made].Load() {
				return false
			}
			if words[taken].CompareAndSwap(last, last+1) {
				return true
			}
		}
	}
	for last != total {
		if last%2 == 0 && s.Spin(take) { // half of the time sleep at once
			continue
		}
		lost, err := e.Await(background, take)
		if err != nil {
			panic(err)
		}
		if lost {
			words[spare].Add(1)
		}
	}
	e.Notify() // that all are taken
}

// produce publishes items, one at a time or several.
func produce(words []mem.Uint32, total uint32) {
	e := (*EventCount)(&words[wakes])
	for i := uint32(0); ; i++ {
		v := words[made].Load()
		if v == total {
			return
		}
		// Not far ahead, so that there is waiting.
		if int32(v-words[taken].Load()) > int32(i%8) {
			i--
			continue
		}
		if words[made].CompareAndSwap(v, v+1) {
			e.Notify()
		}
	}
}

func init() {
	roles["consumer"] = func(words []mem.Uint32) {
		total, _ := strconv.Atoi(os.Getenv("TOTAL"))
		if os.Getenv("NODIRECT") != "" {
			for range directSleepers {
				acquire()
			}
		}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { consume(words, uint32(total)) })
		}
		wg.Wait()
	}
	roles["producer"] = func(words []mem.Uint32) {
		total, _ := strconv.Atoi(os.Getenv("TOTAL"))
		produce(words, uint32(total))
	}
}

// Two producers and three consumers with three goroutines each, in processes of
// their own. Nothing sleeps for ever, and no wake-up is lost.
func TestEventCount(t *testing.T) {
	total := 100_000
	if testing.Short() {
		total = 10_000
	}
	for _, env := range []string{"", "NODIRECT=1"} {
		t.Run(env, func(t *testing.T) {
			f, words := memory(t)
			var all []*exec.Cmd
			for _, who := range []string{"consumer", "consumer", "consumer", "producer", "producer"} {
				cmd, _ := process(t, who, f, "TOTAL="+strconv.Itoa(total), env)
				all = append(all, cmd)
			}
			within(t, 2*time.Minute, func() {
				for _, cmd := range all {
					if err := cmd.Wait(); err != nil {
						t.Error(err)
					}
				}
			})
			if n := words[taken].Load(); n != uint32(total) {
				t.Errorf("%d taken; want %d", n, total)
			}
			if n := words[spare].Load(); n != 0 {
				t.Errorf("%d wake-ups lost", n)
			}
		})
	}
}

// The same within one process, where the race detector looks on.
func TestEventCountGoroutines(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		const total = 20_000
		words := make([]mem.Uint32, 128)
		within(t, time.Minute, func() {
			var wg sync.WaitGroup
			for range 5 {
				wg.Go(func() { consume(words, total) })
			}
			produce(words, total)
			wg.Wait()
		})
		if n := words[spare].Load(); n != 0 {
			t.Errorf("%d wake-ups lost", n)
		}
	})
}

// The bits of the word, step by step.
func TestEventCountWord(t *testing.T) {
	var e EventCount
	want := func(sequence, bit uint32) {
		t.Helper()
		if v := e.word().Load(); v != sequence<<1|bit {
			t.Errorf("sequence %d, bit %d; want %d, %d", v>>1, v&1, sequence, bit)
		}
	}
	e.Notify()
	want(0, 0)
	looks := 0
	ready := func() bool {
		if looks++; looks == 1 {
			want(0, 0)
			return false
		}
		want(0, 1) // looked again, after the bit
		return true
	}
	if lost, err := e.Await(background, ready); lost || err != nil || looks != 2 {
		t.Errorf("%v, %v after %d looks; want 2", lost, err, looks)
	}
	want(0, 1)
	e.Notify()
	want(1, 0)
	e.Notify()
	want(1, 0)
	e.NotifyAll()
	want(2, 0)
	e.word().Store(1<<32 - 1)
	e.Notify()
	want(0, 0)
}

// The steps at which a waker may die: after it has published, and after it has
// moved the number.
func TestEventCountWakerDies(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		for _, moved := range []bool{false, true} {
			lostAtLast(t, func() (lost bool, err error) {
				var e EventCount
				var published atomic.Bool
				nobodyAsleep(t)
				go func() {
					for threadsAsleep(t) == 0 || sleeping() == 0 {
						time.Sleep(time.Millisecond)
					}
					published.Store(true)
					if moved {
						v := e.word().Load()
						e.word().CompareAndSwap(v, v+1)
					}
				}()
				begin := time.Now()
				// One who has no thread is found by the poller, as if woken.
				within(t, 20*time.Second, func() { lost, err = e.Await(background, published.Load) })
				t.Logf("moved %v: after %v", moved, time.Since(begin))
				return lost, err
			})
		}
		// And the survivor who repairs wakes them at once.
		var e EventCount
		var published, told atomic.Bool
		var wg sync.WaitGroup
		wg.Go(func() {
			e.Await(background, func() bool { return told.Load() })
		})
		eventually(t, "a sleeper", func() bool { return sleeping() == 1 })
		v := e.word().Load()
		published.Store(true)
		e.word().CompareAndSwap(v, v+1)
		told.Store(true)
		e.NotifyAll()
		within(t, 20*time.Second, wg.Wait)
	})
}

func TestAwaitContext(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		var e EventCount
		ctx, cancel := context.WithCancel(background)
		time.AfterFunc(2*time.Millisecond, cancel)
		if _, err := e.Await(ctx, func() bool { return false }); err != context.Canceled {
			t.Errorf("%v; want %v", err, context.Canceled)
		}
		// What is there already is taken, context or not.
		if _, err := e.Await(ctx, func() bool { return true }); err != nil {
			t.Error(err)
		}
		// A deadline beyond several looks.
		timed, stop := context.WithTimeout(background, 5*doze/2)
		defer stop()
		if _, err := e.Await(timed, func() bool { return false }); err != context.DeadlineExceeded {
			t.Errorf("%v; want %v", err, context.DeadlineExceeded)
		}
	})
}

// Notify is inlined into its callers, and nobody who waits allocates for looking.
func TestCosts(t *testing.T) {
	var e EventCount
	n := 0
	if a := testing.AllocsPerRun(100, func() {
		e.Await(background, func() bool { n++; return n%2 == 0 })
		e.Notify()
	}); a != 0 {
		t.Errorf("Await and Notify: %v allocations", a)
	}
	out, err := exec.Command("go", "build", "-gcflags=-m", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	for _, want := range []string{"can inline (*EventCount).Notify"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the compiler does not say %q", want)
		}
	}
}

func BenchmarkNotify(b *testing.B) {
	var e EventCount
	for b.Loop() {
		e.Notify()
	}
}
