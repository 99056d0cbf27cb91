//go:build linux && (amd64 || arm64)

package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	sizes(t, program)
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

// sizes has C say how large types are, as rings of them need it.
func sizes(t *testing.T, program string) {
	t.Helper()
	size := func(text string) string {
		t.Helper()
		cmd := exec.Command(program, "size")
		cmd.Stdin = strings.NewReader(text)
		out, err := cmd.Output()
		must(t, err)
		return strings.TrimSpace(string(out))
	}
	of := func(s *schema.Schema, err error) {
		t.Helper()
		must(t, err)
		if got := size(s.String()); got != fmt.Sprint(s.Size()) {
			t.Errorf("%s bytes, want %d:\n%s", got, s.Size(), s)
		}
	}
	of(schema.Of[tick]())
	of(schema.Of[[3]tick]())
	of(schema.Of[[7][2]struct {
		A [3]tick
		B bool
	}]())
	of(schema.Of[bool]())
	of(schema.Of[int8]())
	of(schema.Of[int16]())
	of(schema.Of[int32]())
	of(schema.Of[int64]())
	of(schema.Of[uint8]())
	of(schema.Of[uint16]())
	of(schema.Of[uint32]())
	of(schema.Of[uint64]())
	of(schema.Of[float32]())
	of(schema.Of[float64]())
	of(schema.Of[complex64]())
	of(schema.Of[complex128]())
	of(schema.Of[[5]complex128]())
	of(schema.Parse("shoal schema 1\n[16]char\n"))
	for _, text := range []string{
		"", "shoal schema 1\n", "shoal schema 2\nint8\n", "shoal schema 1\nint8", "shoal schema 1\nint",
		"shoal schema 1\nint9\n", "shoal schema 1\n[", "shoal schema 1\n[4", "shoal schema 1\n[4]", "shoal schema 1\n[]",
		"shoal schema 1\nstruct size",
		"shoal schema 1\n[99999999999999999999]int8\n", "shoal schema 1\n[1000000][1000000][1000000]int8\n",
	} {
		if got := size(text); got != "no size" {
			t.Errorf("%q: %s", text, got)
		}
	}
}
