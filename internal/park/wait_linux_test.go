//go:build linux && (amd64 || arm64)

package park

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// everyWay runs a test with direct sleepers, and with the shared waiter on each of
// its backends.
func everyWay(t *testing.T, test func(t *testing.T)) {
	t.Run("direct", func(t *testing.T) {
		if !haveWaitv() {
			t.Skip("with a context, only where there is futex_waitv")
		}
		test(t)
	})
	backends(t, func(t *testing.T) {
		noDirect(t)
		test(t)
	})
}

func sleeping() (n int) {
	for _, l := range []*list{&directList, &shared.list} {
		l.mu.Lock()
		n += len(l.armed)
		l.mu.Unlock()
	}
	return n
}

// 10,000 goroutines wait for 10,000 words: on few threads, at no cost.
func TestManyIdle(t *testing.T) {
	limits := map[kind]int{kindUring: 32, kindWaitv: 128, kindFutex: maxFutexThreads + 32}
	f, _ := memory(t)
	for value, k := range asked {
		t.Run(string(k), func(t *testing.T) {
			if k == kindUring && probeUring() != nil || k == kindWaitv && !haveWaitv() {
				t.Skip("this kernel has none")
			}
			_, out := process(t, "idle", f, variable+"="+value)
			if !out.Scan() {
				t.Fatal("no answer")
			}
			var backend string
			var threads int
			var used time.Duration
			if _, err := fmt.Sscan(out.Text(), &backend, &threads, &used); err != nil {
				t.Fatal(out.Text(), err)
			}
			t.Logf("%s: %d threads, %v of processor time in a second", backend, threads, used)
			if kind(backend) != k {
				t.Errorf("%s; want %s", backend, k)
			}
			if threads >= limits[k] {
				t.Errorf("%d threads; want less than %d", threads, limits[k])
			}
			// The last backend polls what it has no threads for.
			if k != kindFutex && used > 30*time.Millisecond {
				t.Errorf("%v of processor time in an idle second", used)
			}
			if !out.Scan() || out.Text() != "all woken" {
				t.Errorf("%q; want all woken", out.Text())
			}
		})
	}
}

func init() {
	roles["idle"] = func([]mem.Uint32) {
		const n = 10000
		words := make([]mem.Uint32, n*32)
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() {
				for words[i*32].Load() == 0 {
					if _, err := Wait(background, &words[i*32], 0); err != nil {
						panic(err)
					}
				}
			})
		}
		for sleeping() < n {
			time.Sleep(time.Millisecond)
		}
		runtime.GC()
		time.Sleep(100 * time.Millisecond) // let the collector and the start-up settle
		before := cpuTime()
		time.Sleep(time.Second)
		used := cpuTime() - before
		name, _ := Backend()
		fmt.Println(name, threads(), used.Nanoseconds())
		for i := range n {
			words[i*32].Store(1)
			WakeAll(&words[i*32])
		}
		wg.Wait()
		fmt.Println("all woken")
	}
}

func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func threads() int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		panic(err)
	}
	return len(tasks)
}

// Words of a ball that two processes play: whose turn it is, and how often a
// wake-up was lost.
const (
	ball  = 0
	lostA = 32
	lostB = 64
)

// play returns the ball rounds times, as player me of 0 and 1.
func play(words []mem.Uint32, me uint32, rounds int, lost *mem.Uint32) {
	w := &words[ball]
	for range rounds {
		for {
			v := w.Load()
			if v%2 == me {
				break
			}
			l, err := Wait(background, w, v)
			if err != nil {
				panic(err)
			}
			if l {
				lost.Add(1)
			}
		}
		w.Add(1)
		Wake(w, 1)
	}
}

func TestPingPong(t *testing.T) {
	rounds := 100_000
	if testing.Short() {
		rounds = 10_000
	}
	f, words := memory(t)
	cmd, _ := process(t, "player", f, "ROUNDS="+strconv.Itoa(rounds))
	begin := time.Now()
	within(t, 2*time.Minute, func() { play(words, 0, rounds, &words[lostA]) })
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	t.Logf("%v a round", time.Since(begin)/time.Duration(rounds))
	if got := words[ball].Load(); got != uint32(2*rounds) {
		t.Errorf("%d strokes; want %d", got, 2*rounds)
	}
	if a, b := words[lostA].Load(), words[lostB].Load(); a+b != 0 {
		t.Errorf("%d+%d wake-ups lost", a, b)
	}
}

func TestPingPongShared(t *testing.T) {
	backends(t, func(t *testing.T) {
		const rounds = 3000
		noDirect(t)
		f, words := memory(t)
		var value string
		for v, k := range asked {
			if k == chosen() {
				value = v
			}
		}
		cmd, _ := process(t, "player", f, "ROUNDS="+strconv.Itoa(rounds), "NODIRECT=1", variable+"="+value)
		begin := time.Now()
		within(t, time.Minute, func() { play(words, 0, rounds, &words[lostA]) })
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		t.Logf("%v a round", time.Since(begin)/rounds)
		if a, b := words[lostA].Load(), words[lostB].Load(); a+b != 0 {
			t.Errorf("%d+%d wake-ups lost", a, b)
		}
	})
}

