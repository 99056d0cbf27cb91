package pshared_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// A closable is a primitive with what there is to do with it.
type closable struct {
	name   string
	openAs func(name string) (any, error)
	init   func(m *pshared.Members, at int) (any, error) // in place
	block  func(p any) error                             // has somebody else wait at p
	wait   func(p any) error
	calls  func(p any) map[string]error // every other method, after Close
}

// open opens it by the name that the tests here use.
func (c closable) open() (any, error) { return c.openAs("close") }

var errNone = errors.New("no error to tell with")

// silent stands for a call that returns no error and must only not crash.
func silent(f func()) error { f(); return shm.ErrClosed }

// refuses stands for one that returns no error but a bool, which must be false.
func refuses(ok bool) error {
	if ok {
		return errNone
	}
	return shm.ErrClosed
}

func try(ok bool, err error) error {
	if ok {
		return errNone
	}
	return err
}

func any2[T any](v T, err error) (any, error) { return v, err }

var background = context.Background()

var closables = []closable{
	{
		name:   "mutex",
		openAs: func(name string) (any, error) { return any2(pshared.OpenMutex(name)) },
		init:   func(m *pshared.Members, at int) (any, error) { return any2(pshared.InitMutex(m, at)) },
		block:  func(p any) error { return p.(*pshared.Mutex).Lock() },
		wait:   func(p any) error { return p.(*pshared.Mutex).Lock() },
		calls: func(p any) map[string]error {
			mu := p.(*pshared.Mutex)
			return map[string]error{
				"Lock": mu.Lock(), "LockContext": mu.LockContext(background), "TryLock": try(mu.TryLock()),
				"Unlock": mu.Unlock(), "MarkConsistent": mu.MarkConsistent(), "Check": mu.Check(),
			}
		},
	},
	{
		name:   "rwmutex read",
		openAs: func(name string) (any, error) { return any2(pshared.OpenRWMutex(name)) },
		init:   func(m *pshared.Members, at int) (any, error) { return any2(pshared.InitRWMutex(m, at)) },
		block:  func(p any) error { return p.(*pshared.RWMutex).Lock() },
		wait:   func(p any) error { return p.(*pshared.RWMutex).RLock() },
		calls: func(p any) map[string]error {
			rw := p.(*pshared.RWMutex)
			return map[string]error{
				"RLock": rw.RLock(), "RLockContext": rw.RLockContext(background), "TryRLock": try(rw.TryRLock()), "RUnlock": rw.RUnlock(),
				"Lock": rw.Lock(), "LockContext": rw.LockContext(background), "TryLock": try(rw.TryLock()),
				"Unlock": rw.Unlock(), "MarkConsistent": rw.MarkConsistent(), "Check": rw.Check(),
			}
		},
	},
	{
		name:   "rwmutex drain",
		openAs: func(name string) (any, error) { return any2(pshared.OpenRWMutex(name)) },
		init:   func(m *pshared.Members, at int) (any, error) { return any2(pshared.InitRWMutex(m, at)) },
		block:  func(p any) error { return p.(*pshared.RWMutex).RLock() },
		wait:   func(p any) error { return p.(*pshared.RWMutex).Lock() },
		calls:  func(p any) map[string]error { return nil },
	},
	{
		name:   "semaphore",
		openAs: func(name string) (any, error) { return any2(pshared.OpenSemaphore(name, pshared.SemaphoreConfig{})) },
		init: func(m *pshared.Members, at int) (any, error) {
			return any2(pshared.InitSemaphore(m, at, pshared.SemaphoreConfig{}))
		},
		block: func(p any) error { return nil },
		wait:  func(p any) error { return p.(*pshared.Semaphore).Acquire() },
		calls: semaphoreCalls,
	},
	{
		name: "semaphore with undo",
		openAs: func(name string) (any, error) {
			return any2(pshared.OpenSemaphore(name, pshared.SemaphoreConfig{Value: 1, Undo: true}))
		},
		init: func(m *pshared.Members, at int) (any, error) {
			return any2(pshared.InitSemaphore(m, at, pshared.SemaphoreConfig{Value: 1, Undo: true}))
		},
		block: func(p any) error { return p.(*pshared.Semaphore).Acquire() },
		wait:  func(p any) error { return p.(*pshared.Semaphore).Acquire() },
		calls: semaphoreCalls,
	},
	{
		name:   "event",
		openAs: func(name string) (any, error) { return any2(pshared.OpenEvent(name, pshared.ManualReset)) },
		init: func(m *pshared.Members, at int) (any, error) {
			return any2(pshared.InitEvent(m, at, pshared.ManualReset))
		},
		block: func(p any) error { return nil },
		wait:  func(p any) error { return p.(*pshared.Event).Wait() },
		calls: eventCalls,
	},
	{
		name:   "bell",
		openAs: func(name string) (any, error) { return any2(pshared.OpenEvent(name, pshared.AutoReset)) },
		init: func(m *pshared.Members, at int) (any, error) {
			return any2(pshared.InitEvent(m, at, pshared.AutoReset))
		},
		block: func(p any) error { return nil },
		wait:  func(p any) error { return p.(*pshared.Event).Wait() },
		calls: eventCalls,
	},
	{
		name:   "barrier",
		openAs: func(name string) (any, error) { return any2(pshared.OpenBarrier(name, 2)) },
		init:   func(m *pshared.Members, at int) (any, error) { return any2(pshared.InitBarrier(m, at, 2)) },
		block:  func(p any) error { return nil },
		wait:   func(p any) error { return p.(*pshared.Barrier).Wait() },
		calls: func(p any) map[string]error {
			b := p.(*pshared.Barrier)
			return map[string]error{
				"Wait": b.Wait(), "WaitContext": b.WaitContext(background), "Leave": silent(b.Leave), "Check": b.Check(),
			}
		},
	},
	{
		name:   "once",
		openAs: func(name string) (any, error) { return any2(pshared.OpenOnce(name)) },
		init:   func(m *pshared.Members, at int) (any, error) { return any2(pshared.InitOnce(m, at)) },
		calls: func(p any) map[string]error {
			o := p.(*pshared.Once)
			return map[string]error{
				"Done": refuses(o.Done()), "Do": o.Do(func() error { return errNone }), "Check": o.Check(),
				"DoContext": o.DoContext(background, func() error { return errNone }),
			}
		},
	},
	{
		name:   "cond",
		openAs: func(name string) (any, error) { return any2(pshared.OpenCond(name)) },
		init:   func(m *pshared.Members, at int) (any, error) { return any2(pshared.InitCond(m, at)) },
		calls: func(p any) map[string]error {
			c := p.(*pshared.Cond)
			return map[string]error{
				"Wait": c.Wait(background, nil), "Signal": silent(c.Signal), "Broadcast": silent(c.Broadcast),
			}
		},
	},
}

