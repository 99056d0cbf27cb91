//go:build linux && (amd64 || arm64)

package topic_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

var update = flag.Bool("update", false, "write the golden dump anew")

// A field is some bytes of an object that have a name.
type field struct {
	at, size int
	name     string
	varies   bool // from one object to the next: shown as ".."
}

// topicFields are those of the body of a topic of one lane and two subscribers, with
// two records in it.
func topicFields(body int) (all []field) {
	at := body
	add := func(size int, name string) {
		v := strings.HasPrefix(name, "~")
		all = append(all, field{at, size, strings.TrimPrefix(name, "~"), v})
		at += size
	}
	words := func(prefix string, names ...string) {
		for _, name := range names {
			v := ""
			if strings.HasPrefix(name, "~") {
				v, name = "~", name[1:]
			}
			add(8, v+prefix+name)
		}
	}
	add(4, "topic: lanes")
	add(4, "subscribers")
	add(8, "lane size")
	add(4, "policy")
	at = body + layout.Line
	add(4, "data")
	add(4, "rest")
	at = body + 2*layout.Line
	add(4, "used lanes")
	add(4, "used places")
	add(8, "joins")
	at = body + layout.TopicSize
	words("lane 0: ", "owner", "claim", "marked", "messages", "bytes", "full", "blocked", "high water", "wakes", "lost wakes", "repairs", "~active")
	at = body + layout.TopicSize + layout.Line
	for k := range layout.Marks {
		words(fmt.Sprintf("mark %d: ", k), "position", "number")
	}
	add(4, "data (unused)")
	at = body + layout.TopicSize + 4*layout.Line
	add(4, "space")
	at = body + layout.PlacesAt(1)
	words("place ", "0", "1")
	for i := range 2 {
		at = body + layout.SubscribersAt(1, 2) + i*layout.SubscriberSize
		words(fmt.Sprintf("subscriber %d: ", i), "name", "name", "blocked", "wakes", "lost wakes", "repairs", "drops", "~joined")
		at = body + layout.SubscribersAt(1, 2) + i*layout.SubscriberSize + layout.Line
		all = append(all, field{at, layout.LatencySize, "latency", true})
	}
	for i := range 2 {
		at = body + layout.CursorsAt(1, 2) + i*layout.CursorSize
		words(fmt.Sprintf("cursor 0, %d: ", i), "owner", "position", "base number", "messages", "bytes", "missed", "lapped", "blocked", "wakes", "lost wakes", "repairs", "~active")
	}
	at = body + layout.DataAt(1, 2)
	words("data of lane 0: ", "header of a stamped record")
	add(8, "payload \"one\"")
	add(8, "~stamp")
	add(8, "header")
	add(8, "payload \"second\"")
	add(8, "end")
	return all
}

// dump is b with a line for each field; other bytes are listed if they are not 0.
func dump(b []byte, fields []field) string {
	var out strings.Builder
	end := 0
	rest := func(to int) {
		for ; end < to; end++ {
			if b[end] != 0 {
				fmt.Fprintf(&out, "%04x  %02x                       not described\n", end, b[end])
			}
		}
	}
	for _, f := range fields {
		rest(f.at)
		end = f.at + f.size
		bytes := fmt.Sprintf("% x", b[f.at:end])
		if f.varies {
			bytes = strings.TrimSpace(strings.Repeat(".. ", min(f.size, 8)))
		}
		fmt.Fprintf(&out, "%04x  %-23s  %s\n", f.at, bytes, f.name)
	}
	rest(len(b))
	fmt.Fprintf(&out, "%04x\n", len(b))
	return out.String()
}

// The bytes of a small topic behind its member table, after two records were sent, one
// of them was read, and all have gone: whoever changes the format sees it here, and
// raises its version.
func TestFormat(t *testing.T) {
	tp := got(topic.Create[[]byte]("golden", &topic.Options{Publishers: 1, Subscribers: 2, LaneSize: topic.MinLaneSize}))(t)
	defer topic.Remove("golden")
	s := got(tp.Subscribe(&topic.SubscribeOptions{Name: "reader"}))(t)
	p := got(tp.Publisher())(t)
	send(t, p, "one", "second")
	got(s.Receive(background))(t)
	must(t, p.Close())
	must(t, tp.Close())
	seg := got(shm.Open("/shoal.golden", &shm.Options{ReadOnly: true}))(t)
	defer seg.Close()
	b := seg.Bytes()
	body, size := int(binary.LittleEndian.Uint64(b[32:])), int(binary.LittleEndian.Uint64(b[16:]))
	fields := []field{
		{0, 8, "header: magic \"SHOALobj\"", false}, {8, 4, "version 1.0", false}, {12, 4, "kind", false},
		{16, 8, "size", false}, {24, 8, "fingerprint", false}, {32, 8, "body", false},
		{40, 4, "schema offset", false}, {44, 4, "schema length", false}, {48, 4, "slots", false},
		{52, 4, "creator", true}, {56, 8, "created", true},
		{64, body - 64, "members", true},
	}
	got := dump(b[:size], append(fields, topicFields(body)...))
	const file = "testdata/topic.hex"
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got != string(want) {
		t.Errorf("the format has changed: raise its version, say so in docs/FORMAT.md, and write %s anew with -update.\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}