func init() {
	roles["player"] = func(words []mem.Uint32) {
		rounds, err := strconv.Atoi(os.Getenv("ROUNDS"))
		if err != nil {
			panic(err)
		}
		if os.Getenv("NODIRECT") != "" {
			for range directSleepers {
				acquire()
			}
		}
		play(words, 1, rounds, &words[lostB])
	}
}

// Consumers with contexts that end at any moment take tokens; each token wakes one.
// A wake-up that ends with one who has just given up would leave the others asleep.
func TestCancelStorm(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		const tokens = 3000
		var available, lost mem.Uint32
		var taken atomic.Int64
		take := func() bool {
			for {
				v := available.Load()
				if v == 0 {
					return false
				}
				if available.CompareAndSwap(v, v-1) {
					taken.Add(1)
					return true
				}
			}
		}
		count := func(l bool) {
			if l {
				lost.Add(1)
			}
		}
		done, finish := context.WithCancel(background)
		defer finish()
		var wg sync.WaitGroup
		for range 2 { // who has time
			wg.Go(func() {
				for {
					for take() {
					}
					l, err := Wait(done, &available, 0)
					count(l)
					if err != nil {
						return
					}
				}
			})
		}
		for range 5 { // who has not
			wg.Go(func() {
				for done.Err() == nil {
					ctx, cancel := context.WithCancel(done)
					switch rand.IntN(3) {
					case 0:
						time.AfterFunc(time.Duration(rand.IntN(100))*time.Microsecond, cancel)
					case 1:
						go cancel()
					case 2:
						ctx, cancel = context.WithTimeout(done, time.Duration(rand.IntN(100))*time.Microsecond)
					}
					l, err := Wait(ctx, &available, 0)
					count(l)
					if err == nil {
						take()
					} else if ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
						t.Error(err)
					}
					cancel()
				}
			})
		}
		within(t, 50*time.Second, func() {
			for i := range tokens {
				available.Add(1)
				Wake(&available, 1)
				if i%4 == 0 {
					eventually(t, "the tokens taken", func() bool { return taken.Load() == int64(i+1) })
				}
			}
			eventually(t, "the tokens taken", func() bool { return taken.Load() == tokens })
		})
		finish()
		within(t, 20*time.Second, wg.Wait)
		if n := lost.Load(); n != 0 {
			t.Errorf("%d wake-ups lost", n)
		}
	})
}

// waitFor waits until the context ends: Wait may return for nothing.
func waitFor(ctx context.Context, w *mem.Uint32) error {
	for {
		if _, err := Wait(ctx, w, 0); err != nil {
			return err
		}
	}
}

// A context that ends does so at once.
func TestCancelPrompt(t *testing.T) {
	for _, procs := range []int{1, runtime.NumCPU()} {
		t.Run(fmt.Sprintf("procs=%d", procs), func(t *testing.T) {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(procs))
			everyWay(t, func(t *testing.T) {
				w := new(mem.Uint32)
				var cancels, deadlines []time.Duration
				for range 41 {
					ctx, cancel := context.WithCancelCause(background)
					var at time.Time
					go func() {
						for sleeping() == 0 {
							time.Sleep(50 * time.Microsecond)
						}
						at = time.Now()
						cancel(errors.New("cause"))
					}()
					err := waitFor(ctx, w)
					cancels = append(cancels, time.Since(at))
					if err != context.Canceled {
						t.Fatalf("%v; want %v", err, context.Canceled)
					}

					end := time.Now().Add(3 * time.Millisecond)
					timed, stop := context.WithDeadline(background, end)
					err = waitFor(timed, w)
					deadlines = append(deadlines, time.Since(end))
					stop()
					if err != context.DeadlineExceeded {
						t.Fatalf("%v; want %v", err, context.DeadlineExceeded)
					}
				}
				for what, took := range map[string][]time.Duration{"cancel": cancels, "deadline": deadlines} {
					slices.Sort(took)
					median := took[len(took)/2]
					t.Logf("%s: median %v, at most %v, at least %v", what, median, took[len(took)-1], took[0])
					if took[0] < 0 {
						t.Errorf("%s: returned %v early", what, -took[0])
					}
					if median > time.Millisecond {
						t.Errorf("%s: median %v; want less than 1ms", what, median)
					}
				}
			})
		})
	}
}

// lateContext ends between the sleeper's last look at it and the sleep.
type lateContext struct {
	context.Context
	done  chan struct{}
	woken chan struct{} // closed after the sleeper was woken
	f     func()
	errs  int
}

func (c *lateContext) Done() <-chan struct{} { return c.done }

func (c *lateContext) AfterFunc(f func()) (stop func() bool) {
	c.f = f
	return func() bool { return false }
}

func (c *lateContext) Err() error {
	if c.errs++; c.errs > 2 {
		return context.Canceled
	}
	if c.errs == 2 {
		close(c.done)
		c.f() // in a goroutine of its own
		<-c.woken
	}
	return nil
}

