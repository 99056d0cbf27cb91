//go:build linux && (amd64 || arm64)

package ring_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// readDocument reads the tables of docs/CRASH.md that have headings like
// "ring: Send": how many records there are after each store of an operation.
//
//	| store | word, and what a survivor sees | records |
//	| --- | --- | --- |
//	| 0 | nothing has happened | 0 |
//	| 1-4 | … | 1 |
func readDocument(t *testing.T) map[string][]int {
	t.Helper()
	const path = "../docs/CRASH.md"
	text := string(got(os.ReadFile(path))(t))
	all, name := map[string][]int{}, ""
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "#") {
			name = ""
			if n, ours := strings.CutPrefix(line, "### ring: "); ours {
				name = n
			}
			continue
		}
		cells := strings.Split(line, "|")
		if name == "" || len(cells) != 5 {
			continue
		}
		from, to, several := strings.Cut(strings.TrimSpace(cells[1]), "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			continue // the head of the table
		}
		last := first
		if several {
			last = got(strconv.Atoi(to))(t)
		}
		records := got(strconv.Atoi(strings.TrimSpace(cells[3])))(t)
		if first != len(all[name]) || last < first {
			t.Fatalf("%s:%d: rows %d to %d do not follow row %d", path, i+1, first, last, len(all[name])-1)
		}
		for range last - first + 1 {
			all[name] = append(all[name], records)
		}
	}
	for name := range all {
		if _, there := operations[name]; !there {
			t.Errorf("%s has a table for %q, which nobody tries", path, name)
		}
	}
	return all
}
