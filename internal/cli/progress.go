package cli

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress is a bar on a terminal for what takes long. On anything else, and
// for the first moment, it shows nothing.
type progress struct {
	w       io.Writer // nil: show nothing
	total   int64     // bytes; -1 if unknown
	started time.Time
	drawn   time.Time
	columns int
}

const (
	progressDelay = 500 * time.Millisecond // what is faster needs no bar
	progressEvery = 100 * time.Millisecond
)

func (c *command) progress(total int64) *progress {
	p := &progress{total: total, started: time.Now()}
	if columns := terminalWidth(c.stderr); columns > 0 {
		p.w, p.columns = c.stderr, columns
	}
	return p
}

// at shows that n bytes are done.
func (p *progress) at(n int64) {
	now := time.Now()
	if p.w == nil || now.Sub(p.started) < progressDelay || now.Sub(p.drawn) < progressEvery {
		return
	}
	p.drawn = now
	fmt.Fprintf(p.w, "\r%s\x1b[K", p.line(n, now.Sub(p.started)))
}

// line draws the bar: "[#####-----]  50%  1.0 GiB of 2.0 GiB  512 MiB/s".
func (p *progress) line(n int64, elapsed time.Duration) string {
	rate := bytesText(int64(float64(n)/elapsed.Seconds())) + "/s"
	if p.total <= 0 {
		return fmt.Sprintf("%s  %s", bytesText(n), rate)
	}
	done := min(float64(n)/float64(p.total), 1) // the file may grow meanwhile
	text := fmt.Sprintf(" %3.0f%%  %s of %s  %s", done*100, bytesText(n), bytesText(p.total), rate)
	width := min(p.columns-len(text)-3, 40)
	if width < 1 {
		return text[1:]
	}
	full := int(done * float64(width))
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "]" + text
}

// done takes the bar away.
func (p *progress) done() {
	if p.w != nil && !p.drawn.IsZero() {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
