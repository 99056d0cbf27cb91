package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seed-247006a4/shoal/inspect"
)

func (c *command) watchCommand() *cobra.Command {
	var interval time.Duration
	var times uint64
	cmd := &cobra.Command{
		Use:   "watch NAME [--interval D] [--count N]",
		Short: "Show what goes through a ring, topic or queue, as it goes",
		Long: `It shows rates, how full it is, who is how far behind, and percentiles of how
long records took from being sent to being received, all of the last second.
On a terminal it draws that anew each second, elsewhere it prints a line.

It reads the counters in the object, and takes part in nothing: nobody waits for
it, nor can tell that it is there. Ctrl-C ends it.

  FILL     how far the last subscriber that publishers wait for is behind, as a
           part of a lane; how much of a ring or queue is in use
  WAITING  part of the time spent waiting for room, or asleep for records, as
           counted when a wait ends`,
		Example: indented(
			"shoal watch ticks",
			"shoal watch jobs --interval 10s >> jobs.log",
			"shoal watch ticks --json --count 60 | jq .p99_ns"),
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: first(completeKinds("ring", "topic", "queue")),
		RunE: func(cmd *cobra.Command, args []string) error {
			if interval < 10*time.Millisecond {
				return usageError{fmt.Errorf("--interval %v: it is at least 10ms", interval)}
			}
			addr, err := c.resolve(args[0])
			if err != nil {
				return err
			}
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			w := watching{addr: addr, name: c.shown(addr), interval: interval, times: times}
			return outcome(ctx, c.watchFlow(ctx, &w), true)
		},
	}
	f := cmd.Flags()
	f.DurationVar(&interval, "interval", time.Second, "how often: 100ms, 10s")
	numberVar(cmd, &times, "count", 0, 0, "end after so many `times`; 0: never")
	noCompletion(cmd, "interval", "count")
	return cmd
}

// watching is one shoal watch.
type watching struct {
	addr, name string
	interval   time.Duration
	times      uint64
	drawn      int // lines of the last picture
}

// moment is a flow at one time.
type moment struct {
	at   time.Time
	s    *inspect.Structure
	flow *inspect.Flow
}

// firstLook is how long after the first look the first picture comes on a terminal:
// nobody likes to wait for a second.
const firstLook = 200 * time.Millisecond

func (c *command) watchFlow(ctx context.Context, w *watching) error {
	before, err := c.moment(w.addr)
	if err != nil {
		return err
	}
	began, columns := before, terminalWidth(c.stdout)
	live := columns > 0 && !c.json
	wait := w.interval
	if live {
		wait = min(wait, firstLook)
	}
	now := before
	for n := uint64(0); w.times == 0 || n < w.times; n++ {
		if err = pause(ctx, wait); err != nil {
			break
		}
		wait = w.interval
		if now, err = c.moment(w.addr); err != nil {
			break
		}
		if !now.s.Created.Equal(before.s.Created) { // another one, of that name
			before, began = now, now
			continue
		}
		if err = c.show(w, newChange(before, now), live); err != nil {
			break
		}
		before = now
	}
	if now.flow != nil && (live || err != nil) {
		total := newChange(began, now)
		c.say("in %s: %s sent, %d received, %d missed", timeText(float64(now.at.Sub(began.at))),
			count(int64(total.sent), "record"), total.received, total.missed)
	}
	return err
}

// moment looks at the object now.
func (c *command) moment(addr string) (m moment, err error) {
	if m.s, err = c.flow(addr); err != nil {
		return m, err
	}
	m.at, m.flow = time.Now(), m.s.Flow
	return m, nil
}

// change is what has happened between two moments.
type change struct {
	now                                  moment
	seconds                              float64
	sent, bytes, received, missed, fulls uint64
	blocked                              float64 // part of the time of all senders
	latency                              inspect.Latency
	senders                              []senderChange
	receivers                            []receiverChange
}

type senderChange struct {
	*inspect.Sender
	sent, fulls uint64
	blocked     float64 // part of the time
}

type receiverChange struct {
	*inspect.Receiver
	received, missed uint64
	asleep           float64 // part of the time
	latency          inspect.Latency
}

// since is a counter's growth; one that was begun anew has grown from nothing.
func since(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}

