//go:build linux && (amd64 || arm64)

package role

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

func init() {
	events := func(j *Job) (func(*Outcome) error, error) {
		at := pshared.MembersFootprint(0)
		seg, err := shm.Create("/"+j.There, int64(at+j.Count*pshared.EventFootprint), nil)
		if err != nil {
			return nil, err
		}
		m, err := pshared.Join(seg, 0, 0)
		if err != nil {
			return nil, err
		}
		return sleepers(j, func(i int) (wait, wake func() error, err error) {
			e, err := pshared.InitEvent(m, at+i*pshared.EventFootprint, pshared.ManualReset)
			if err != nil {
				return nil, nil, err
			}
			return e.Wait, func() error { e.Set(); return nil }, nil
		})
	}
	participants["shoal-event"] = participant{other: map[string]func(*Job) (func(*Outcome) error, error){
		"sleep/near": func(j *Job) (func(*Outcome) error, error) {
			act, err := events(j)
			return func(o *Outcome) error {
				err := act(o)
				if name, _ := park.Backend(); err == nil && name == "io_uring" {
					o.Other["io_uring"] = 1
				}
				return err
			}, err
		},
	}}
	// The same, where io_uring is not allowed.
	participants["shoal-event-waitv"] = participant{other: map[string]func(*Job) (func(*Outcome) error, error){
		"sleep/near": func(j *Job) (func(*Outcome) error, error) {
			if err := os.Setenv("SHOAL_PARK", "waitv"); err != nil {
				return nil, err
			}
			if name, why := park.Backend(); name != "futex_waitv" {
				return nil, fmt.Errorf("futex_waitv(2) is not to be had: %s, %s", name, why)
			}
			return events(j)
		},
	}}
	participants["go-pipe"].other["sleep/near"] = func(j *Job) (func(*Outcome) error, error) {
		var most unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &most); err != nil {
			return nil, err
		}
		if need := uint64(2*j.Count + 64); most.Max < need { // which takes a capability
			_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: need, Max: need})
			_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &most)
		}
		if most.Max < uint64(2*j.Count+64) {
			return nil, fmt.Errorf("%d pipes need more descriptors than the limit, %d", j.Count, most.Max)
		}
		return sleepers(j, func(int) (wait, wake func() error, err error) {
			r, w, err := os.Pipe()
			wait = func() error { _, err := io.ReadFull(r, make([]byte, 1)); return err }
			return wait, func() error { _, err := w.Write([]byte{1}); return err }, err
		})
	}
	participants["go-channel"].other["sleep/near"] = func(j *Job) (func(*Outcome) error, error) {
		return sleepers(j, func(int) (wait, wake func() error, err error) {
			c := make(chan bool)
			return func() error { <-c; return nil }, func() error { close(c); return nil }, nil
		})
	}
}

// sleepers lets so many goroutines wait, each for something of its own, and tells how
// many threads the process has and how much processor time it takes meanwhile; then
// how long it takes until all have been woken.
func sleepers(j *Job, new func(i int) (wait, wake func() error, err error)) (func(*Outcome) error, error) {
	before := threads()
	var wakes []func() error
	var awake, asleep atomic.Int64
	failed := make(chan error, j.Count)
	for i := range j.Count {
		wait, wake, err := new(i)
		if err != nil {
			return nil, err
		}
		wakes = append(wakes, wake)
		go func() {
			asleep.Add(1)
			if err := wait(); err != nil {
				failed <- err
			}
			awake.Add(1)
		}()
	}
	for asleep.Load() < int64(j.Count) {
		runtime.Gosched()
	}
	time.Sleep(200 * time.Millisecond) // until they have given up spinning
	return func(o *Outcome) error {
		var u usage
		u.start()
		time.Sleep(5 * j.Time)
		u.stop(&o.Figures)
		o.Other = map[string]float64{"threads": float64(threads()), "threads without": float64(before)}
		begin := clock()
		for _, wake := range wakes {
			if err := wake(); err != nil {
				return err
			}
		}
		for awake.Load() < int64(j.Count) {
			runtime.Gosched()
		}
		o.Other["all awake"] = float64(clock() - begin)
		select {
		case err := <-failed:
			return err
		default:
			return nil
		}
	}, nil
}

// threads is how many this process has.
func threads() int {
	tasks, _ := os.ReadDir("/proc/self/task")
	return len(tasks)
}
