//go:build linux && (amd64 || arm64)

package crash

import (
	"errors"

	"github.com/seed-247006a4/shoal/pshared"
)

// makeBarrier makes a barrier for so many parties, n of them survivors.
func makeBarrier(a *attempt, n, parties int) {
	b, err := pshared.InitBarrier(a.make(), at, parties)
	for range n - 1 {
		must(a.T, err)
		a.barrier = append(a.barrier, b)
		b, err = pshared.JoinBarrier(a.join(), at)
	}
	must(a.T, err)
	a.checks = append(a.checks, b.Check)
	if n == 0 { // who has made it gives its place up
		b.Leave()
		return
	}
	a.barrier = append(a.barrier, b)
}

func barrierScenarios() []scenario {
	open := func(survivors, parties int) func(*attempt) {
		return func(a *attempt) { makeBarrier(a, survivors, parties) }
	}
	party := func(object string) *pshared.Barrier { return got(pshared.JoinBarrier(join(object), at)) }
	victim := func(op func(*pshared.Barrier) error) func(string) func() error {
		return func(object string) func() error {
			b := party(object)
			return func() error { return op(b) }
		}
	}
	// arrives has a survivor wait through two phases.
	arrives := func(a *attempt, i int) {
		var first string
		a.goes(func() error {
			first = verdict(a.barrier[i].Wait())
			return errors.New(first + ", " + verdict(a.barrier[i].Wait()))
		})
	}
	both := func(a *attempt) {
		arrives(a, 0)
		arrives(a, 1)
		eventually(a.T, "two parties sleep", func() bool { return a.sleepers(at+8) == 2 })
	}
	// phases are what all survivors have met in two phases.
	phases := func(a *attempt) (v string) {
		for i := range a.barrier {
			if i >= len(a.sleeps) {
				arrives(a, i)
			}
		}
		for i := range a.barrier {
			w := a.ends(a.sleeps[i])
			if i > 0 && w != v {
				a.Errorf("party %d has met %s, party 0 %s", i, w, v)
			}
			v = w
		}
		return "Wait: " + v
	}
	isOpen := func(a *attempt, _ int) {
		for i, s := range a.sleeps {
			select {
			case <-s.done:
				a.Errorf("while a party is stopped party %d has gone through two phases: %v", i, s.err)
			default:
			}
		}
	}
	return []scenario{
		{name: "JoinBarrier", role: "new party", open: open(1, 2),
			victim: func(object string) func() error {
				m := join(object)
				return func() error { _, err := pshared.JoinBarrier(m, at); return err }
			},
			outcome: func(a *attempt) string {
				b, err := pshared.JoinBarrier(a.join(), at) // takes the victim's place, or finds one
				must(a.T, err)
				a.barrier = append(a.barrier, b)
				return phases(a)
			}},
		{name: "Barrier.Wait, the first of three", role: "party", open: open(2, 3), victim: victim((*pshared.Barrier).Wait),
			blocked: func(a *attempt) bool { return a.sleepers(at+8) > 0 },
			release: func(a *attempt) { arrives(a, 0); arrives(a, 1) }, outcome: phases},
		{name: "Barrier.Wait, the last of three", role: "party", open: open(2, 3), victim: victim((*pshared.Barrier).Wait),
			sleep: both, outcome: phases, stopped: isOpen},
		{name: "Barrier.Wait, a party has died", role: "burier, party", open: open(0, 2), fresh: true,
			dead: func(object string) { party(object) },
			victim: victim(func(b *pshared.Barrier) error {
				if err := b.Wait(); !errors.Is(err, pshared.ErrPeerDied) {
					return err
				}
				return nil
			}),
			outcome: func(a *attempt) string {
				b, err := pshared.JoinBarrier(a.join(), at)
				must(a.T, err)
				a.barrier = append(a.barrier, b)
				a.checks = append(a.checks, b.Check)
				return phases(a)
			}},
		{name: "Barrier.Leave, two wait", spent: true, role: "party", open: open(2, 3),
			victim: victim(func(b *pshared.Barrier) error { b.Leave(); return nil }),
			sleep:  both, outcome: phases},
	}
}
