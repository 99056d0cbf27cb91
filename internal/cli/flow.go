package cli

import (
	"fmt"
	"time"

	"github.com/seed-247006a4/shoal/inspect"
)

// describeFlow tells what goes through a ring, a topic or a queue.
func describeFlow(kind string, f *inspect.Flow, p palette, line printer) {
	records := typeWords(f.Schema)
	if f.Schema.Untyped() {
		records += fmt.Sprintf(", at most %s each", count(int64(f.MaxRecord), "byte"))
	} else {
		records += fmt.Sprintf(", %s each", count(int64(f.Schema.Size()), "byte"))
	}
	line("records", "%s", printable(records))
	describeRoom(kind, f, line)
	line("sent", "%s, %s%s", count(int64(f.Sent), "record"), bytesText(int64(f.Bytes)), lastText(f.LastSent))
	missed := ""
	if f.Missed > 0 {
		missed = ", " + p.warn.Render(fmt.Sprintf("%d missed", f.Missed))
	}
	by := ""
	if kind == "topic" { // counters of subscriptions go with them
		by = ", by those who are there"
	}
	line("received", "%s%s%s%s", count(int64(f.Received), "record"), by, missed, lastText(f.LastReceived))
	line("waits", "%s full; %s waiting for room, %s asleep for records; %s",
		count(int64(f.Full), "time"), spent(f.SendBlocked), spent(f.ReceiveBlocked), count(int64(f.Wakes), "wake-up"))
	if n := f.Latency.Samples(); n > 0 {
		line("latency", "p50 %s, p99 %s, p99.9 %s, of %s", timeText(f.P50), timeText(f.P99), timeText(f.P999), count(int64(n), "sample"))
	}
	for i := range f.Senders {
		describeSender(kind, &f.Senders[i], p, line)
	}
	for i := range f.Receivers {
		describeReceiver(kind, &f.Receivers[i], p, line)
	}
	for i := range f.Holdings {
		describeHolding(&f.Holdings[i], p, line)
	}
}

// describeRoom tells how much there can be, and is.
func describeRoom(kind string, f *inspect.Flow, line printer) {
	peak := ""
	switch kind {
	case "ring":
		if f.Peak > 0 {
			peak = ", at most " + bytesText(f.Peak)
		}
		line("used", "%s of %s%s; %s unread", bytesText(f.Used), bytesText(f.Room), peak, count(int64(f.Unread), "record"))
	case "topic":
		line("lanes", "%d of %d used, %s each; up to %s; policy %s", len(f.Senders), f.Lanes, bytesText(f.Room), count(int64(f.Places), "subscriber"), f.Policy)
		if !f.Gated {
			line("used", "nothing is kept: no publisher waits for a subscriber")
			return
		}
		if f.Peak > 0 {
			peak = ", at most " + bytesText(f.Peak)
		}
		line("used", "%s of a lane%s; %s unread by the last who is waited for", bytesText(f.Used), peak, count(int64(f.Unread), "record"))
	case "queue":
		if f.Peak > 0 {
			peak = fmt.Sprintf(", at most %d", f.Peak)
		}
		line("used", "%d of %s%s: %d ready, %d taken, %d being filled", f.Used, count(f.Room, "slot"), peak, f.Ready, f.Taken, f.Claimed)
		line("messages", "%d acknowledged, %d given back, %d delivered again", f.Acked, f.Nacked, f.Again)
		if f.Returned > 0 || f.Freed > 0 {
			line("the dead", "left %s and %s, which were taken back", count(int64(f.Returned), "message"), count(int64(f.Freed), "claimed slot"))
		}
	}
}

// lastText says when something was last.
func lastText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return ", last " + age(time.Since(t)) + " ago"
}

// spent writes how long something took.
func spent(d time.Duration) string {
	if d == 0 {
		return "0 s"
	}
	return timeText(float64(d))
}

// portText is who has an end.
func portText(pid int, alive bool, p palette) string {
	switch {
	case pid == 0:
		return p.faint.Render("nobody")
	case alive:
		return processText(pid, true) + ", " + p.good.Render("alive")
	}
	return fmt.Sprintf("pid %d, %s", pid, p.warn.Render("dead, not yet cleared away"))
}

func repairsText(n uint64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", taken over from the dead %s", count(int64(n), "time"))
}

func lostText(n uint64, p palette) string {
	if n == 0 {
		return ""
	}
	return ", " + p.warn.Render(fmt.Sprintf("%d lost wake-ups", n))
}

func describeSender(kind string, s *inspect.Sender, p palette, line printer) {
	title := fmt.Sprintf("publisher %d", s.Number)
	if kind == "ring" {
		title = "writer"
	}
	line(title, "%s: %s sent, %s full, %s waiting%s%s", portText(s.PID, s.Alive, p), count(int64(s.Sent), "record"),
		count(int64(s.Full), "time"), spent(s.Blocked), repairsText(s.Repairs), lostText(s.LostWakes, p))
}

func describeReceiver(kind string, r *inspect.Receiver, p palette, line printer) {
	title, state := fmt.Sprintf("subscriber %d", r.Number), ", "+r.State
	if kind == "ring" {
		title, state = "reader", ""
	}
	if r.Name != "" {
		state = fmt.Sprintf(", %s as %q", r.State, printable(r.Name))
	}
	behind := "up to date"
	if r.Lag > 0 {
		behind = fmt.Sprintf("%s behind (%s)", count(int64(r.Lag), "record"), bytesText(int64(r.LagBytes)))
	}
	missed := ""
	if r.Missed > 0 {
		missed = ", " + p.warn.Render(fmt.Sprintf("%d missed in %s", r.Missed, count(int64(r.Lapped), "gap")))
	}
	if r.Drops > 0 {
		missed += fmt.Sprintf(", dropped %s", count(int64(r.Drops), "time"))
	}
	line(title, "%s%s: %s received, %s%s%s%s", portText(r.PID, r.Alive, p), state, count(int64(r.Received), "record"), behind,
		missed, repairsText(r.Repairs), lostText(r.LostWakes, p))
	if len(r.Lags) > 1 {
		for _, l := range r.Lags {
			if l.Records > 0 {
				line("  lag", "%s (%s) behind publisher %d", count(int64(l.Records), "record"), bytesText(int64(l.Bytes)), l.Publisher)
			}
		}
	}
}

func describeHolding(h *inspect.Holding, p palette, line printer) {
	if !h.Taken {
		line("filling", "a slot: %s", portText(h.PID, h.Alive, p))
		return
	}
	since := ""
	if !h.Since.IsZero() {
		since = fmt.Sprintf(", for %s", age(time.Since(h.Since)))
	}
	line("taken", "message %d, delivery %d: %s%s", h.Position, h.Deliveries, portText(h.PID, h.Alive, p), since)
}
