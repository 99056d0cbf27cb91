//go:build linux && (amd64 || arm64)

package conformance

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/rerun"
)

// A fatal is an operation of a C program that is killed at each store that it makes to shared memory.
type fatal struct {
	name    string
	peer    []string // said to the survivor before, who answers ok
	victim  []string // said to the victim before
	sleeps  int      // where the body then shows that somebody sleeps
	waits   string   // said to the survivor then, who answers only after the victim has died, or let go; one of outcome
	op      string
	after   []string // said to the survivor afterwards, and
	outcome []string // what it may answer to each: alternatives set apart by spaces
	least   int      // stores that the operation makes
}

// The survivor's last words, where there is a mutex: it works, whatever has happened.
var (
	mutexAfter   = []string{"mutex lock", "mutex mark", "mutex unlock", "mutex lock", "mutex unlock", "mutex check"}
	mutexOutcome = []string{"ok ownerdied", "ok", "ok", "ok", "ok", "ok"}
)

var fatals = []fatal{
	{
		name: "make a mutex", op: "mutex open object", least: 13,
		after:   slices.Concat([]string{"mutex open object"}, mutexAfter),
		outcome: slices.Concat([]string{"ok"}, mutexOutcome),
	}, {
		name: "open a mutex", op: "mutex open object", least: 10,
		peer:  []string{"mutex open object"},
		after: mutexAfter, outcome: mutexOutcome,
	}, {
		name: "close a mutex", op: "mutex close", least: 4,
		peer:   []string{"mutex open object"},
		victim: []string{"mutex open object", "mutex lock"},
		after:  mutexAfter, outcome: mutexOutcome,
	}, {
		name: "lock", op: "mutex lock", least: 1,
		peer:   []string{"mutex open object"},
		victim: []string{"mutex open object"},
		after:  mutexAfter, outcome: mutexOutcome,
	}, {
		name: "unlock", op: "mutex unlock", least: 1,
		peer:   []string{"mutex open object"},
		victim: []string{"mutex open object", "mutex lock"},
		after:  mutexAfter, outcome: mutexOutcome,
	}, {
		name: "unlock, another sleeps", op: "mutex unlock", least: 1,
		peer:   []string{"mutex open object"},
		victim: []string{"mutex open object", "mutex lock"},
		waits:  "mutex lock", sleeps: 8,
		after:   slices.Concat([]string{"mutex mark"}, mutexAfter[2:]),
		outcome: slices.Concat([]string{"ok"}, mutexOutcome[2:]),
	}, {
		name: "set an event", op: "event set", least: 1,
		peer:   []string{"event open object auto"},
		victim: []string{"event open object auto"},
		after:  []string{"event set", "event wait"}, outcome: []string{"ok", "ok"},
	}, {
		name: "pass an event", op: "event wait", least: 1,
		peer:   []string{"event open object auto", "event set"},
		victim: []string{"event open object auto"},
		after:  []string{"event set", "event wait"}, outcome: []string{"ok", "ok"},
	}, {
		name: "set an event, another sleeps", op: "event set", least: 1,
		peer:   []string{"event open object manual"},
		victim: []string{"event open object manual"},
		waits:  "event wait", sleeps: 8,
		after: []string{"event try"}, outcome: []string{"ok"},
	}, {
		name: "release, another sleeps", op: "semaphore release", least: 1,
		peer:   []string{"semaphore open object plain 0"},
		victim: []string{"semaphore open object plain 0"},
		waits:  "semaphore acquire", sleeps: 8,
		after: []string{"semaphore check"}, outcome: []string{"ok"},
	}, {
		name: "acquire a permit", op: "semaphore acquire", least: 1,
		peer:    []string{"semaphore open object undo 2"},
		victim:  []string{"semaphore open object undo 2"},
		after:   []string{"semaphore acquire", "semaphore acquire", "semaphore value", "semaphore check"},
		outcome: []string{"ok", "ok", "0", "ok"},
	}, {
		name: "release a permit", op: "semaphore release", least: 2,
		peer:   []string{"semaphore open object undo 1"},
		victim: []string{"semaphore open object undo 1", "semaphore acquire"},
		waits:  "semaphore acquire", sleeps: 12,
		after:   []string{"semaphore release", "semaphore value", "semaphore check"},
		outcome: []string{"ok", "1", "ok"},
	},
}

// TestStores kills a C program at every store of every operation; the survivor is of either language.
func TestStores(t *testing.T) {
	all := languages(t)
	for _, f := range fatals {
		for _, survivor := range all {
			t.Run(f.name+"/"+survivor.name, func(t *testing.T) {
				store := 1
				for !f.run(t, all[1], survivor, store) {
					if store++; store > 100 {
						t.Fatal("it makes no end of stores")
					}
				}
				if store-1 < f.least {
					t.Errorf("it makes %d stores; want %d at least", store-1, f.least)
				}
			})
		}
	}
}

// run kills the victim at the store of that number, and reports whether it has lived through all of them.
func (f fatal) run(t *testing.T, c, survivor language, store int) (lived bool) {
	t.Helper()
	defer object.Remove("object", func(layout.Kind) bool { return true })
	victim, peer := c.start(t), survivor.start(t)
	defer victim.Kill()
	defer peer.Kill()
	say(peer, "ok", f.peer...)
	say(victim, "ok", f.victim...)
	if f.waits != "" {
		peer.Say(f.waits)
		asleep(t, f.sleeps)
	}
	victim.Say("die", store)
	victim.Expect("ok")
	victim.Say(f.op)
	answer, lived := <-victim.Lines()
	if lived && answer != "ok" {
		t.Fatalf("%s: %s", f.op, answer)
	}
	victim.Kill() // with what it still holds
	if f.waits != "" && (lived || f.victimHolds() || f.told()) {
		f.expect(t, peer, f.waits, "ok ownerdied", store)
	} else if f.waits != "" {
		t.Fatalf("nobody ends %s", f.waits)
	}
	for i, line := range f.after {
		peer.Say(line)
		f.expect(t, peer, line, f.outcome[i], store)
	}
	return lived
}

// victimHolds: what the survivor waits for falls to it when the victim dies.
func (f fatal) victimHolds() bool {
	return slices.ContainsFunc(f.victim, func(s string) bool { return s == "mutex lock" || s == "semaphore acquire" })
}

// told: the first store of the operation lets the survivor go on; the wake-up is no store.
func (f fatal) told() bool { return f.op == "event set" || f.op == "semaphore release" }

func (f fatal) expect(t *testing.T, peer *rerun.Process, line, want string, store int) {
	t.Helper()
	got := peer.Expect("")
	if !slices.Contains(strings.Fields(want), got) {
		t.Fatalf("killed at store %d: %s: %q, want one of %q", store, line, got, want)
	}
}

// asleep waits until the word at the offset of the object's body says that somebody sleeps.
func asleep(t *testing.T, offset int) {
	t.Helper()
	o, err := object.Open("object", object.Spec{})
	must(t, err)
	defer o.Segment.Close()
	w, err := mem.At[mem.Uint32](o.Segment.Bytes(), o.Body+offset)
	must(t, err)
	eventually(t, "somebody sleeps", func() bool { return w.Load()&1 != 0 })
}

func say(p *rerun.Process, want string, lines ...string) {
	for _, line := range lines {
		p.Say(line)
		p.Expect(want)
	}
}
