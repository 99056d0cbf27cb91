//go:build linux && (amd64 || arm64)

package object_test

import (
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

var update = flag.Bool("update", false, "write the golden dumps anew")

// A field is some bytes of an object that have a name.
type field struct {
	at, size int
	name     string
	varies   bool // from one object to the next: shown as ".."
}

// headerFields are the fields of a layout.Header.
func headerFields() []field {
	return []field{
		{0, 8, "header: magic \"SHOALobj\"", false}, {8, 4, "version 1.0", false}, {12, 4, "kind", false},
		{16, 8, "size", false}, {24, 8, "fingerprint", false}, {32, 8, "body", false},
		{40, 4, "schema offset", false}, {44, 4, "schema length", false}, {48, 4, "slots", false},
		{52, 4, "creator", true}, {56, 8, "created", true},
	}
}

// tableFields are those of a member table of n slots behind it.
func tableFields(n int) (all []field) {
	const at = layout.HeaderSize
	all = []field{
		{at, 4, "members: magic \"MEMB\"", false}, {at + 4, 4, "version 1.0", false}, {at + 8, 4, "slots", false},
		{at + 12, 4, "changes", false}, {at + 16, 8, "retired", false}, {at + 24, 8, "deaths", false},
		{at + 32, 8, "repairs", false}, {at + 40, 8, "lost wakes", false}, {at + 48, 8, "lock file", false},
	}
	for i := range n {
		all = append(all, field{at + layout.BellOffset(i), 4, fmt.Sprintf("bell %d", i), false})
	}
	for i := range n {
		s := at + layout.SlotOffset(n, i)
		varies := i == 0 // the first has been used
		all = append(all,
			field{s, 8, fmt.Sprintf("slot %d: claim", i), false}, field{s + 8, 4, "pid", varies}, field{s + 12, 4, "role", false},
			field{s + 16, 8, "pid namespace", varies}, field{s + 24, 8, "start", varies}, field{s + 32, 8, "joined", varies},
			field{s + 40, 16, "name", varies})
	}
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
		bytes := strings.TrimSpace(strings.Repeat(".. ", f.size))
		if !f.varies {
			bytes = fmt.Sprintf("% x", b[f.at:end])
		}
		fmt.Fprintf(&out, "%04x  %-23s  %s\n", f.at, bytes, f.name)
	}
	rest(len(b))
	fmt.Fprintf(&out, "%04x\n", len(b))
	return out.String()
}

// The bytes of every kind of object, as one process has made it and closed it:
// whoever changes the format sees it here, and raises its version.
func TestFormat(t *testing.T) {
	const slots = 2
	o := pshared.Options{Members: slots}
	type closer interface{ Close() error }
	for _, object := range []struct {
		name string
		open func() (closer, error)
		body []field // offsets from the body
	}{
		{"mutex", func() (closer, error) { return o.OpenMutex("golden") }, []field{
			{0, 4, "mutex: magic \"MUTX\"", false}, {4, 4, "config", false}, {8, 8, "state", false}}},
		{"rwmutex", func() (closer, error) { return o.OpenRWMutex("golden") }, []field{
			{0, 4, "rwmutex: magic \"RWMX\"", false}, {4, 4, "slots", false}, {8, 8, "writer", false}, {16, 4, "drained", false},
			{128, 8, "readers 0", false}, {256, 8, "readers 1", false}}},
		{"cond", func() (closer, error) { return o.OpenCond("golden") }, []field{
			{0, 4, "cond: magic \"COND\"", false}, {4, 4, "config", false}, {8, 4, "signals", false}}},
		{"semaphore", func() (closer, error) { return o.OpenSemaphore("golden", pshared.SemaphoreConfig{Value: 5}) }, []field{
			{0, 4, "semaphore: magic \"SEMA\"", false}, {4, 4, "permits", false}, {8, 4, "value", false}, {12, 4, "free", false}}},
		{"semaphore-undo", func() (closer, error) {
			return o.OpenSemaphore("golden", pshared.SemaphoreConfig{Value: 2, Undo: true})
		}, []field{
			{0, 4, "semaphore: magic \"SEMA\"", false}, {4, 4, "permits", false}, {8, 4, "value", false}, {12, 4, "free", false},
			{64, 8, "permit 0", false}, {72, 8, "permit 1", false}}},
		{"event", func() (closer, error) { return o.OpenEvent("golden", pshared.AutoReset) }, []field{
			{0, 4, "event: magic \"EVNT\"", false}, {4, 4, "auto", false}, {8, 4, "state", false}}},
		{"barrier", func() (closer, error) { return o.OpenBarrier("golden", 2) }, []field{
			{0, 4, "barrier: magic \"BARR\"", false}, {4, 4, "parties", false}, {8, 8, "phase", false},
			{16, 8, "deserted 0", false}, {24, 8, "deserted 1", false}, {64, 8, "place 0", false}, {72, 8, "place 1", false}}},
		{"once", func() (closer, error) { return o.OpenOnce("golden") }, []field{
			{0, 4, "once: magic \"ONCE\"", false}, {4, 4, "config", false}, {8, 8, "state", false}}},
	} {
		t.Run(object.name, func(t *testing.T) {
			p, err := object.open()
			if err != nil {
				t.Fatal(err)
			}
			defer pshared.Remove("golden")
			p.Close()
			seg, err := shm.Open("/shoal.golden", &shm.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer seg.Close()
			b := seg.Bytes()
			fields := append(headerFields(), tableFields(slots)...)
			body := int(binary.LittleEndian.Uint64(b[32:]))
			for _, f := range object.body {
				f.at += body
				fields = append(fields, f)
			}
			got := dump(b[:binary.LittleEndian.Uint64(b[16:])], fields)
			file := "testdata/" + object.name + ".hex"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("the format has changed: raise its version, say so in docs/FORMAT.md, and write %s anew with -update.\ngot:\n%s\nwant:\n%s", file, got, want)
			}
		})
	}
}