func newChange(before, now moment) *change {
	a, b := before.flow, now.flow
	c := &change{now: now, seconds: max(now.at.Sub(before.at).Seconds(), 1e-9),
		sent: since(b.Sent, a.Sent), bytes: since(b.Bytes, a.Bytes), received: since(b.Received, a.Received),
		missed: since(b.Missed, a.Missed), fulls: since(b.Full, a.Full), latency: b.Latency.Since(&a.Latency)}
	part := func(now, before time.Duration) float64 { return min(max(now-before, 0).Seconds()/c.seconds, 1) }
	c.blocked = part(b.SendBlocked, a.SendBlocked)
	received, missed := uint64(0), uint64(0)
	for i := range b.Senders {
		s := senderChange{Sender: &b.Senders[i]}
		for j := range a.Senders {
			if old := &a.Senders[j]; old.Number == s.Number {
				s.sent, s.fulls, s.blocked = since(s.Sent, old.Sent), since(s.Full, old.Full), part(s.Blocked, old.Blocked)
			}
		}
		c.senders = append(c.senders, s)
	}
	for i := range b.Receivers {
		r := receiverChange{Receiver: &b.Receivers[i]}
		r.received, r.missed, r.latency = r.Received, r.Missed, r.Latency
		for j := range a.Receivers {
			if old := &a.Receivers[j]; old.Number == r.Number && old.Joined.Equal(r.Joined) {
				r.received, r.missed = since(r.Received, old.Received), since(r.Missed, old.Missed)
				r.asleep, r.latency = part(r.Blocked, old.Blocked), r.Latency.Since(&old.Latency)
			}
		}
		received += r.received
		missed += r.missed
		c.receivers = append(c.receivers, r)
	}
	if len(b.Receivers) > 0 { // sums over those that there are would fall when one leaves
		c.received, c.missed = received, missed
	}
	return c
}

func (c *change) rate(n uint64) float64 { return float64(n) / c.seconds }

// show prints a change: a picture, a line, or JSON.
func (c *command) show(w *watching, ch *change, live bool) error {
	switch {
	case c.json:
		return c.printJSON(changeJSON(w, ch))
	case !live:
		_, err := fmt.Fprintln(c.stdout, changeLine(ch))
		return err
	}
	picture, err := w.picture(ch, newPalette(c.stdout), terminalWidth(c.stdout))
	if err != nil {
		return err
	}
	return w.draw(c.stdout, picture)
}

