//go:build linux && (amd64 || arm64)

package crash

import (
	"context"
	"errors"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
)

var errRefused = errors.New("refused")

func onceScenarios() []scenario {
	open := func(a *attempt) {
		o, err := pshared.InitOnce(a.make(), at)
		must(a.T, err)
		a.once = append(a.once, o)
		for range 2 {
			o, err := pshared.JoinOnce(a.join(), at)
			must(a.T, err)
			a.once = append(a.once, o)
		}
	}
	victimOnce := func(object string) *pshared.Once { return got(pshared.JoinOnce(join(object), at)) }
	// do is a survivor's Do, and what has come of it.
	do := func(o *pshared.Once) string {
		ran := false
		err := o.Do(func() error { ran = true; return nil })
		if err != nil {
			return verdict(err)
		}
		if ran {
			return "runs"
		}
		return "done"
	}
	outcome := func(a *attempt) (v string) {
		a.does(func() error { v = do(a.once[1]); return nil })
		return "Do: " + v
	}
	sleeps := func(a *attempt) {
		a.sleepsIn(func() error { a.said.Store(do(a.once[1])); return nil }, at+8)
	}
	sleeper := func(a *attempt) string {
		if len(a.sleeps) == 0 { // the victim has not come to run
			return outcome(a)
		}
		a.ends(a.sleeps[0])
		return "Do: " + a.said.Load().(string)
	}
	// inside is a function that waits until the test lets it return.
	inside := func(err error) func() error {
		return func() error { rerun.Say("inside"); rerun.Hear(); return err }
	}
	isRunning := func(a *attempt, store int) {
		err := impatient(func(ctx context.Context) error {
			return a.once[2].DoContext(ctx, func() error { return errors.New("two run at a time") })
		})
		if store == 1 && err != nil {
			a.Errorf("Do, while the victim is stopped that runs: %v", err)
		}
	}
	return []scenario{
		{name: "Once.Do", spent: true, role: "runner", open: open,
			victim: func(object string) func() error {
				o := victimOnce(object)
				return func() error { return o.Do(inside(nil)) }
			},
			midway: sleeps, outcome: sleeper, stopped: isRunning},
		{name: "Once.Do, it fails", spent: true, role: "runner", open: open,
			victim: func(object string) func() error {
				o := victimOnce(object)
				return func() error {
					if err := o.Do(inside(errRefused)); !errors.Is(err, errRefused) {
						return fmt.Errorf("Do: %v", err)
					}
					return nil
				}
			},
			midway: sleeps, outcome: sleeper},
		{name: "Once.Do, another runs", spent: true, role: "waiter", open: open,
			victim: func(object string) func() error {
				o := victimOnce(object)
				return func() error { return o.Do(func() error { return errors.New("runs, too") }) }
			},
			sleep: func(a *attempt) {
				started := make(chan struct{})
				a.finish = make(chan struct{})
				a.goes(func() error {
					return a.once[0].Do(func() error { close(started); <-a.finish; return nil })
				})
				<-started
			},
			blocked: func(a *attempt) bool { return a.sleepers(at+8) > 0 },
			late: func(a *attempt) {
				a.sleepsIn(func() error { a.said.Store(do(a.once[1])); return nil }, at+8)
			},
			release: func(a *attempt) { close(a.finish) },
			outcome: func(a *attempt) string {
				if v := a.ends(a.sleeps[0]); v != "nil" {
					return v
				}
				if len(a.sleeps) == 1 {
					return outcome(a)
				}
				a.ends(a.sleeps[1])
				return "Do: " + a.said.Load().(string)
			}},
		{name: "Once.Do, its runner has died", spent: true, role: "burier, runner", open: open, fresh: true,
			dead: func(object string) {
				victimOnce(object).Do(func() error { rerun.Say("ready"); rerun.Hear(); return nil })
			},
			victim: func(object string) func() error {
				o := victimOnce(object)
				return func() error { return o.Do(func() error { return nil }) }
			},
			outcome: outcome},
	}
}
