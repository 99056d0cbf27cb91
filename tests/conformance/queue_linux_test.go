//go:build linux && (amd64 || arm64)

package conformance

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/queue"
)

// The survivor's last words, where there is a queue: another message goes through, and all slots are free in the end.
var queueAfter = []string{"queue send 90 8", "queue count", "queue check", "queue free"}

// queueOutcome is what it answers, having found so many messages.
func queueOutcome(count string) []string { return []string{"ok", count, "ok", "4"} }

// opened opens the queue of the fatals, and says more.
func opened(lines ...string) []string {
	return slices.Concat([]string{"queue open object 4 480"}, lines)
}

func init() {
	fatals = append(fatals, []fatal{
		{
			name: "make a queue", op: "queue open object 4 480",
			after: opened(queueAfter...), outcome: slices.Concat([]string{"ok"}, queueOutcome("1")),
		}, {
			name: "open a queue", op: "queue open object 4 480",
			peer: opened("queue send 1 100"), after: queueAfter, outcome: queueOutcome("2"),
		}, {
			name: "open a queue of somebody dead", op: "queue open object 4 480",
			peer: opened("queue send 1 100", "queue send 2 100"), deadNow: opened("queue hold", "queue lend 3 100"),
			after: queueAfter, outcome: queueOutcome("3"),
		}, {
			name: "close a queue with messages and loans", op: "queue close",
			peer: opened("queue send 1 100", "queue send 2 100"), victim: opened("queue hold", "queue lend 3 100"),
			after: queueAfter, outcome: queueOutcome("3"),
		}, {
			name: "send a message", op: "queue send 1 100",
			peer: opened(), victim: opened(), after: queueAfter, outcome: queueOutcome("1|2"),
			turns: []int{6}, // state, tail, position, payload, length; state
		}, {
			name: "send a message, a consumer sleeps", op: "queue send 1 100",
			peer: opened(), victim: opened(), waits: "queue use", sleeps: 512, relief: opened("queue send 5 8"),
			after: queueAfter, outcome: queueOutcome("1"),
		}, {
			name: "send messages", op: "queue batch 1 3",
			peer: opened(), victim: opened(), after: queueAfter, outcome: queueOutcome("1|2|3|4"),
			turns: []int{6, 12, 18},
		}, {
			name: "lend a slot", op: "queue lend 1 100",
			peer: opened(), victim: opened(), after: queueAfter, outcome: queueOutcome("1"),
		}, {
			name: "commit", op: "queue commit",
			peer: opened(), victim: opened("queue lend 1 100"), after: queueAfter, outcome: queueOutcome("1|2"),
			turns: []int{2}, // length; state
		}, {
			name: "commit what has been passed", op: "queue commit",
			peer: opened(), victim: opened("queue lend 1 100", "queue send 2 100", "queue use"),
			after: queueAfter, outcome: queueOutcome("1|2"),
			turns: []int{4}, // length, mark, returned; state
		}, {
			name: "cancel", op: "queue cancel",
			peer: opened(), victim: opened("queue lend 1 100"), after: queueAfter, outcome: queueOutcome("1"),
		}, {
			name: "cancel what has been passed", op: "queue cancel",
			peer: opened(), victim: opened("queue lend 1 100", "queue send 2 100", "queue use"),
			after: queueAfter, outcome: queueOutcome("1"),
		}, {
			name: "receive and acknowledge", op: "queue use",
			peer: opened("queue send 1 100", "queue send 2 100"), victim: opened(),
			after: queueAfter, outcome: queueOutcome("3|2"),
			turns: []int{5}, // state, head, deliveries, since when; state
		}, {
			name: "receive what was given back", op: "queue use",
			peer: opened("queue send 1 100", "queue back"), victim: opened(), after: queueAfter, outcome: queueOutcome("2|1"),
			turns: []int{6}, // state, mark, deliveries, since when, a counter; state
		}, {
			name: "receive past a slot that is lent", op: "queue use",
			peer: opened("queue lend 1 100", "queue send 2 100"), victim: opened(),
			after:   slices.Concat([]string{"queue commit"}, queueAfter),
			outcome: slices.Concat([]string{"ok"}, queueOutcome("3|2")),
			turns:   []int{10},
		}, {
			name: "receive and give back", op: "queue back",
			peer: opened("queue send 1 100", "queue send 2 100"), victim: opened(), after: queueAfter, outcome: queueOutcome("3"),
		}, {
			name: "give back, a consumer sleeps", op: "queue nack",
			peer: opened("queue send 1 100"), victim: opened("queue hold"), waits: "queue use", sleeps: 512,
			after: queueAfter, outcome: queueOutcome("1"),
		}, {
			name: "acknowledge, a producer sleeps", op: "queue ack",
			peer:   []string{"queue open object 1 480", "queue send 1 100"},
			victim: []string{"queue open object 1 480", "queue hold"}, waits: "queue send 2 8", sleeps: 640,
			after:   []string{"queue count", "queue send 3 8", "queue count", "queue check", "queue free"},
			outcome: []string{"1", "ok", "1", "ok", "1"},
		}, {
			name: "repair", op: "queue repair",
			peer: opened("queue send 1 100", "queue send 2 100"), victim: opened(), deadNow: opened("queue hold", "queue lend 3 100"),
			after: queueAfter, outcome: queueOutcome("3"),
		}, {
			name: "bury, to receive", op: "queue use",
			peer: opened("queue send 1 100"), victim: opened(), deadNow: opened("queue hold"),
			after: queueAfter, outcome: queueOutcome("2|1"),
			turns: []int{18}, // after a wait, a burial, and what comes before the state as above
		},
	}...)
}

