//go:build linux && (amd64 || arm64)

package crash

import (
	"context"
	"errors"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// readyAt is the word, under the mutex, that the waiters of a condition wait for.
const readyAt = 2048

// makeCond makes a mutex, a condition and n survivors' handles on both.
func makeCond(a *attempt, n int) {
	makeMutex(a, mutexAt, n)
	for i, m := range a.members {
		c, err := pshared.JoinCond, error(nil)
		if i == 0 {
			c = pshared.InitCond
		}
		cond, err := c(m, at)
		must(a.T, err)
		a.cond = append(a.cond, cond)
	}
}

// mended passes over the death of an owner.
func mended(mu *pshared.Mutex, err error) (died bool, _ error) {
	if errors.Is(err, pshared.ErrOwnerDied) {
		return true, mu.MarkConsistent()
	}
	return false, err
}

// await waits on the condition until the word is set. It returns
// pshared.ErrOwnerDied if an owner of the mutex has died meanwhile.
func await(c *pshared.Cond, mu *pshared.Mutex, ready func() bool) error {
	died, err := mended(mu, mu.Lock())
	for err == nil && !ready() {
		var again bool
		again, err = mended(mu, c.Wait(context.Background(), mu))
		died = died || again
	}
	if err != nil {
		return err
	}
	if err := mu.Unlock(); err != nil {
		return err
	}
	if died {
		return pshared.ErrOwnerDied
	}
	return nil
}

func condScenarios() []scenario {
	// handles are the victim's; a table of its own has a member of its own.
	handles := func(object string) (*pshared.Cond, *pshared.Mutex) {
		m := join(object)
		return got(pshared.JoinCond(m, at)), got(pshared.JoinMutex(m, mutexAt))
	}
	open := func(a *attempt) { makeCond(a, 3) }
	ready := func(a *attempt) *mem.Uint32 { return got(mem.At[mem.Uint32](a.segment.Bytes(), readyAt)) }
	sleeps := func(a *attempt, i int) {
		a.sleepsIn(func() error {
			return await(a.cond[i], a.mutex[i], func() bool { return ready(a).Load() != 0 })
		}, at+8)
	}
	// publish sets the word and signals, as a survivor.
	publish := func(a *attempt) {
		died, err := mended(a.mutex[0], a.mutex[0].Lock())
		must(a.T, err)
		ready(a).Store(1)
		must(a.T, a.mutex[0].Unlock())
		a.cond[0].Signal()
		a.met = died
	}
	signal := func(op func(*pshared.Cond)) func(string) func() error {
		return func(object string) func() error {
			c, _ := handles(object)
			return func() error { op(c); return nil }
		}
	}
	set := func(a *attempt) { ready(a).Store(1) }
	return []scenario{
		{name: "Cond.Wait", role: "waiter", open: open,
			victim: func(object string) func() error {
				c, mu := handles(object)
				seg := got(shm.Open("/"+object, nil))
				ready := got(mem.At[mem.Uint32](seg.Bytes(), readyAt))
				rerun.Check(mu.Lock())
				return func() error {
					for ready.Load() == 0 {
						if err := c.Wait(context.Background(), mu); err != nil {
							return err
						}
					}
					return nil
				}
			},
			blocked: func(a *attempt) bool { return a.sleepers(at+8) > 0 },
			late: func(a *attempt) {
				if a.kill < never || a.kill == 1 || a.kill == 0 { // else the only Signal is the victim's
					a.sleepsIn(func() error {
						return await(a.cond[1], a.mutex[1], func() bool { return ready(a).Load() != 0 })
					}, at+8)
				}
			},
			release: publish,
			outcome: func(a *attempt) string {
				died := a.met
				for _, s := range a.sleeps {
					switch v := a.ends(s); v {
					case "nil":
					case "ErrOwnerDied":
						died = true
					default:
						return v
					}
				}
				if died {
					return "Lock: ErrOwnerDied"
				}
				return lockOutcome(a)
			}},
		{name: "Cond.Signal, nobody waits", spent: true, role: "signaller", open: open, victim: signal((*pshared.Cond).Signal), outcome: lockOutcome},
		{name: "Cond.Signal, one waits", spent: true, role: "signaller", open: open, victim: signal((*pshared.Cond).Signal),
			sleep: func(a *attempt) { sleeps(a, 1); set(a) },
			outcome: func(a *attempt) string {
				return "Wait: " + a.ends(a.sleeps[0])
			}},
		{name: "Cond.Broadcast, two wait", spent: true, role: "signaller", open: open, victim: signal((*pshared.Cond).Broadcast),
			sleep: func(a *attempt) { sleeps(a, 1); sleeps(a, 2); set(a) },
			outcome: func(a *attempt) string {
				return "Wait: " + a.ends(a.sleeps[0]) + ", " + a.ends(a.sleeps[1])
			}},
	}
}
