//go:build linux && (amd64 || arm64)

package conformance

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

// A hand is a worker of TestKillTopic.
type hand struct {
	language  int
	subscribe string // what it says to subscribe; empty: it publishes
	work      string
	at        int // its number as a publisher, its place in the ledger as a subscriber
	process   *rerun.Process
}

// TestKillTopic kills publishers and subscribers of both languages in full flow. Subscriptions with a name get every
// record, whole and in order, the last one before a death perhaps twice; those that nobody waits for know what they
// miss, exactly.
func TestKillTopic(t *testing.T) {
	const kills = 80
	defer object.Remove("object", func(layout.Kind) bool { return true })
	seg, err := shm.Create("/ledger", 4096, nil)
	must(t, err)
	defer shm.Remove("/ledger")
	defer seg.Close()
	ledger, err := mem.Array[mem.Uint64](seg.Bytes(), 0, 512)
	must(t, err)
	all := languages(t)
	hands := []*hand{
		{0, "named go", "collect", 32, nil}, {1, "named c", "collect", 64, nil},
		{0, "lossy", "watch", 96, nil}, {1, "lossy", "watch", 128, nil},
		{0, "", "publish", 0, nil}, {1, "", "publish", 1, nil},
	}
	employ := func(h *hand) {
		h.process = all[h.language].start(t)
		say(h.process, "ok", "segment open /ledger", "topic open object")
		if h.subscribe == "" {
			say(h.process, "ok", "topic publisher")
		} else {
			say(h.process, "ok", "topic subscribe "+h.subscribe)
		}
		h.process.Say("topic", h.work, h.at)
	}
	for _, h := range hands {
		employ(h)
	}
	done := func() uint64 { return min(ledger[32+8].Load(), ledger[64+8].Load()) }
	for range kills {
		before := done()
		eventually(t, "records come", func() bool { return done() > before+20 })
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		h := hands[rand.IntN(len(hands))]
		for _, other := range hands {
			select {
			case line := <-other.process.Lines():
				t.Fatalf("%s %d of %s has ended by itself: %q", other.work, other.at, all[other.language].name, line)
			default:
			}
		}
		h.process.Kill()
		if h.subscribe == "" {
			ledger[16+h.at].Add(1) // before the next one
		}
		employ(h)
	}
	for _, h := range hands[2:] { // publishers, last
		h.process.Kill()
		if h.subscribe == "" {
			ledger[16+h.at].Add(1)
		}
	}
	tp, err := topic.Open[[]byte]("object", nil)
	must(t, err)
	defer tp.Close()
	settled := func() bool {
		for _, s := range tp.Stats().Subscribers {
			for _, l := range s.Lag {
				if s.Name != "" && l.Records != 0 {
					return false
				}
			}
		}
		return true
	}
	eventually(t, "all has been received", settled)
	for _, h := range hands[:2] {
		h.process.Kill()
		for p := range 2 {
			sent, word := ledger[p].Load(), ledger[h.at+p].Load()
			if missing := sent - word>>16 + word&0xffff; missing > ledger[16+p].Load() {
				t.Errorf("%s: %d of %d records of publisher %d are missing, of which %d were killed", h.subscribe, missing, sent,
					p, ledger[16+p].Load())
			}
		}
	}
	must(t, tp.Check())
	s := tp.Stats()
	if s.LostWakes > s.Deaths {
		t.Errorf("%d wake-ups lost, %d deaths", s.LostWakes, s.Deaths)
	}
	t.Logf("%d and %d records; watched %d and %d; %d deaths, %d repairs, %d lost wakes", ledger[32+8].Load(),
		ledger[64+8].Load(), ledger[96+8].Load(), ledger[128+8].Load(), s.Deaths, s.Repairs, s.LostWakes)
}