// relieve has another process say what lets the survivor go on, unless the victim has come to it.
func (f fatal) relieve(t *testing.T, l language) {
	t.Helper()
	o, err := queue.Observe("object")
	must(t, err)
	defer o.Close()
	var s queue.Stats
	some := func() bool { return s.Sent+uint64(s.Ready+s.Taken)+s.Acked > 0 }
	eventually(t, "the survivor has the message, or has buried the victim", func() bool {
		s, err = o.Stats()
		must(t, err)
		return some() || s.Members == 1
	})
	if some() {
		return
	}
	p := l.start(t)
	say(p, "ok", f.relief...)
	p.Kill()
}

// TestKillQueue kills producers and consumers of both languages at any moment: whatever was sent has been consumed, whole,
// and twice at most as often as somebody has died; and the others go on.
func TestKillQueue(t *testing.T) {
	const kills, workers = 100, 8
	defer object.Remove("object", func(layout.Kind) bool { return true })
	c := hire(t, workers, "queue open object 64 256", "queue work")
	c.kill(kills)

	q, err := queue.Open[[]byte]("object", nil)
	must(t, err)
	defer q.Close()
	must(t, q.Repair())
	b := newBook(c.bytes)
	for {
		m, ok, err := q.TryReceive()
		must(t, err)
		if !ok {
			break
		}
		b.enter(int((*m.Value)[8]), binary.LittleEndian.Uint64(*m.Value))
		must(t, m.Ack())
	}
	sent, consumed := uint64(0), uint64(0)
	for i := range workers / 2 {
		acknowledged := b.words[i].Load()
		sent += acknowledged
		consumed += b.words[workers/2+i].Load()
		for n := uint64(1); n <= acknowledged; n++ {
			if w, bit := b.place(i, n); w.Load()&bit == 0 {
				t.Errorf("message %d of worker %d is lost", n, i)
				break
			}
		}
	}
	must(t, q.Check())
	s := q.Stats()
	t.Logf("%d sent, %d consumed by who was killed; %+v", sent, consumed, s)
	if s.Free != s.Slots || s.Sent < sent-4*workers || s.LostWakes > s.Deaths {
		t.Errorf("%d sent, %d consumed; %+v", sent, consumed, s)
	}
	// Of each one who died up to four messages more may have been consumed, or sent, than is written down.
	if most := sent + 8*(kills+workers); consumed > most {
		t.Errorf("%d sent, %d consumed", sent, consumed)
	}
	if int(s.Deaths)+s.Members != kills+workers+1 {
		t.Errorf("%d deaths, %d members; %d have died, and we are a member", s.Deaths, s.Members, kills+workers)
	}
}

// TestGoldenQueue has every language make and use the same queue: the bytes are the same, but for times.
func TestGoldenQueue(t *testing.T) {
	lines := opened("queue send 1 16", "queue send 2 480", "queue batch 3 2", "queue back", "queue back", "queue use", "queue use", "queue use",
		"queue lend 5 40", "queue send 6 10", "queue commit 33", "queue hold", "queue lend 7 8", "queue close")
	var golden []byte
	defer object.Remove("object", func(layout.Kind) bool { return true })
	for _, l := range languages(t) {
		p := l.start(t)
		say(p, "ok", lines...)
		p.Kill()
		b, err := os.ReadFile("/dev/shm/shoal.object")
		must(t, err)
		must(t, object.Remove("object", func(layout.Kind) bool { return true }))
		clear(b[52:64]) // creator, created
		slot := layout.HeaderSize + layout.SlotOffset(layout.DefaultSlots, 0)
		clear(b[slot+8 : slot+56])
		body := 3584
		clear(b[body+layout.QueueSize+96:][:16]) // last sent, last received
		for i := range 4 {
			at := body + layout.QueueSlotsOffset(layout.DefaultSlots, 4) + i*512
			clear(b[at+24:][:8]) // stamp
		}
		if golden == nil {
			golden = b
		} else if !bytes.Equal(golden, b) {
			t.Errorf("%s differs:\n%s", l.name, differences(golden, b))
		}
	}
}

// TestExampleQueue has the C examples do jobs: their producer's, and those of Go.
func TestExampleQueue(t *testing.T) {
	producer, worker := example(t, "producer"), example(t, "worker")
	q, err := queue.OpenOrCreate[[]byte]("example-jobs", nil)
	must(t, err)
	defer run(t, producer, "remove")
	defer q.Close()
	cmd := exec.Command(producer)
	cmd.Stdin = strings.NewReader("one\nlater two\n")
	out, err := cmd.CombinedOutput()
	if err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	m, err := q.Receive(t.Context())
	must(t, err)
	if string(*m.Value) != "one\n" {
		t.Errorf("it has sent %q", *m.Value)
	}
	p := startC(t, worker)
	p.Expect("(again) later two")
	must(t, m.Nack())
	p.Expect("(again) one")
	must(t, q.Send(t.Context(), []byte("three\n")))
	p.Expect("three")
	eventually(t, "all is done", func() bool { return q.Stats().Acked == 3 })
}
