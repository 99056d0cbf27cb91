package cli

import (
	"io"
	"slices"
	"strings"

	"github.com/charmbracelet/lipgloss"
	"github.com/charmbracelet/x/ansi"
)

// table prints rows in aligned columns. On a terminal it keeps to the width: it
// leaves out what can be missed, then cuts what can be cut. Elsewhere it prints
// all of everything.
type table struct {
	columns []column
	rows    [][]cell
}

// column says how a column looks, and what may happen to it on a narrow
// terminal.
type column struct {
	title   string
	right   bool // aligned to the right: numbers
	missing int  // it may be missing; the highest goes first. 0: never
	cut     int  // it may be cut, to no less than this. 0: never
	wrap    bool // it may go on in the next line; the last column only
}

// cell is a text in its style. Where the text comes from a stranger, it has
// passed through printable.
type cell struct {
	text  string
	style lipgloss.Style
}

// gap stands between columns.
const gap = "  "

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

// print prints the table for a terminal of so many columns; 0 is no terminal.
func (t *table) print(w io.Writer, terminal int, head lipgloss.Style) error {
	titles := make([]cell, len(t.columns))
	for i, c := range t.columns {
		titles[i] = cell{c.title, head}
	}
	rows := append([][]cell{titles}, t.rows...)
	widths := t.widths(rows)
	if terminal > 0 {
		t.fit(widths, terminal)
	}
	var b strings.Builder
	for _, row := range rows {
		t.printRow(&b, row, widths, terminal)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// missing is the width of a column that is left out.
const missing = -1

func (t *table) widths(rows [][]cell) []int {
	widths := make([]int, len(t.columns))
	for _, row := range rows {
		for i, c := range row {
			widths[i] = max(widths[i], ansi.StringWidth(c.text))
		}
	}
	return widths
}

// fit makes the widths small enough for a terminal, as well as that goes: it
// leaves out columns as long as cutting alone would not do, then cuts.
func (t *table) fit(widths []int, terminal int) {
	for total(t.cut(widths, terminal)) > terminal && t.leaveOut(widths) {
	}
	copy(widths, t.cut(widths, terminal))
	for i, c := range t.columns { // even more, rather than spoil every line
		if over := total(widths) - terminal; over > 0 && c.cut > 0 {
			widths[i] = max(widths[i]-over, min(widths[i], tooShort))
		}
	}
}

// tooShort is how much of a cut cell is left at the worst.
const tooShort = 8

// cut returns the widths with what may be cut cut as far as it must, or may.
func (t *table) cut(widths []int, terminal int) []int {
	cut := slices.Clone(widths)
	for i, c := range t.columns {
		least := max(c.cut, len(c.title))
		if over := total(cut) - terminal; over > 0 && (c.cut > 0 || c.wrap) && cut[i] > least {
			cut[i] = max(cut[i]-over, least)
		}
	}
	return cut
}

// leaveOut leaves out the column that can best be missed; false if there is
// none.
func (t *table) leaveOut(widths []int) bool {
	best := -1
	for i, c := range t.columns {
		if widths[i] != missing && c.missing > 0 && (best < 0 || c.missing > t.columns[best].missing) {
			best = i
		}
	}
	if best < 0 {
		return false
	}
	widths[best] = missing
	return true
}

func total(widths []int) (n int) {
	shown := 0
	for _, w := range widths {
		if w != missing {
			n += w
			shown++
		}
	}
	return n + len(gap)*max(shown-1, 0)
}

func (t *table) printRow(b *strings.Builder, row []cell, widths []int, terminal int) {
	last := len(row) - 1
	for last > 0 && widths[last] == missing {
		last--
	}
	var line strings.Builder
	at := 0 // columns of the terminal before this cell
	for i, c := range row {
		if widths[i] == missing {
			continue
		}
		text := c.text
		if t.columns[i].wrap && terminal > 0 && ansi.StringWidth(text) > widths[i] {
			for j, part := range strings.Split(ansi.Wrap(text, max(widths[i], 1), ""), "\n") {
				if j > 0 {
					line.WriteString("\n" + strings.Repeat(" ", at))
				}
				line.WriteString(styled(c, strings.TrimRight(part, " "))) // the space at which it wraps
			}
			break
		}
		if terminal > 0 {
			text = ansi.Truncate(text, widths[i], "…")
		}
		pad := strings.Repeat(" ", max(widths[i]-ansi.StringWidth(text), 0))
		switch {
		case t.columns[i].right:
			line.WriteString(pad + styled(c, text))
		case i == last:
			line.WriteString(styled(c, text))
		default:
			line.WriteString(styled(c, text) + pad)
		}
		if i != last {
			line.WriteString(gap)
		}
		at += widths[i] + len(gap)
	}
	b.WriteString(strings.TrimRight(line.String(), " "))
	b.WriteByte('\n')
}

func styled(c cell, text string) string {
	if text == "" {
		return ""
	}
	return c.style.Render(text)
}