func TestCancelBeforeSleep(t *testing.T) {
	if !haveWaitv() {
		t.Skip("no futex_waitv: the shared waiter serves those with a context")
	}
	c := &lateContext{Context: background, done: make(chan struct{}), woken: make(chan struct{})}
	for i := range sleepers {
		s := &sleepers[i]
		wake := s.wake
		s.wake = func() { wake(); close(c.woken) }
		defer func() { s.wake = wake }()
	}
	within(t, 20*time.Second, func() {
		if err := waitFor(c, new(mem.Uint32)); err != context.Canceled {
			t.Error(err)
		}
	})
	if c.errs < 3 {
		t.Error("not looked at again")
	}
}

func TestWaitReturnsAtOnce(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		w := new(mem.Uint32)
		ctx, cancel := context.WithCancel(background)
		for _, ctx := range []context.Context{background, ctx} {
			if lost, err := Wait(ctx, w, 1); lost || err != nil {
				t.Errorf("another value: %v, %v", lost, err)
			}
		}
		cancel()
		if _, err := Wait(ctx, w, 0); err != context.Canceled {
			t.Errorf("cancelled before: %v", err)
		}
	})
}

// A change without a wake-up is found and counted, with a context and without.
func TestWaitLost(t *testing.T) {
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	for _, ctx := range []context.Context{background, ctx} {
		if ctx.Done() != nil && !haveWaitv() {
			continue
		}
		lostAtLast(t, func() (lost bool, err error) {
			w := new(mem.Uint32)
			nobodyAsleep(t)
			go func() {
				for threadsAsleep(t) == 0 || sleeping() == 0 {
					time.Sleep(time.Millisecond)
				}
				w.Store(1)
			}()
			begin := time.Now()
			within(t, 10*time.Second, func() { lost, err = Wait(ctx, w, 0) })
			t.Logf("after %v", time.Since(begin))
			return lost, err
		})
	}
}

// A waiter that is stopped for longer than every bound here misses nothing.
func TestStoppedWaiter(t *testing.T) {
	for _, env := range []string{"", "NODIRECT=1"} {
		t.Run(env, func(t *testing.T) {
			f, words := memory(t)
			cmd, _ := process(t, "player", f, "ROUNDS=20", env)
			// With rounds of 20, player 0 has the first stroke.
			for i := range uint32(20) {
				stopped := i%4 == 1
				eventually(t, "the ball", func() bool { return words[ball].Load() == 2*i })
				time.Sleep(5 * time.Millisecond) // asleep, most probably
				if stopped {
					cmd.Process.Signal(unix.SIGSTOP)
					eventually(t, "stopped", func() bool { return processState(cmd.Process.Pid) == "T" })
				}
				words[ball].Add(1)
				Wake(&words[ball], 1)
				if stopped {
					time.Sleep(4 * doze)
					if words[ball].Load() != 2*i+1 {
						t.Fatal("a stopped process goes on")
					}
					cmd.Process.Signal(unix.SIGCONT)
				}
			}
			within(t, 20*time.Second, func() {
				if err := cmd.Wait(); err != nil {
					t.Error(err)
				}
			})
			if n := words[lostB].Load(); n != 0 {
				t.Errorf("%d wake-ups lost", n)
			}
		})
	}
}

func processState(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(b), ") ")
	state, _, _ := strings.Cut(after, " ")
	return state
}

func BenchmarkPingPong(b *testing.B) {
	f, words := memory(b)
	cmd, _ := process(b, "player", f, "ROUNDS="+strconv.Itoa(b.N))
	for processState(cmd.Process.Pid) != "S" {
		time.Sleep(time.Millisecond)
	}
	b.ResetTimer()
	play(words, 0, b.N, &words[lostA])
	b.StopTimer()
	cmd.Wait()
}

// BenchmarkWake is the time from a wake-up to the woken goroutine's answer, both in
// this process.
func BenchmarkWake(b *testing.B) {
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	run := func(name string, ctx context.Context, prepare func(b *testing.B)) {
		b.Run(name, func(b *testing.B) {
			prepare(b)
			words := make([]mem.Uint32, 64)
			b.ReportAllocs()
			var wg sync.WaitGroup
			defer wg.Wait()
			wg.Go(func() {
				for range b.N {
					for v := words[0].Load(); v%2 == 0; v = words[0].Load() {
						Wait(ctx, &words[0], v)
					}
					words[0].Add(1)
					Wake(&words[0], 1)
				}
			})
			for range b.N {
				words[0].Add(1)
				Wake(&words[0], 1)
				for v := words[0].Load(); v%2 == 1; v = words[0].Load() {
					Wait(ctx, &words[0], v)
				}
			}
		})
	}
	run("direct", background, func(*testing.B) {})
	run("direct,context", ctx, func(*testing.B) {})
	before := chosen()
	for _, k := range []kind{kindUring, kindWaitv, kindFutex} {
		run(string(k), background, func(b *testing.B) {
			noDirect(b)
			choice.kind, shared.backend = k, k.make()
		})
	}
	choice.kind, shared.backend = before, before.make()
}
