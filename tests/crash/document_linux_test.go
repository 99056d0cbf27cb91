//go:build linux && (amd64 || arm64)

package crash

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// section is the table of one scenario in docs/CRASH.md:
//
//	### Mutex.Lock, free
//
//	| store | word | what a survivor sees and does | outcome |
//	| --- | --- | --- | --- |
//	| 0 | | … | `Lock: nil` |
//	| 1 | `state` = we | … | `Lock: ErrOwnerDied` |
//	| asleep | | … | `Lock: nil` |
//
// Row 0 is a death before the first store, "asleep" and "woken" are deaths in the
// kernel. A number with a question mark is a store that not every run makes. Where
// two goroutines of the victim are at work, an outcome may be one of two: `a` or `b`.
type section struct {
	name     string
	outcomes map[string][]string // by first column, without the question mark
	stores   int                 // that every run makes
	possible int                 // that some run makes
}

// readDocument reads all sections that have a table.
func readDocument(path string) (sections []section, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name := ""
	for i, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "#") {
			name = strings.TrimSpace(strings.TrimLeft(line, "#"))
			continue
		}
		cells := strings.Split(line, "|")
		if len(cells) < 6 {
			continue
		}
		point, last := strings.TrimSpace(cells[1]), strings.TrimSpace(cells[len(cells)-2])
		point, optional := strings.CutSuffix(point, "?")
		n, err := strconv.Atoi(point)
		if err != nil && point != "asleep" && point != "woken" {
			continue // the head of a table, or another one
		}
		if len(sections) == 0 || sections[len(sections)-1].name != name {
			sections = append(sections, section{name: name, outcomes: map[string][]string{}})
		}
		s := &sections[len(sections)-1]
		if len(last) < 3 || last[0] != '`' || last[len(last)-1] != '`' {
			return nil, fmt.Errorf("%s:%d: the last column is %s, want an outcome in backticks", path, i+1, last)
		}
		if err == nil && n != s.possible+min(1, len(s.outcomes)) {
			return nil, fmt.Errorf("%s:%d: row %d does not follow row %d", path, i+1, n, s.possible)
		}
		if err == nil {
			s.possible = n
			if !optional {
				s.stores = n
			}
		}
		s.outcomes[point] = strings.Split(strings.Trim(last, "`"), "` or `")
	}
	return sections, nil
}

// sectionsByName reads docs/CRASH.md, which must have a section for every
// scenario, and none beside.
func sectionsByName(t *testing.T) map[string]section {
	t.Helper()
	sections, err := readDocument("../../docs/CRASH.md")
	must(t, err)
	byName := map[string]section{}
	for _, s := range sections {
		if _, twice := byName[s.name]; twice {
			t.Errorf("docs/CRASH.md has two tables for %q", s.name)
		}
		byName[s.name] = s
	}
	for i, s := range scenarios() {
		d, there := byName[s.name]
		if !there {
			t.Fatalf("docs/CRASH.md has no table for %q", s.name)
		}
		if i < len(sections) && sections[i].name != s.name {
			t.Errorf("docs/CRASH.md has the table for %q where that for %q belongs", sections[i].name, s.name)
		}
		if _, there := d.outcomes["asleep"]; there != (s.blocked != nil && s.second == nil) {
			t.Errorf("docs/CRASH.md, %q: is there a row for the death of a sleeper? %t", s.name, there)
		}
	}
	if len(sections) != len(scenarios()) {
		t.Errorf("docs/CRASH.md has %d tables, want one for each of %d scenarios", len(sections), len(scenarios()))
	}
	return byName
}