// draw draws a picture where the last one stood.
func (w *watching) draw(out io.Writer, picture string) error {
	rows := strings.Split(strings.TrimSuffix(picture, "\n"), "\n")
	if f, ok := out.(*os.File); ok {
		if _, height, err := term.GetSize(int(f.Fd())); err == nil && height > 2 && len(rows) > height-1 {
			more := len(rows) - height + 2
			rows = append(rows[:height-2], fmt.Sprintf("… and %d lines more", more))
		}
	}
	var b strings.Builder
	if w.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA\r", w.drawn)
	}
	for _, row := range rows {
		b.WriteString(row + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	w.drawn = len(rows)
	_, err := io.WriteString(out, b.String())
	return err
}

// title says what is being watched.
func title(s *inspect.Structure) string {
	f := s.Flow
	switch s.Kind {
	case "ring":
		return fmt.Sprintf("ring of %s, %s", bytesText(f.Room), typeWords(f.Schema))
	case "topic":
		return fmt.Sprintf("topic, lanes of %s, policy %s, %s", bytesText(f.Room), f.Policy, typeWords(f.Schema))
	}
	return fmt.Sprintf("queue of %s, %s", count(f.Room, "slot"), typeWords(f.Schema))
}

// percent writes a part; "-" for what there is none of.
func percent(part float64) string {
	switch {
	case part < 0:
		return "-"
	case part > 0 && part < 0.005:
		return "<1%"
	}
	return fmt.Sprintf("%.0f%%", part*100)
}

// gauge draws how full something is.
func gauge(part float64, width int) string {
	if part < 0 {
		return ""
	}
	full := int(part*float64(width) + 0.5)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "] "
}

// latencyText writes percentiles; "-" for none.
func latencyText(l *inspect.Latency, q float64) string {
	if l.Samples() == 0 {
		return "-"
	}
	return timeText(float64(l.Quantile(q)))
}

// picture is what a terminal shows.
func (w *watching) picture(ch *change, p palette, columns int) (string, error) {
	f := ch.now.flow
	var b strings.Builder
	head := ansi.Truncate(printable(w.name)+"  "+printable(title(ch.now.s)), max(columns-10, 8), "…")
	gap := strings.Repeat(" ", max(columns-ansi.StringWidth(head)-8, 1))
	fmt.Fprintf(&b, "%s%s%s\n", p.head.Render(head), gap, p.faint.Render(ch.now.at.Format(time.TimeOnly)))
	sums := table{columns: []column{{title: "SENT", right: true}, {title: "BYTES", right: true}, {title: "RECEIVED", right: true},
		{title: "MISSED", right: true, missing: 2}, {title: "FULL", right: true, missing: 1}, {title: "UNREAD", right: true}, {title: "P50", right: true},
		{title: "P99", right: true}, {title: "P99.9", right: true, missing: 3}, {title: "FILL"}}}
	row := []cell{{perSecond(ch.rate(ch.sent)), p.plain}, {bytesText(int64(ch.rate(ch.bytes))) + "/s", p.plain},
		{perSecond(ch.rate(ch.received)), p.plain}, {perSecond(ch.rate(ch.missed)), p.plain}, {perSecond(ch.rate(ch.fulls)), p.plain},
		{strconv.FormatUint(f.Unread, 10), p.plain}, {latencyText(&ch.latency, 0.5), p.plain}, {latencyText(&ch.latency, 0.99), p.plain},
		{latencyText(&ch.latency, 0.999), p.plain}, {gauge(f.Fill(), 10) + percent(f.Fill()), p.plain}}
	if ch.missed > 0 {
		row[3].style = p.warn
	}
	if f.Fill() > 0.9 {
		row[9].style = p.warn
	}
	sums.add(row...)
	if err := sums.print(&b, columns, p.head); err != nil {
		return "", err
	}
	for _, t := range []table{sendersTable(ch, p), receiversTable(ch, p), holdingsTable(ch, p)} {
		if len(t.rows) == 0 {
			continue
		}
		b.WriteByte('\n')
		if err := t.print(&b, columns, p.head); err != nil {
			return "", err
		}
	}
	return b.String(), nil
}

// portCell is who has an end.
func portCell(pid int, alive bool, p palette) cell {
	switch {
	case pid == 0:
		return cell{"nobody", p.faint}
	case !alive:
		return cell{fmt.Sprintf("%d, dead", pid), p.warn}
	}
	if name := inspect.Command(pid); name != "" {
		return cell{fmt.Sprintf("%d %s", pid, printable(name)), p.plain}
	}
	return cell{strconv.Itoa(pid), p.plain}
}

func sendersTable(ch *change, p palette) table {
	t := table{columns: []column{{title: "PUBLISHER", right: true}, {title: "PROCESS", cut: 10}, {title: "SENT", right: true}, {title: "FULL", right: true},
		{title: "WAITING", right: true}, {title: "REPAIRS", right: true, missing: 1}}}
	if ch.now.s.Kind == "ring" {
		t.columns[0].title = "WRITER"
	}
	for _, s := range ch.senders {
		if s.PID == 0 && s.sent == 0 && ch.now.s.Kind != "ring" {
			continue // nobody has the lane
		}
		t.add(cell{strconv.Itoa(s.Number), p.plain}, portCell(s.PID, s.Alive, p), cell{perSecond(ch.rate(s.sent)), p.plain},
			cell{perSecond(ch.rate(s.fulls)), p.plain}, cell{percent(s.blocked), p.plain}, cell{strconv.FormatUint(s.Repairs, 10), p.plain})
	}
	return t
}

func receiversTable(ch *change, p palette) table {
	t := table{columns: []column{{title: "SUBSCRIBER", right: true}, {title: "PROCESS", cut: 10}, {title: "NAME", cut: 6}, {title: "STATE"}, {title: "RECEIVED", right: true},
		{title: "BEHIND", right: true}, {title: "MISSED", right: true, missing: 1}, {title: "WAITING", right: true, missing: 4}, {title: "P50", right: true, missing: 3}, {title: "P99", right: true, missing: 2}}}
	if ch.now.s.Kind == "ring" {
		t.columns[0].title = "READER"
	}
	for _, r := range ch.receivers {
		state := cell{r.State, p.plain}
		if r.State == "dropped" {
			state.style = p.warn
		}
		missed := cell{perSecond(ch.rate(r.missed)), p.plain}
		if r.missed > 0 {
			missed.style = p.warn
		}
		behind := cell{strconv.FormatUint(r.Lag, 10), p.plain}
		if r.State == "reliable" && float64(r.LagBytes) > 0.9*float64(ch.now.flow.Room) {
			behind.style = p.warn // publishers wait for this one
		}
		name := "-"
		if r.Name != "" {
			name = printable(r.Name)
		}
		t.add(cell{strconv.Itoa(r.Number), p.plain}, portCell(r.PID, r.Alive, p), cell{name, p.plain}, state, cell{perSecond(ch.rate(r.received)), p.plain},
			behind, missed, cell{percent(r.asleep), p.plain},
			cell{latencyText(&r.latency, 0.5), p.plain}, cell{latencyText(&r.latency, 0.99), p.plain})
	}
	return t
}

// mostHoldings is how many holdings of a queue a picture has.
const mostHoldings = 10

func holdingsTable(ch *change, p palette) table {
	t := table{columns: []column{{title: "MESSAGE", right: true}, {title: "WITH", cut: 10}, {title: "DELIVERY", right: true}, {title: "FOR", right: true}}}
	for _, h := range ch.now.flow.Holdings {
		if !h.Taken || len(t.rows) == mostHoldings {
			continue
		}
		held := "-"
		if !h.Since.IsZero() {
			held = age(ch.now.at.Sub(h.Since))
		}
		t.add(cell{strconv.FormatUint(h.Position, 10), p.plain}, portCell(h.PID, h.Alive, p), cell{strconv.Itoa(h.Deliveries), p.plain}, cell{held, p.plain})
	}
	return t
}

// changeLine is a change in one line.
func changeLine(ch *change) string {
	f := ch.now.flow
	line := fmt.Sprintf("%s  sent %s %s/s  received %s  fill %s  unread %d  full %s", ch.now.at.Format(time.TimeOnly), perSecond(ch.rate(ch.sent)),
		bytesText(int64(ch.rate(ch.bytes))), perSecond(ch.rate(ch.received)), percent(f.Fill()), f.Unread, perSecond(ch.rate(ch.fulls)))
	if f.Missed > 0 {
		line += "  missed " + perSecond(ch.rate(ch.missed))
	}
	if ch.latency.Samples() > 0 {
		line += fmt.Sprintf("  p50 %s  p99 %s  p99.9 %s", latencyText(&ch.latency, 0.5), latencyText(&ch.latency, 0.99), latencyText(&ch.latency, 0.999))
	}
	return line
}

// changeJSON is a change as JSON; rates are a second.
func changeJSON(w *watching, ch *change) any {
	type end struct {
		Number int     `json:"number"`
		PID    int     `json:"pid,omitempty"`
		Alive  bool    `json:"alive"`
		Name   string  `json:"name,omitempty"`
		State  string  `json:"state,omitempty"`
		Rate   float64 `json:"rate"`
		Full   float64 `json:"full_rate"`
		Missed float64 `json:"missed_rate"`
		Lag    uint64  `json:"lag"`
		Wait   float64 `json:"waiting"`
		P50    float64 `json:"p50_ns,omitempty"`
		P99    float64 `json:"p99_ns,omitempty"`
	}
	f := ch.now.flow
	v := struct {
		Time      time.Time `json:"time"`
		Address   string    `json:"address"`
		Name      string    `json:"name,omitempty"`
		Kind      string    `json:"kind"`
		Seconds   float64   `json:"seconds"`
		Sent      float64   `json:"sent_rate"`
		Bytes     float64   `json:"sent_bytes_rate"`
		Received  float64   `json:"received_rate"`
		Missed    float64   `json:"missed_rate"`
		Full      float64   `json:"full_rate"`
		Waiting   float64   `json:"waiting"`
		Fill      *float64  `json:"fill,omitempty"`
		Unread    uint64    `json:"unread"`
		Samples   uint64    `json:"latency_samples"`
		P50       float64   `json:"p50_ns,omitempty"`
		P99       float64   `json:"p99_ns,omitempty"`
		P999      float64   `json:"p999_ns,omitempty"`
		Senders   []end     `json:"senders,omitempty"`
		Receivers []end     `json:"receivers,omitempty"`
	}{Time: ch.now.at.UTC(), Address: w.addr, Name: inspect.BareName(w.addr), Kind: ch.now.s.Kind, Seconds: ch.seconds,
		Sent: ch.rate(ch.sent), Bytes: ch.rate(ch.bytes), Received: ch.rate(ch.received), Missed: ch.rate(ch.missed),
		Full: ch.rate(ch.fulls), Waiting: ch.blocked, Unread: f.Unread, Samples: ch.latency.Samples(),
		P50: float64(ch.latency.Quantile(0.5)), P99: float64(ch.latency.Quantile(0.99)), P999: float64(ch.latency.Quantile(0.999))}
	if fill := f.Fill(); fill >= 0 {
		v.Fill = &fill
	}
	for _, s := range ch.senders {
		v.Senders = append(v.Senders, end{Number: s.Number, PID: s.PID, Alive: s.Alive, Rate: ch.rate(s.sent), Full: ch.rate(s.fulls), Wait: s.blocked})
	}
	for _, r := range ch.receivers {
		v.Receivers = append(v.Receivers, end{Number: r.Number, PID: r.PID, Alive: r.Alive, Name: r.Name, State: r.State, Rate: ch.rate(r.received),
			Missed: ch.rate(r.missed), Lag: r.Lag, Wait: r.asleep, P50: float64(r.latency.Quantile(0.5)), P99: float64(r.latency.Quantile(0.99))})
	}
	return v
}
