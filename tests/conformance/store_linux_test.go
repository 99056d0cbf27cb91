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
	wakes   string   // what it answers then, if not that it has a lock
	op      string
	after   []string // said to the survivor afterwards, and
	outcome []string // what it answers to each: alternatives, set apart by |

	// The stores with which something happens, by number: whoever is killed at one, or later, has done it. With turns the
	// alternatives are what is so before the first of them, from there to the second, and so on; one alternative is always
	// so. Without turns each of them is right.
	turns []int

	dead    []string // said before to a process that is then killed
	frees   []string // said to another one, who answers ok, to end waits where the victim has not
	rescue  []string // said to a further process when the victim is dead, to end what the survivor waits for
	deadNow []string // likewise, but when the victim has been told
	relief  []string // said to another process if the victim has left nothing that the survivor could have
}

// The survivor's last words, where there is a mutex: it works, whatever has happened.
var (
	mutexAfter   = []string{"mutex lock", "mutex mark", "mutex unlock", "mutex lock", "mutex unlock", "mutex check"}
	mutexOutcome = []string{"ok|ownerdied", "ok", "ok", "ok", "ok", "ok"}
)

var fatals = []fatal{
	{
		name: "make a mutex", op: "mutex open object",
		after:   slices.Concat([]string{"mutex open object"}, mutexAfter),
		outcome: slices.Concat([]string{"ok"}, mutexOutcome),
	}, {
		name: "open a mutex", op: "mutex open object",
		peer:  []string{"mutex open object"},
		after: mutexAfter, outcome: mutexOutcome,
	}, {
		name: "close a mutex", op: "mutex close",
		peer:   []string{"mutex open object"},
		victim: []string{"mutex open object", "mutex lock"},
		after:  mutexAfter, outcome: mutexOutcome,
	}, {
		name: "lock", op: "mutex lock",
		peer:   []string{"mutex open object"},
		victim: []string{"mutex open object"},
		after:  mutexAfter, outcome: mutexOutcome,
	}, {
		name: "unlock", op: "mutex unlock",
		peer:   []string{"mutex open object"},
		victim: []string{"mutex open object", "mutex lock"},
		after:  mutexAfter, outcome: mutexOutcome,
	}, {
		name: "unlock, another sleeps", op: "mutex unlock",
		peer:   []string{"mutex open object"},
		victim: []string{"mutex open object", "mutex lock"},
		waits:  "mutex lock", sleeps: 8,
		after:   slices.Concat([]string{"mutex mark"}, mutexAfter[2:]),
		outcome: slices.Concat([]string{"ok"}, mutexOutcome[2:]),
	}, {
		name: "set an event", op: "event set",
		peer:   []string{"event open object auto"},
		victim: []string{"event open object auto"},
		after:  []string{"event set", "event wait"}, outcome: []string{"ok", "ok"},
	}, {
		name: "pass an event", op: "event wait",
		peer:   []string{"event open object auto", "event set"},
		victim: []string{"event open object auto"},
		after:  []string{"event set", "event wait"}, outcome: []string{"ok", "ok"},
	}, {
		name: "set an event, another sleeps", op: "event set",
		peer:   []string{"event open object manual"},
		victim: []string{"event open object manual"},
		waits:  "event wait", sleeps: 8,
		after: []string{"event try"}, outcome: []string{"ok"},
	}, {
		name: "release, another sleeps", op: "semaphore release",
		peer:   []string{"semaphore open object plain 0"},
		victim: []string{"semaphore open object plain 0"},
		waits:  "semaphore acquire", sleeps: 8,
		after: []string{"semaphore check"}, outcome: []string{"ok"},
	}, {
		name: "acquire a permit", op: "semaphore acquire",
		peer:    []string{"semaphore open object undo 2"},
		victim:  []string{"semaphore open object undo 2"},
		after:   []string{"semaphore acquire", "semaphore acquire", "semaphore value", "semaphore check"},
		outcome: []string{"ok", "ok", "0", "ok"},
	}, {
		name: "release a permit", op: "semaphore release",
		peer:   []string{"semaphore open object undo 1"},
		victim: []string{"semaphore open object undo 1", "semaphore acquire"},
		waits:  "semaphore acquire", sleeps: 12,
		after:   []string{"semaphore release", "semaphore value", "semaphore check"},
		outcome: []string{"ok", "1", "ok"},
	},
}

