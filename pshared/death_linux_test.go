package pshared_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
)

func init() {
	// die WHAT: takes part in one primitive until it is killed.
	roles["die"] = func(args []string) {
		switch args[0] {
		case "once":
			o, err := pshared.OpenOnce("death")
			rerun.Check(err)
			rerun.Check(o.Do(func() error { rerun.Say("ready"); rerun.Hear(); return nil }))
		case "barrier": // has come, has not arrived
			_, err := pshared.OpenBarrier("death", 2)
			rerun.Check(err)
		case "reader":
			rw, err := pshared.OpenRWMutex("death")
			rerun.Check(err)
			rerun.Check(rw.RLock())
		case "writer":
			rw, err := pshared.OpenRWMutex("death")
			rerun.Check(err)
			rerun.Check(rw.Lock())
		case "permit":
			s, err := pshared.OpenSemaphore("death", pshared.SemaphoreConfig{Value: 1, Undo: true})
			rerun.Check(err)
			rerun.Check(s.Acquire())
		case "cond": // waits: a signal may be meant for it
			mu, err := pshared.OpenMutex("death-mutex")
			rerun.Check(err)
			c, err := pshared.OpenCond("death")
			rerun.Check(err)
			rerun.Check(mu.Lock())
			rerun.Say("ready")
			rerun.Check(c.Wait(background, mu))
		}
		rerun.Say("ready")
		rerun.Hear()
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
				victim := rerun.Start(t, "die", what)
				victim.Expect("ready")
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
				victim.Kill()
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
	victim := rerun.Start(t, "die", "cond")
	victim.Expect("ready")
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
	victim.Stop()
	must(t, mu.Lock())
	w.put64(spare, 1)
	must(t, mu.Unlock())
	c.Signal() // for the victim, who came first
	victim.Kill()
	within(t, 20*time.Second, "the other waiter", func() { must(t, <-errs) })
}
