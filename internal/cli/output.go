package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/schema"
)

// record is one that is to be printed, with what is known of it. Numbers below 0 are
// not.
type record struct {
	data       []byte
	publisher  int
	number     int64
	deliveries int
	sent       time.Time
	token      uint64 // 0 for none
}

// printing is how records are printed: a flag for each way.
type printing struct {
	asHex, raw bool
	quiet      bool
}

func (p *printing) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&p.asHex, "hex", false, "print as hexdump -C does")
	f.BoolVar(&p.raw, "raw", false, "print the bytes alone, with nothing between")
	f.BoolVarP(&p.quiet, "quiet", "q", false, "no summary")
	cmd.MarkFlagsMutuallyExclusive("hex", "raw")
}

// check refuses two ways at once.
func (p *printing) check(asJSON bool) error {
	if asJSON && (p.raw || p.asHex) {
		return usageError{errors.New("--json goes with neither --hex nor --raw")}
	}
	return nil
}

// outlet prints records. It keeps what it is given for a moment, unless it is flushed.
type outlet struct {
	typ      *schema.Schema
	how      printing
	asJSON   bool
	terminal bool
	text     []byte // of one record

	mu    sync.Mutex
	w     *bufio.Writer
	err   error
	timer *time.Timer // flushes; nil if nothing is kept, or somebody flushes
	fail  func(error) // called when that fails
}

// outletDelay is how long an outlet keeps what it has.
const outletDelay = 2 * time.Millisecond

func (c *command) outlet(typ *schema.Schema, how printing) *outlet {
	return &outlet{typ: typ, how: how, asJSON: c.json, terminal: terminalWidth(c.stdout) > 0,
		w: bufio.NewWriterSize(c.stdout, 64<<10)}
}

// print prints a record.
func (o *outlet) print(r record) error {
	text, err := o.format(o.text[:0], r)
	if err != nil {
		return err
	}
	o.text = text
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	_, o.err = o.w.Write(text)
	if o.fail != nil && o.timer == nil && o.err == nil && o.w.Buffered() > 0 {
		o.timer = time.AfterFunc(outletDelay, o.late)
	}
	return o.err
}

// late prints what has been kept for long enough.
func (o *outlet) late() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.timer = nil
	if o.err == nil {
		if o.err = o.w.Flush(); o.err != nil {
			o.fail(o.err)
		}
	}
}

// flush prints what has been kept.
func (o *outlet) flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = o.w.Flush()
	}
	return o.err
}

// format appends a record as it is to be printed.
func (o *outlet) format(to []byte, r record) ([]byte, error) {
	var err error
	switch {
	case o.how.raw:
		return append(to, r.data...), nil
	case o.how.asHex:
		return o.hex(to, r)
	case !o.typ.Untyped():
		if to, err = o.typ.AppendJSON(to, r.data); err != nil {
			return to, err
		}
	case o.asJSON:
		return appendJSON(to, r)
	case o.terminal:
		to = append(to, printable(string(r.data))...)
	default:
		to = append(to, r.data...)
	}
	return append(to, '\n'), nil
}

// hex is a record with a heading, as hexdump -C shows it.
func (o *outlet) hex(to []byte, r record) ([]byte, error) {
	b := bytes.NewBuffer(to)
	switch {
	case r.number >= 0:
		fmt.Fprintf(b, "record %d of publisher %d, %s\n", r.number, r.publisher, count(int64(len(r.data)), "byte"))
	default:
		fmt.Fprintf(b, "message of %s, delivery %d\n", count(int64(len(r.data)), "byte"), r.deliveries)
	}
	err := hexDump(b, bytes.NewReader(r.data), 0)
	return b.Bytes(), err
}

// appendJSON is a record without a type as JSON.
func appendJSON(to []byte, r record) ([]byte, error) {
	v := struct {
		Token      uint64     `json:"token,omitempty"`
		Publisher  *int       `json:"publisher,omitempty"`
		Number     *int64     `json:"number,omitempty"`
		Deliveries int        `json:"deliveries,omitempty"`
		Sent       *time.Time `json:"sent,omitempty"`
		Text       *string    `json:"text,omitempty"`
		Data       []byte     `json:"data,omitempty"`
	}{Token: r.token, Deliveries: r.deliveries}
	if r.number >= 0 {
		v.Publisher, v.Number = &r.publisher, &r.number
	}
	if !r.sent.IsZero() {
		utc := r.sent.UTC()
		v.Sent = &utc
	}
	if utf8.Valid(r.data) {
		text := string(r.data)
		v.Text = &text
	} else {
		v.Data = r.data
	}
	b := bytes.NewBuffer(to)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// tally counts what has gone through a verb.
type tally struct {
	records, bytes uint64
	began          time.Time
}

func (t *tally) add(n int) {
	if t.records == 0 && t.began.IsZero() {
		t.began = time.Now()
	}
	t.records++
	t.bytes += uint64(n)
}

// String is "1000000 records, 5.6 MiB, in 247 ms (4.06 M/s)".
func (t *tally) String() string {
	text := count(int64(t.records), "record")
	if t.records == 0 {
		return text
	}
	text += ", " + bytesText(int64(t.bytes))
	if d := time.Since(t.began); t.records > 1 && d > time.Millisecond { // else it says nothing
		text += fmt.Sprintf(", in %s (%s)", timeText(float64(d)), perSecond(float64(t.records)/d.Seconds()))
	}
	return text
}

// perSecond writes a rate: "31.4 M/s", "5/s".
func perSecond(n float64) string {
	switch {
	case n < 0:
		return "-"
	case n == 0:
		return "0/s"
	case n < 9.95:
		return fmt.Sprintf("%.1f/s", n)
	case n < 999.5:
		return fmt.Sprintf("%.0f/s", n)
	}
	return rateText(n) + "/s"
}

// decimal is a flag for a rate: 1000, 2.5, 10k, 1M.
type decimal float64

func (d *decimal) String() string {
	if *d == 0 {
		return ""
	}
	return fmt.Sprint(float64(*d))
}

func (d *decimal) Type() string { return "rate" }

func (d *decimal) Set(text string) error {
	unit := 1.0
	number := text
	if n := len(text); n > 0 {
		switch text[n-1] {
		case 'k', 'K':
			unit, number = 1e3, text[:n-1]
		case 'M':
			unit, number = 1e6, text[:n-1]
		}
	}
	var v float64
	if _, err := fmt.Sscanf(number+"\n", "%g\n", &v); err != nil || !(v*unit > 0) || v*unit > 1e12 {
		return fmt.Errorf("%q is no rate; rates are 10, 0.5, 20k, 1M: so many a second", text)
	}
	*d = decimal(v * unit)
	return nil
}