func semaphoreCalls(p any) map[string]error {
	s := p.(*pshared.Semaphore)
	return map[string]error{
		"Acquire": s.Acquire(), "AcquireContext": s.AcquireContext(background), "TryAcquire": try(s.TryAcquire()),
		"Release": s.Release(), "Check": s.Check(), "Value": refuses(s.Value() != 0),
	}
}

func eventCalls(p any) map[string]error {
	e := p.(*pshared.Event)
	return map[string]error{
		"Set": silent(e.Set), "IsSet": refuses(e.IsSet()), "TryWait": refuses(e.TryWait()),
		"Wait": e.Wait(), "WaitContext": e.WaitContext(background), "Reset": silent(e.Reset),
	}
}

// afterClose has every call say ErrClosed.
func (c closable) afterClose(t *testing.T, p any) {
	t.Helper()
	for range 2 {
		for call, err := range c.calls(p) {
			wantErr(t, call+" after the end", err, shm.ErrClosed)
		}
	}
	if s := p.(interface{ Stats() pshared.Stats }).Stats(); s != (pshared.Stats{}) {
		t.Errorf("Stats after the end: %+v", s)
	}
}

// Close releases who waits, all of them, awake or asleep; later calls say
// ErrClosed and touch no memory that is not mapped any more.
func TestClose(t *testing.T) {
	for _, c := range closables {
		t.Run(c.name, func(t *testing.T) {
			defer pshared.Remove("close")
			p, err := c.open()
			must(t, err)
			if c.wait != nil {
				other, err := c.open()
				must(t, err)
				defer other.(interface{ Close() error }).Close()
				must(t, c.block(other))
				const waiters = 5
				errs := make(chan error, waiters)
				for range waiters {
					if c.name == "barrier" { // one goroutine a party
						errs = make(chan error, 1)
					}
					go func() { errs <- c.wait(p) }()
					if c.name == "barrier" {
						break
					}
				}
				asleep(t, cap(errs))
				within(t, 20*time.Second, "Close", func() { must(t, p.(interface{ Close() error }).Close()) })
				for range cap(errs) {
					wantErr(t, "who waited", <-errs, shm.ErrClosed)
				}
			}
			must(t, p.(interface{ Close() error }).Close())
			must(t, p.(interface{ Close() error }).Close())
			c.afterClose(t, p)
		})
	}
}