// ringFatals are those of rings. A ring of 4096 bytes makes a mark for each 512, and nothing is sent without a claim.
var ringFatals = []fatal{
	{
		name: "make a ring", op: "ring open object 4096",
		after:   []string{"ring open object 4096", "ring writer", "ring send 1 8", "ring reader", "ring count", "ring check"},
		outcome: []string{"ok", "ok", "ok", "ok", "1", "ok"},
	}, {
		name: "take the writer's port", op: "ring writer",
		peer:    []string{"ring open object 4096", "ring writer", "ring send 1 8", "ring unwriter", "ring reader"},
		victim:  []string{"ring open object 4096"},
		after:   []string{"ring writer", "ring send 2 8", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "ok", "2", "sent 2 received 2 repairs 0 0|sent 2 received 2 repairs 1 0", "ok"},
		turns:   []int{1},
	}, {
		name: "take a dead writer's port", op: "ring writer",
		peer:    []string{"ring open object 4096", "ring reader"},
		dead:    []string{"ring open object 4096", "ring writer", "ring send 1 8"},
		victim:  []string{"ring open object 4096"},
		after:   []string{"ring writer", "ring send 2 8", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "ok", "2", "sent 2 received 2 repairs 1 0|sent 2 received 2 repairs 2 0", "ok"},
		turns:   []int{4}, // the port, a count in the table, the number of records; the port's own count
	}, {
		name: "send a record", op: "ring send 1 1000",
		peer:    []string{"ring open object 4096", "ring reader"},
		victim:  []string{"ring open object 4096", "ring writer"},
		after:   []string{"ring writer", "ring send 2 8", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "ok", "1|2", "sent 1 received 1 repairs 1 0|sent 2 received 2 repairs 1 0", "ok"},
		turns:   []int{5}, // claim, payload, stamp, end, header; then two counters and a mark
	}, {
		name: "send a record, the reader sleeps", op: "ring send 1 8",
		peer:   []string{"ring open object 4096", "ring reader"},
		victim: []string{"ring open object 4096", "ring writer"},
		waits:  "ring receive", sleeps: 512, wakes: "2 8|1 8",
		frees:   []string{"ring open object 4096", "ring writer", "ring send 2 8"},
		after:   []string{"ring count", "ring check"},
		outcome: []string{"0", "ok"},
		turns:   []int{5},
	}, {
		name: "send a record behind a pad", op: "ring send 3 1500",
		peer: []string{"ring open object 4096", "ring writer", "ring send 1 1500", "ring send 2 1500", "ring unwriter",
			"ring reader", "ring drain 1 2"},
		victim:  []string{"ring open object 4096", "ring writer"},
		after:   []string{"ring writer", "ring send 4 8", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "ok", "1|2", "sent 3 received 3 repairs 1 0|sent 4 received 4 repairs 1 0", "ok"},
		turns:   []int{6}, // the record's header before that of the pad
	}, {
		// The last mark is at 1656, the writer began at 2072 and is at 2096: with a pad the record reaches around to the
		// mark, though the reader has released so much. It must make another one first.
		name: "send a record around to the last mark", op: "ring send 5 2024",
		peer: []string{"ring open object 4096"},
		dead: []string{"ring open object 4096", "ring writer", "ring send 1 1640", "ring send 2 200", "ring send 3 200"},
		victim: []string{"ring open object 4096", "ring reader", "ring drain 1 3", "ring unreader", "ring writer",
			"ring send 4 8"},
		after:   []string{"ring writer", "ring send 6 8", "ring reader", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "ok", "ok", "2|3", "sent 5 received 5 repairs 2 0|sent 6 received 6 repairs 2 0", "ok"},
		turns:   []int{10}, // most bytes in use, the mark (4), claim, payload, header, end; header of the pad
	}, {
		name: "send a batch", op: "ring batch 1 40",
		peer:   []string{"ring open object 4096", "ring reader"},
		victim: []string{"ring open object 4096", "ring writer"},
		after:  []string{"ring writer", "ring send 99 8", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "ok", "1|22|41",
			"sent 1 received 1 repairs 1 0|sent 22 received 22 repairs 1 0|sent 41 received 41 repairs 1 0", "ok"},
		turns: []int{45, 90},
	}, {
		name: "commit a place", op: "ring place 1 100",
		peer:    []string{"ring open object 4096", "ring reader"},
		victim:  []string{"ring open object 4096", "ring writer"},
		after:   []string{"ring writer", "ring send 2 8", "ring count", "ring check"},
		outcome: []string{"ok", "ok", "1|2", "ok"},
		turns:   []int{4},
	}, {
		name: "give the writer's port back", op: "ring unwriter",
		peer:    []string{"ring open object 4096", "ring reader"},
		victim:  []string{"ring open object 4096", "ring writer", "ring send 1 8"},
		after:   []string{"ring writer", "ring send 2 8", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "ok", "2", "sent 2 received 2 repairs 1 0|sent 2 received 2 repairs 0 0", "ok"},
		turns:   []int{5}, // position and number of the mark, its own number, the time; the port
	}, {
		name: "take the reader's port", op: "ring reader",
		peer:    []string{"ring open object 4096", "ring writer", "ring send 1 8"},
		victim:  []string{"ring open object 4096"},
		after:   []string{"ring reader", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "1", "sent 1 received 1 repairs 0 0|sent 1 received 1 repairs 0 1", "ok"},
		turns:   []int{1},
	}, {
		name: "receive a record", op: "ring drain 1 1",
		peer:    []string{"ring open object 4096", "ring writer", "ring send 1 1000", "ring send 2 8"},
		victim:  []string{"ring open object 4096", "ring reader"},
		after:   []string{"ring reader", "ring count", "ring check"},
		outcome: []string{"ok", "2|1", "ok"},
		turns:   []int{2}, // its time, for statistics, and the position; then the counters
	}, {
		name: "receive a record, the writer sleeps", op: "ring drain 1 1",
		peer:   []string{"ring open object 4096", "ring writer", "ring send 1 2000", "ring send 2 2000"},
		victim: []string{"ring open object 4096", "ring reader"},
		waits:  "ring send 3 1000", sleeps: 640, wakes: "ok",
		frees:   []string{"ring open object 4096", "ring reader", "ring drain 1 1", "ring unreader"},
		after:   []string{"ring reader", "ring peek", "ring count", "ring check"},
		outcome: []string{"ok", "2 2000", "2", "ok"},
		turns:   []int{2}, // its time, the position; then the writer's event count
	}, {
		name: "release records together", op: "ring skim 1 2",
		peer:    []string{"ring open object 4096", "ring writer", "ring send 1 16", "ring send 2 16", "ring send 3 16"},
		victim:  []string{"ring open object 4096", "ring reader"},
		after:   []string{"ring reader", "ring count", "ring check"},
		outcome: []string{"ok", "3|1", "ok"},
		turns:   []int{2},
	}, {
		name: "give the reader's port back", op: "ring unreader",
		peer:    []string{"ring open object 4096", "ring writer", "ring send 1 8", "ring send 2 8"},
		victim:  []string{"ring open object 4096", "ring reader", "ring drain 1 1"},
		after:   []string{"ring reader", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "1", "sent 2 received 2 repairs 0 1|sent 2 received 2 repairs 0 0", "ok"},
		turns:   []int{3}, // the position again, the time; the port
	}, {
		name: "free a dead writer's port", op: "ring repair",
		peer:   []string{"ring open object 4096", "ring reader"},
		dead:   []string{"ring open object 4096", "ring writer", "ring send 1 8"},
		victim: []string{"ring open object 4096"},
		after:  []string{"ring writer", "ring send 2 8", "ring count", "ring stats", "ring check"},
		outcome: []string{"ok", "ok", "2",
			"sent 2 received 2 repairs 1 0|sent 2 received 2 repairs 2 0|sent 2 received 2 repairs 1 0", "ok"},
		turns: []int{3, 4}, // the port, a count in the table, the port's own; nobody's port
	},
}

