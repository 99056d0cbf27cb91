//go:build linux && (amd64 || arm64)

package queue_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/shm"
)

var update = flag.Bool("update", false, "write the golden dump anew")

// quote has no padding: bytes between fields are whatever they were.
type quote struct {
	Time  int64
	Price float64
	Size  uint32
	Venue uint32
}

// The bytes of a queue, as one process has made and used it: whoever changes the format
// sees it here, and raises its version. Header and member table are those of every object.
func TestFormat(t *testing.T) {
	q := got(queue.Create[quote]("golden", &queue.Options{Slots: 2}))(t)
	defer queue.Remove("golden")
	must(t, q.Send(background, quote{Time: 1, Price: 1.5, Size: 7, Venue: 9}))
	must(t, q.Send(background, quote{Time: 2}))
	must(t, got(q.Receive(background))(t).Nack())
	must(t, got(q.Receive(background))(t).Nack())
	m := got(q.Receive(background))(t)
	must(t, m.Ack())
	got(q.Receive(background))(t) // given back by Close
	must(t, q.Close())

	seg := got(shm.Open("/shoal.golden", &shm.Options{ReadOnly: true}))(t)
	defer seg.Close()
	b := seg.Bytes()[:binary.LittleEndian.Uint64(seg.Bytes()[16:])]
	body := b[binary.LittleEndian.Uint64(b[32:]):]
	var out strings.Builder
	fmt.Fprintf(&out, "kind %d, schema:\n%s\noffsets from the body\n", b[12],
		b[binary.LittleEndian.Uint32(b[40:]):][:binary.LittleEndian.Uint32(b[44:])])
	end := 0
	field := func(at, size int, name string, varies bool) {
		for ; end < at; end++ {
			if body[end] != 0 {
				fmt.Fprintf(&out, "%04x  %02x                       not described\n", end, body[end])
			}
		}
		end = at + size
		text := strings.TrimSpace(strings.Repeat(".. ", size))
		if !varies {
			text = fmt.Sprintf("% x", body[at:end])
		}
		fmt.Fprintf(&out, "%04x  %-23s  %s\n", at, text, name)
	}
	for _, f := range []struct {
		at, size int
		name     string
	}{
		{0, 8, "slots"}, {8, 8, "stride"}, {128, 8, "tail"}, {256, 8, "head"}, {384, 8, "skips"}, {392, 8, "returned"},
		{512, 4, "items"}, {640, 4, "space"}, {644, 4, "full"}, {648, 8, "high water"},
	} {
		field(f.at, f.size, f.name, false)
	}
	for i, name := range []string{"sent", "bytes", "acked", "nacked", "redelivered", "full", "send blocked", "receive blocked",
		"wakes", "lost wakes", "returned", "freed", "last sent", "last received"} {
		field(layout.QueueSize+8*i, 8, "row 0: "+name, i >= 12)
	}
	field(layout.QueueMarksOffset(layout.DefaultSlots), 8, "marks", false)
	for i := range 2 {
		at := layout.QueueSlotsOffset(layout.DefaultSlots, 2) + i*128
		field(at, 8, fmt.Sprintf("slot %d: state", i), false)
		field(at+8, 8, "position", false)
		field(at+16, 4, "length", false)
		field(at+20, 4, "deliveries", false)
		field(at+24, 8, "stamp", true)
		field(at+32, 24, "message", false)
	}
	field(len(body), 0, "end", false)

	const file = "testdata/queue.hex"
	if *update {
		must(t, os.WriteFile(file, []byte(out.String()), 0o644))
	}
	want := got(os.ReadFile(file))(t)
	if out.String() != string(want) {
		t.Errorf("the format has changed: raise its version, say so in docs/FORMAT.md, and write %s anew with -update.\ngot:\n%s\nwant:\n%s", file, &out, want)
	}
}
