package pshared_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// many is how many goroutines wait, each for an event of its own.
const many = 10_000

func manyEvents(seg *shm.Segment) (m *pshared.Members, all []*pshared.Event, err error) {
	if m, err = pshared.Join(seg, 0, 4); err != nil {
		return nil, nil, err
	}
	for i := range many {
		at := pshared.MembersFootprint(4) + i*pshared.EventFootprint
		e, err := pshared.InitEvent(m, at, pshared.ManualReset)
		if errors.Is(err, fs.ErrExist) {
			e, err = pshared.JoinEvent(m, at)
		}
		if err != nil {
			return nil, nil, err
		}
		all = append(all, e)
	}
	return m, all, nil
}

func init() {
	// many: waits for all events at once, and tells what that costs.
	roles["many"] = func([]string) {
		seg, err := shm.Open("/many", nil)
		rerun.Check(err)
		m, all, err := manyEvents(seg)
		rerun.Check(err)
		var wg sync.WaitGroup
		for _, e := range all {
			wg.Go(func() { rerun.Check(e.Wait()) })
		}
		rerun.Say("backend", first(park.Backend()))
		rerun.Hear() // all sleep
		before := cpuTime()
		rerun.Hear() // so much later
		used := cpuTime() - before
		rerun.Say("threads", threads(), used.Microseconds())
		wg.Wait()
		rerun.Say("woken", m.Stats().LostWakes)
		m.Leave()
	}
}

func first(a, b string) string { return a }

func cpuTime() time.Duration {
	var u unix.Rusage
	rerun.Check(unix.Getrusage(unix.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func threads() (n int) {
	status, err := os.ReadFile("/proc/self/status")
	rerun.Check(err)
	_, after, _ := strings.Cut(string(status), "Threads:")
	fmt.Sscan(after, &n)
	return n
}

// Ten thousand goroutines wait for as many events: with few threads, and without
// using the processor.
func TestManyWaiters(t *testing.T) {
	for _, backend := range []struct {
		variable, name string
		threads        int
	}{{"uring", "io_uring", 32}, {"waitv", "futex_waitv", 128}} {
		t.Run(backend.name, func(t *testing.T) {
			t.Setenv("SHOAL_PARK", backend.variable)
			size := int64(pshared.MembersFootprint(4) + many*pshared.EventFootprint)
			seg := got(shm.Create("/many", size, nil))(t)
			defer shm.Remove("/many")
			defer seg.Close()
			m, all, err := manyEvents(seg)
			must(t, err)
			defer m.Leave()
			p := rerun.Start(t, "many")
			if name := p.Expect("backend"); name != backend.name {
				t.Skipf("the shared waiter is %s: this kernel does not permit %s", name, backend.name)
			}
			w := &words{seg, pshared.MembersFootprint(4)}
			eventually(t, "all sleep", func() bool {
				for i := range many {
					if w.get32(i*pshared.EventFootprint+eventState)&1 == 0 {
						return false
					}
				}
				return true
			})
			time.Sleep(500 * time.Millisecond) // the last of them into the kernel
			p.Say("go")
			const idle = 2 * time.Second
			time.Sleep(idle)
			p.Say("go")
			var threads, micros int
			fmt.Sscan(p.Expect("threads"), &threads, &micros)
			begin := time.Now()
			for _, e := range all {
				e.Set()
			}
			lost := p.Expect("woken")
			t.Logf("%d waiters: %d threads; %d µs of CPU time in %v; all set and awake in %v", many, threads, micros, idle, time.Since(begin))
			if threads >= backend.threads {
				t.Errorf("%d threads; want fewer than %d", threads, backend.threads)
			}
			if used := time.Duration(micros) * time.Microsecond; used > idle/20 {
				t.Errorf("%v of CPU time in %v; want next to none", used, idle)
			}
			if lost != "0" {
				t.Errorf("%s wake-ups lost", lost)
			}
		})
	}
}
