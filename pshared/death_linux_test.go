package pshared_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
)

func init() {
	// die WHAT: takes part in one primitive until it is killed.
	roles["die"] = func() {
		switch os.Args[1] {
		case "once":
			o, err := pshared.OpenOnce("death")
			check(err)
			check(o.Do(func() error { say("ready"); heard(); return nil }))
		case "barrier": // has come, has not arrived
			_, err := pshared.OpenBarrier("death", 2)
			check(err)
		case "reader":
			rw, err := pshared.OpenRWMutex("death")
			check(err)
			check(rw.RLock())
		case "writer":
			rw, err := pshared.OpenRWMutex("death")
			check(err)
			check(rw.Lock())
		case "permit":
			s, err := pshared.OpenSemaphore("death", pshared.SemaphoreConfig{Value: 1, Undo: true})
			check(err)
			check(s.Acquire())
		case "cond": // waits: a signal may be meant for it
			mu, err := pshared.OpenMutex("death-mutex")
			check(err)
			c, err := pshared.OpenCond("death")
			check(err)
			check(mu.Lock())
			say("ready")
			check(c.Wait(background, mu))
		}
		say("ready")
		heard()
	}
}

// What a process has in hand when it is killed, whoever waits for it gets at once.
func TestDeath(t *testing.T) {
	open := map[string]func() (object, func() error, error){
		"once": func() (object, func() error, error) {
			o, err := pshared.OpenOnce("death")
			return o, func() error { return o.Do(func() error { return nil }) }, err
		},
		"barrier": func() (object, func() error, error) {
			b, err := pshared.OpenBarrier("death", 2)
			return b, func() error {
				if err := b.Wait(); !errors.Is(err, pshared.ErrPeerDied) {
					return fmt.Errorf("a party died: %w", err)
				}
				return b.Wait()
			}, err
		},
		"reader": func() (object, func() error, error) {
			rw, err := pshared.OpenRWMutex("death")
			return rw, rw.Lock, err
		},
		"writer": func() (object, func() error, error) {
			rw, err := pshared.OpenRWMutex("death")
			return rw, func() error {
				if err := rw.RLock(); !errors.Is(err, pshared.ErrOwnerDied) {
					return fmt.Errorf("a writer died: RLock: %w", err)
				}
				if err := rw.Lock(); !errors.Is(err, pshared.ErrOwnerDied) {
					return fmt.Errorf("a writer died: Lock: %w", err)
				}
				return errors.Join(rw.MarkConsistent(), rw.Unlock(), rw.RLock())
			}, err
		},
		"permit": func() (object, func() error, error) {
			s, err := pshared.OpenSemaphore("death", pshared.SemaphoreConfig{Value: 1, Undo: true})
			return s, s.Acquire, err
		},
	}
	for what, open := range open {
		for _, asleep := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/asleep=%v", what, asleep), func(t *testing.T) {
				defer pshared.Remove("death")
				victim := start(t, "die", what)
				victim.expect("ready")
				p, wait, err := open()
				must(t, err)
				defer p.Close()
				errs := make(chan error, 1)
				if asleep {
					go func() { errs <- wait() }()
					time.Sleep(5 * time.Millisecond)
					select {
					case err := <-errs:
						t.Fatalf("while the other lives: %v", err)
					default:
					}
				}
				victim.kill()
				if !asleep {
					go func() { errs <- wait() }()
				}
				within(t, 20*time.Second, what, func() { must(t, <-errs) })
				s := p.Stats()
				if s.Deaths != 1 || s.Members != 1 || s.Repairs > 1 || s.LostWakes != 0 {
					t.Errorf("%+v", s)
				}
			})
		}
	}
}

// A process that was chosen by a signal, and is stopped and killed before it could
// do anything, takes nothing with it: the other waiters look again.
func TestDeathOfTheChosen(t *testing.T) {
	mu := got(pshared.OpenMutex("death-mutex"))(t)
	defer pshared.Remove("death-mutex")
	defer mu.Close()
	c := got(pshared.OpenCond("death"))(t)
	defer pshared.Remove("death")
	defer c.Close()
	w := peek(t, "death-mutex")
	victim := start(t, "die", "cond")
	victim.expect("ready")
	sleepsAt := peek(t, "death")
	sleepsAt.sleeps(t, condSignals)
	errs := make(chan error)
	go func() { // behind the victim
		err := mu.Lock()
		for err == nil && w.get64(spare) == 0 {
			err = c.Wait(background, mu)
		}
		errs <- errors.Join(err, mu.Unlock())
	}()
	asleep(t, 5)
	victim.signal(syscall.SIGSTOP)
	eventually(t, "the victim is stopped", func() bool { return stopped(t, victim.cmd.Process.Pid) })
	must(t, mu.Lock())
	w.put64(spare, 1)
	must(t, mu.Unlock())
	c.Signal() // for the victim, who came first
	victim.kill()
	within(t, 20*time.Second, "the other waiter", func() { must(t, <-errs) })
}

// stopped reports whether all threads of the process are.
func stopped(t testing.TB, pid int) bool {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	must(t, err)
	for _, task := range tasks {
		stat, err := os.ReadFile(task)
		must(t, err)
		if i := bytes.LastIndexByte(stat, ')'); i < 0 || !bytes.HasPrefix(stat[i:], []byte(") T")) {
			return false
		}
	}
	return len(tasks) > 0
}