// TestStores kills a C program at every store of every operation; the survivor is of any language. It finds as many
// stores as docs/CRASH.md says.
func TestStores(t *testing.T) {
	all := languages(t)
	documented := readDocument(t)
	c := all[slices.IndexFunc(all, func(l language) bool { return l.name == "c" })]
	for _, f := range slices.Concat(fatals, ringFatals, topicFatals) {
		d, there := documented[f.name]
		if delete(documented, f.name); !there {
			t.Errorf("%s has no row for %q", document, f.name)
		}
		if !slices.Equal(d.turns, f.turns) {
			t.Errorf("%s: %q shows with %v, the test expects %v", document, f.name, d.turns, f.turns)
		}
		for _, survivor := range all {
			t.Run(c.name+","+survivor.name+"/"+f.name, func(t *testing.T) {
				store := 1
				for !f.run(t, c, survivor, store) {
					if store++; store > 100 {
						t.Fatal("it makes no end of stores")
					}
				}
				if n := store - 1; n < d.least || n > d.most {
					t.Errorf("it makes %d stores, %s says %d to %d", n, document, d.least, d.most)
				}
			})
		}
	}
	for name := range documented {
		t.Errorf("%s has a row for %q, which nobody tries", document, name)
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
	die := func(said []string) {
		if said != nil {
			dead := c.start(t)
			say(dead, "ok", said...)
			dead.Kill()
		}
	}
	die(f.dead)
	say(victim, "ok", f.victim...)
	die(f.deadNow)
	if f.waits != "" {
		peer.Say(f.waits)
		asleep(t, f.sleeps)
	}
	victim.Say("die", store)
	victim.Expect("ok")
	victim.Say(f.op)
	answer, lived := <-victim.Lines()
	if lived && answer != "ok" && answer != "1" && f.dead == nil && f.deadNow == nil {
		t.Fatalf("%s: %s", f.op, answer)
	}
	victim.Kill() // with what it still holds
	if f.rescue != nil {
		rescuer := c.start(t)
		defer rescuer.Kill()
		say(rescuer, "ok", f.rescue...)
	}
	if f.relief != nil && !lived {
		f.relieve(t, survivor)
	}
	switch {
	case f.waits == "":
	case f.wakes != "":
		if f.frees != nil && store < f.turns[0] {
			other := survivor.start(t)
			say(other, "ok", f.frees...)
			defer other.Kill()
		}
		f.expect(t, peer, f.waits, f.wakes, store)
	case lived || f.rescue != nil || f.relief != nil || f.victimHolds() || f.told():
		f.expect(t, peer, f.waits, "ok|ownerdied", store)
	default:
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
	return slices.ContainsFunc(f.victim, func(s string) bool {
		return s == "mutex lock" || s == "semaphore acquire" || s == "topic subscribe now" || s == "queue hold"
	})
}

// told: the first store of the operation lets the survivor go on; the wake-up is no store.
func (f fatal) told() bool { return f.op == "event set" || f.op == "semaphore release" }

func (f fatal) expect(t *testing.T, peer *rerun.Process, line, want string, store int) {
	t.Helper()
	got, wants := peer.Expect(""), strings.Split(want, "|")
	if f.turns != nil && len(wants) > 1 {
		passed := 0
		for passed < len(f.turns) && store >= f.turns[passed] {
			passed++
		}
		wants = wants[passed : passed+1]
	}
	if !slices.Contains(wants, got) {
		t.Fatalf("killed at store %d: %s: %q, want one of %q", store, line, got, wants)
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
