package cli

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// printable returns s fit for a terminal: whatever is not printable is escaped
// as in Go source. Names of objects and processes are chosen by strangers.
func printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {
		return s
	}
	q := strconv.Quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// printableLines is printable for text of several lines.
func printableLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}

func unprintable(r rune) bool { return !strconv.IsPrint(r) }
