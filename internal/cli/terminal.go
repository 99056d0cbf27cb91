package cli

import (
	"io"
	"os"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/term"
)

// terminalWidth returns how many columns the terminal w has, or 0 if w is none.
func terminalWidth(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 {
		return 80
	}
	return columns
}

// terminal reports whether r is one: whether somebody sits there.
func terminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// palette is the colours for one stream: none where it is no terminal, where
// that is a dumb one, and with NO_COLOR.
type palette struct {
	plain, head, faint, good, warn, bad lipgloss.Style
}

func newPalette(w io.Writer) palette {
	r := lipgloss.NewRenderer(w)
	style := r.NewStyle
	return palette{
		plain: style(),
		head:  style().Bold(true),
		faint: style().Faint(true),
		good:  style().Foreground(lipgloss.ANSIColor(2)),
		warn:  style().Foreground(lipgloss.ANSIColor(3)),
		bad:   style().Foreground(lipgloss.ANSIColor(1)),
	}
}
