//go:build linux && (amd64 || arm64)

package demo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTally checks that what has been lost, torn or mixed up is seen.
func TestTally(t *testing.T) {
	torn := announce(3)
	torn.Filled[5]++
	for what, records := range map[string][]announcement{
		"record 3 is torn":   {announce(1), announce(2), torn},
		"number 4 behind 2":  {announce(1), announce(2), announce(4)},
		"number 1 behind 2":  {announce(1), announce(2), announce(1)},
		"":                   {announce(1), announce(2), announce(2), announce(3)},
		"number 9 behind 10": {announce(10), announce(9)},
	} {
		var counted tally
		var err error
		for i := range records {
			if err == nil {
				err = counted.add(&records[i])
			}
		}
		if what == "" && (err != nil || counted.First != 1 || counted.Last != 3 || counted.Count != 4 || counted.Twice != 1) {
			t.Errorf("%v, %+v", err, counted)
		}
		if what != "" && (err == nil || !strings.Contains(err.Error(), what)) {
			t.Errorf("%v, want %s", err, what)
		}
	}
}

// TestTallied checks that the end of the chapter is not told unless it is true.
func TestTallied(t *testing.T) {
	whole := tally{First: 1, Last: announcements, Count: announcements, End: 1e9}
	rest := tally{First: 1001, Last: announcements, Count: announcements - 1000}
	for _, c := range []struct {
		name   string
		change func(readers []*process, heir *process)
		fails  bool
	}{
		{"all well", func([]*process, *process) {}, false},
		{"one came twice", func(r []*process, _ *process) { r[1].tally.Count++; r[1].tally.Twice++ }, false},
		{"two came twice", func(r []*process, _ *process) { r[1].tally.Count += 2; r[1].tally.Twice += 2 }, true},
		{"came late", func(r []*process, _ *process) { r[0].tally.First++; r[0].tally.Count-- }, true},
		{"did not hear the end", func(r []*process, _ *process) { r[1].tally.Last-- }, true},
		{"says nothing", func(r []*process, _ *process) { r[1].tally = nil }, true},
		{"the heir one later", func(_ []*process, h *process) { h.tally.First++ }, false},
		{"the heir too late", func(_ []*process, h *process) { h.tally.First += 2 }, true},
		{"the heir too early", func(_ []*process, h *process) { h.tally.First-- }, true},
	} {
		one, two, heir := whole, whole, rest
		readers := []*process{{who: "reader", tally: &one}, {who: "reader", tally: &two}}
		last := &process{who: standing, tally: &heir}
		c.change(readers, last)
		if rate, err := tallied(readers, last, 1, 1000); (err != nil) != c.fails || err == nil && rate != announcements {
			t.Errorf("%s: %v a second, %v", c.name, rate, err)
		}
	}
	if _, err := tallied([]*process{{tally: &whole}}, &process{tally: &rest}, 2, 1000); err == nil {
		t.Error("the ledger began late, and nobody has seen it")
	}
}

// TestDirectory checks that the warden removes a directory with what is in it, also if it has never been made.
func TestDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	must(t, property{Dir: dir}.remove())
	must(t, os.Mkdir(dir, 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "topic"), []byte("x"), 0o600))
	must(t, property{Dir: dir}.remove())
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error(err)
	}
}