// Close at any moment of a waiter's life: spinning, on the way to sleep, asleep.
func TestCloseAnyTime(t *testing.T) {
	for _, c := range closables {
		if c.wait == nil {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			defer pshared.Remove("close")
			other, err := c.open()
			must(t, err)
			defer other.(interface{ Close() error }).Close()
			must(t, c.block(other))
			for i := range 60 {
				p, err := c.open()
				must(t, err)
				errs := make(chan error)
				go func() { errs <- c.wait(p) }()
				for p.(interface{ Begun() int64 }).Begun() == 0 { // the fast path may not be under way
					runtime.Gosched()
				}
				for end := time.Now().Add(time.Duration(i) * 5 * time.Microsecond); time.Now().Before(end); {
					runtime.Gosched()
				}
				within(t, 20*time.Second, "Close", func() { must(t, p.(interface{ Close() error }).Close()) })
				wantErr(t, "who waited", <-errs, shm.ErrClosed)
			}
		})
	}
}

// Leave does for all primitives in a segment what Close does for a named one.
func TestLeave(t *testing.T) {
	for _, c := range closables {
		t.Run(c.name, func(t *testing.T) {
			seg := got(shm.Create("/leave", 1<<16, nil))(t)
			defer shm.Remove("/leave")
			defer seg.Close()
			m := got(pshared.Join(seg, 0, 4))(t)
			at := pshared.MembersFootprint(4)
			p, err := c.init(m, at)
			must(t, err)
			_, err = c.init(m, at)
			must2 := err == nil
			if must2 {
				t.Error("made twice")
			}
			must(t, p.(interface{ Close() error }).Close()) // does nothing
			m.Leave()
			m.Leave()
			c.afterClose(t, p)
			_, err = c.init(m, at)
			wantErr(t, "init after Leave", err, shm.ErrClosed)
		})
	}
}

// The condition's waiter has the mutex again when the condition is closed, even
// if whoever closes holds it.
func TestCloseCond(t *testing.T) {
	mu := mutexes(t, 1)[0]
	c := got(pshared.OpenCond("close"))(t)
	defer pshared.Remove("close")
	errs := make(chan error)
	must(t, mu.Lock())
	go func() {
		err := mu.Lock()
		if err == nil {
			err = c.Wait(background, mu)
		}
		mu.Unlock()
		errs <- err
	}()
	w := peek(t, "close")
	must(t, mu.Unlock())
	w.sleeps(t, condSignals)
	must(t, mu.Lock())
	within(t, 20*time.Second, "Close", func() { c.Close() })
	must(t, mu.Unlock())
	wantErr(t, "who waited", <-errs, shm.ErrClosed)

	// In one segment the mutex goes with the condition.
	seg := got(shm.Create("/leave", 1<<16, nil))(t)
	defer shm.Remove("/leave")
	defer seg.Close()
	m := got(pshared.Join(seg, 0, 4))(t)
	at := pshared.MembersFootprint(4)
	mu2 := got(pshared.InitMutex(m, at))(t)
	c2 := got(pshared.InitCond(m, at+64))(t)
	go func() {
		if err := mu2.Lock(); err != nil {
			t.Error(err)
		}
		errs <- c2.Wait(background, mu2)
	}()
	(&words{seg, at + 64}).sleeps(t, condSignals)
	within(t, 20*time.Second, "Leave", m.Leave)
	wantErr(t, "who waited", <-errs, shm.ErrClosed)
}

// Leave waits for what a Once runs.
func TestCloseOnce(t *testing.T) {
	o := got(pshared.OpenOnce("close"))(t)
	defer pshared.Remove("close")
	running, finish := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		must(t, o.Do(func() error { close(running); <-finish; return nil }))
	})
	<-running
	closed := make(chan struct{})
	go func() { o.Close(); close(closed) }()
	select {
	case <-closed:
		t.Error("closed under the running function")
	case <-time.After(10 * time.Millisecond):
	}
	close(finish)
	wg.Wait()
	<-closed
	o2 := got(pshared.OpenOnce("close"))(t)
	defer o2.Close()
	if !o2.Done() {
		t.Error("not done")
	}
}

// asleep gives n goroutines the time to go to sleep in the kernel.
func asleep(t testing.TB, n int) {
	t.Helper()
	time.Sleep(time.Duration(5+n) * time.Millisecond)
}