// sound makes a topic with something in all of its parts, and returns its bytes.
func soundTopic(t *testing.T) []byte {
	t.Helper()
	defer topic.Remove("object")
	tp, err := topic.Create[[]byte]("object", &topic.Options{Publishers: 2, Subscribers: 4, LaneSize: 4096})
	must(t, err)
	for i := range 2 {
		p, err := tp.Publisher()
		must(t, err)
		s, err := tp.Subscribe(&topic.SubscribeOptions{Name: []string{"durable", "other"}[i]})
		must(t, err)
		for k := range 40 { // the lane is nearly full
			must(t, p.Send(t.Context(), filled(uint64(k), 8+k%90)))
			_, ok, err := s.TryReceive()
			if err != nil || !ok {
				t.Fatal(ok, err)
			}
		}
		must(t, p.Send(t.Context(), filled(40, 500)))
		must(t, s.Close())
		must(t, p.Close())
		if i == 0 {
			must(t, tp.Forget("durable"))
		}
	}
	must(t, tp.Close())
	b, err := os.ReadFile("/dev/shm/shoal.object")
	must(t, err)
	return b
}

// TestDamagedTopic has a C program with the address sanitizer use topics whose bytes are anything: each function comes
// back, with what is there or with an error.
func TestDamagedTopic(t *testing.T) {
	program := compile(t, "cc", "role", "-std=c11", "-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
	good := soundTopic(t)
	body := int(binary.LittleEndian.Uint64(good[32:]))
	c := startC(t, program)
	defer c.Kill()
	try := func(what string, b []byte, want ...string) {
		t.Helper()
		must(t, os.WriteFile("/dev/shm/shoal.object", b, 0o600))
		c.Say("topic try_all object")
		got := c.ExpectWithin(time.Minute, "")
		must(t, os.Remove("/dev/shm/shoal.object"))
		if len(want) > 0 && got != want[0] || got != "sound" && got != "errors" && got != "refused" {
			t.Fatalf("%s: %q", what, got)
		}
	}
	try("as it was made", good, "sound")
	words := []uint64{0, 1, 7, 8, 0x100, 0xffff, 0x10001, 4096, 1 << 31, 1<<32 - 1, 1<<63 | 4, 1<<63 | 1<<61 | 8,
		1<<63 | 0xffffffff, 1<<63 | 1<<62 | 4088, 1<<64 - 1, 1<<64 - 8, 1<<32 | 1<<16, 1<<48 | 1<<16 | 1}
	head, places := layout.TopicSize, layout.PlacesAt(2)
	end := layout.DataAt(2, 4)
	var at []int
	for o := 0; o < 128; o += 8 { // every word of the head, of the first lane, of the places, and of some cursors
		at = append(at, o)
	}
	rows, cursors := layout.SubscribersAt(2, 4), layout.CursorsAt(2, 4)
	for _, span := range [][2]int{{128, 136}, {256, 272}, {head, head + 128 + 64}, {head + 384, head + 392},
		{head + 512, head + 520}, {places, places + 32}, {rows, rows + 64}, {cursors, cursors + 64},
		{cursors + 128, cursors + 128 + 64}} {
		for o := span[0]; o < span[1]; o += 8 {
			at = append(at, o)
		}
	}
	lossy := bytes.Clone(good) // a subscription with a name, which nobody waits for, and nobody has dropped
	binary.LittleEndian.PutUint64(lossy[body+places:], layout.SubNamed)
	try("a name that is lossy", lossy, "errors")
	random := rand.New(rand.NewPCG(1, 2))
	for _, o := range at {
		for range 6 {
			w := words[random.IntN(len(words))]
			b := bytes.Clone(good)
			binary.LittleEndian.PutUint64(b[body+o:], w)
			try(fmt.Sprintf("word at %d is %#x", o, w), b)
		}
	}
	headers := []uint64{1<<63 | 0xffffffff, 1<<63 | 2025, 1<<63 | 2024, 1<<63 | 1<<61 | 2024, 1<<63 | 1<<62 | 100,
		1<<63 | 1<<60 | 8, 8}
	for at, data := 0, good[body+end:]; ; {
		header := binary.LittleEndian.Uint64(data[at:])
		if header == 0 {
			break
		}
		for _, w := range headers {
			b := bytes.Clone(good)
			binary.LittleEndian.PutUint64(b[body+end+at:], w)
			try(fmt.Sprintf("header at %d is %#x", at, w), b)
		}
		at += int(layout.RecordSize(header&layout.RecordLength) + header&layout.RecordStamp>>61*layout.RecordStampSize)
	}
	for i := range 100 { // anything
		b := bytes.Clone(good)
		for range 1 + random.IntN(4) {
			o := body + end + 8*random.IntN(2*4096/8)
			if i%2 == 0 {
				o = body + 8*random.IntN(end/8)
			}
			binary.LittleEndian.PutUint64(b[o:], words[random.IntN(len(words))])
		}
		try(fmt.Sprintf("random, round %d", i), b)
	}
	for _, size := range []int{body, body + 8, body + 384, body + places, body + end, len(good) - 8} {
		try(fmt.Sprintf("cut to %d bytes", size), good[:size], "refused")
		b := bytes.Clone(good[:size])
		binary.LittleEndian.PutUint64(b[16:], uint64(size))
		try(fmt.Sprintf("cut to %d bytes, and says so", size), b, "refused")
	}
}

// goldenTopic has every language make the same topic, do the same to it, and close it: but for clocks and processes the
// bytes are the same.
func goldenTopic(t *testing.T, all []language) {
	var first []byte
	for _, l := range all {
		p := l.start(t)
		say(p, "ok", "topic open object", "topic subscribe named reader", "topic publisher", "topic stream 0 30",
			"topic drain 0 20", "topic batch 7 60", "topic unpublisher", "topic unsubscribe", "topic close")
		p.Kill()
		b, err := os.ReadFile("/dev/shm/shoal.object")
		must(t, err)
		must(t, topic.Remove("object"))
		timeless(b)
		if first == nil {
			first = b
		} else if !bytes.Equal(first, b) {
			t.Errorf("%s differs:\n%s", l.name, differences(first, b))
		}
	}
}

// timeless clears what a topic of the roles says of time, and of who has made it.
func timeless(b []byte) {
	clear(b[52:64])
	clear(b[layout.HeaderSize+layout.SlotOffset(int(binary.LittleEndian.Uint32(b[48:])), 0)+8:][:48])
	body := b[binary.LittleEndian.Uint64(b[32:]):]
	clear(body[layout.TopicSize+88:][:8]) // active
	clear(body[layout.SubscribersAt(3, 4)+56:][:8])
	clear(body[layout.SubscribersAt(3, 4)+layout.Line:][:layout.LatencySize])
	clear(body[layout.CursorsAt(3, 4)+88:][:8])
	data := body[layout.DataAt(3, 4):][:4096]
	for at := 0; at < len(data); {
		header := binary.LittleEndian.Uint64(data[at:])
		if header == 0 {
			break
		}
		at += int(layout.RecordSize(header & layout.RecordLength))
		if header&layout.RecordStamp != 0 {
			clear(data[at:][:8])
			at += 8
		}
	}
}

// TestExampleTopic has the C examples publish to, and receive from, Go.
func TestExampleTopic(t *testing.T) {
	tp, err := topic.Create[[]byte]("example-topic", nil)
	must(t, err)
	defer topic.Remove("example-topic")
	defer tp.Close()
	s, err := tp.Subscribe(nil)
	must(t, err)
	c := startC(t, example(t, "subscriber"), "example-topic", "reader")
	eventually(t, "it subscribes", func() bool { return len(tp.Stats().Subscribers) == 2 })
	publisher := exec.Command(example(t, "publisher"), "example-topic")
	publisher.Stdin = bytes.NewReader([]byte("one\ntwo\n"))
	out, err := publisher.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{"one", "two"} {
		got, err := s.Receive(t.Context())
		if err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
		c.Expect(want)
	}
	c.Kill()
	p, err := tp.Publisher()
	must(t, err)
	must(t, p.Send(t.Context(), []byte("three")))
	c = startC(t, example(t, "subscriber"), "example-topic", "reader")
	defer c.Kill()
	if got := c.Expect(""); got == "two" { // it was killed before it could release that
		c.Expect("three")
	} else if got != "three" {
		t.Errorf("it prints %q", got)
	}
}
