//go:build linux && (amd64 || arm64)

package conformance

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

type tick struct {
	Time  int64   `shoal:"time"`
	Price float64 `shoal:"price"`
}

type tock struct {
	Time  int64 `shoal:"time"`
	Price int64 `shoal:"price"`
}

// TestSchema has C make an object for values of a type that Go describes, and open one that Go has made.
func TestSchema(t *testing.T) {
	ticks, err := schema.Of[tick]()
	must(t, err)
	tocks, err := schema.Of[tock]()
	must(t, err)
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "tick.h"), []byte(ticks.C("tick")), 0o600))
	program := compile(t, "cc", "schema", append(strict, "-I"+dir)...)
	remove := func() { object.Remove("object", func(layout.Kind) bool { return true }) }
	defer remove()

	if got := run(t, program, "make"); got != "time 1234, 64 bytes\n" {
		t.Fatalf("C makes it and prints %q", got)
	}
	o, err := object.Open("object", object.Spec{Schema: ticks})
	must(t, err)
	if got := binary.LittleEndian.Uint64(o.Segment.Bytes()[o.Body+16:]); got != 1234 {
		t.Errorf("Go reads %d", got)
	}
	must(t, o.Segment.Close())
	if _, err := object.Open("object", object.Spec{Schema: tocks}); !errors.Is(err, shm.ErrTypeMismatch) {
		t.Errorf("another type: %v", err)
	}
	remove()

	for _, c := range []struct {
		schema *schema.Schema
		want   string
	}{
		{ticks, "time 77, 64 bytes\n"},
		{tocks, "object holds values of another type: line 4 of the type: " +
			"want \"\t8 price float64\", have \"\t8 price int64\"\n"},
	} {
		o, err := object.Create("object", object.Spec{Kind: layout.KindRing, Size: 64, Schema: c.schema,
			Fill: func(body []byte) { body[16] = 77 }})
		must(t, err)
		must(t, o.Segment.Close())
		if got := run(t, program, "open"); got != c.want {
			t.Errorf("C opens it and prints %q, want %q", got, c.want)
		}
		remove()
	}
}
