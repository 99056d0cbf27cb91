//go:build linux && (amd64 || arm64)

package conformance

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

const document = "docs/CRASH.md"

// documentedStores is what the document says of an operation in C: how many stores it makes, and with which of them
// something shows.
type documentedStores struct {
	least, most int
	turns       []int
}

// readDocument reads the tables of docs/CRASH.md that have headings like "Rings in C":
//
//	| operation | stores | shows with | stores as in |
//	| --- | --- | --- | --- |
//	| send a record | 11 | 5 | ring: Send |
//	| send messages | 20 | 6, 12, 18 | queue: Send |
//	| acknowledge, a producer sleeps | 4-5 | | queue: Receive and Ack |
//
// The last cell is the heading of another table.
func readDocument(t *testing.T) map[string]documentedStores {
	t.Helper()
	text, err := os.ReadFile("../../" + document)
	must(t, err)
	number := func(line, s string) int {
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil {
			t.Fatalf("%s: %q has no number in %q", document, line, s)
		}
		return n
	}
	all, ours := map[string]documentedStores{}, false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			ours = strings.HasSuffix(line, " in C\n")
			continue
		}
		cells := strings.Split(line, "|")
		if !ours || len(cells) != 6 || strings.HasPrefix(line, "| ---") || strings.HasPrefix(line, "| operation") {
			continue
		}
		name, stores, turns, like := strings.TrimSpace(cells[1]), cells[2], cells[3], strings.TrimSpace(cells[4])
		var d documentedStores
		least, most, several := strings.Cut(stores, "-")
		d.least = number(line, least)
		if d.most = d.least; several {
			d.most = number(line, most)
		}
		if strings.TrimSpace(turns) != "" {
			for turn := range strings.SplitSeq(turns, ",") {
				d.turns = append(d.turns, number(line, turn))
			}
		}
		if _, twice := all[name]; twice {
			t.Errorf("%s has two rows for %q", document, name)
		}
		if !strings.Contains(string(text), "\n### "+like+"\n") {
			t.Errorf("%s: %q is as in %q, which there is not", document, name, like)
		}
		all[name] = d
	}
	return all
}
