//go:build linux && (amd64 || arm64)

package ring_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
)

var update = flag.Bool("update", false, "write the golden dump anew")

// A field is some bytes of a ring that have a name.
type field struct {
	at, size int
	name     string
	varies   bool // from one ring to the next: shown as ".."
}

// ringFields are the fields of the body, which begins at an offset, and what stands
// in the data: records.
func ringFields(body int, records []field) (all []field) {
	const control, cursor, data = layout.RingLane, layout.RingLane + layout.LaneSize, layout.RingSize
	all = []field{{0, 8, "ring: size", false}}
	for i, name := range []string{"lane: owner", "claim", "marked", "messages", "bytes", "full", "blocked", "high water",
		"wakes", "lost wakes", "repairs", "active"} {
		all = append(all, field{control + 8*i, 8, name, name == "active"})
	}
	for i := range layout.Marks {
		all = append(all, field{control + 128 + 16*i, 8, fmt.Sprintf("mark %d: position", i), false},
			field{control + 128 + 16*i + 8, 8, "number", false})
	}
	all = append(all, field{control + 384, 4, "data", false}, field{control + 388, 4, "hurry", false}, field{control + 512, 4, "space", false})
	for i, name := range []string{"cursor: owner", "position", "flags", "messages", "bytes", "missed", "lapped", "blocked",
		"wakes", "lost wakes", "repairs", "active"} {
		all = append(all, field{cursor + 8*i, 8, name, name == "active"})
	}
	all = append(all, field{cursor + layout.CursorSize, layout.LatencySize, "latency", true})
	for _, r := range records {
		r.at += data
		all = append(all, r)
	}
	for i := range all {
		all[i].at += body
	}
	return all
}

// dump is b, from an offset on, with a line for each field; other bytes are listed
// if they are not 0.
func dump(b []byte, from int, fields []field) string {
	var out strings.Builder
	end := from
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
		bytes := strings.TrimSpace(strings.Repeat(".. ", min(f.size, 8)))
		if !f.varies {
			bytes = fmt.Sprintf("% x", b[f.at:end])
		}
		fmt.Fprintf(&out, "%04x  %-23s  %s\n", f.at, bytes, f.name)
	}
	rest(len(b))
	fmt.Fprintf(&out, "%04x\n", len(b))
	return out.String()
}

// The bytes of a ring with three records, the first of them released: whoever
// changes the format sees it here, and raises its version. The header and the
// members are those of every object: see package object.
func TestFormat(t *testing.T) {
	_, w, rd := ends[[]byte](t, small)
	must(t, w.Send(background, []byte("first")))
	n, err := w.SendBatch(background, [][]byte{[]byte("record 2"), []byte("the third record")})
	if must(t, err); n != 2 {
		t.Fatal(n)
	}
	if v := got(rd.Receive(background))(t); string(v) != "first" {
		t.Fatalf("%q", v)
	}
	must(t, rd.Close())
	must(t, w.Close())
	b := got(os.ReadFile("/dev/shm/shoal.r"))(t)
	body := int(binary.LittleEndian.Uint64(b[32:]))
	got := dump(b[:binary.LittleEndian.Uint64(b[16:])], body, ringFields(body, []field{
		{0, 8, "record at 0: header: there, stamp, length", false}, {8, 8, "payload \"first\"", false}, {16, 8, "its stamp", true},
		{24, 8, "record at 24: header", false}, {32, 8, "payload", false},
		{40, 8, "record at 40: header", false}, {48, 8, "payload", false}, {56, 8, "payload, its rest", false},
		{64, 8, "record at 64: header: the end", false},
	}))
	const file = "testdata/ring.hex"
	if *update {
		must(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	must(t, err)
	if got != string(want) {
		t.Errorf("the format has changed: raise its version, say so in docs/FORMAT.md, and write %s anew with -update.\ngot:\n%s\nwant:\n%s", file, got, want)
	}
}
