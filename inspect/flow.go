package inspect

import (
	"fmt"
	"time"

	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/topic"
)

// Latency is how long records took from being sent to being received, in those of
// them that were sampled.
type Latency = ring.Latency

// Flow is what a ring, a topic or a queue says of the records that go through it: one
// form for the three. Counters are since the object was made. Records of a queue are
// called messages elsewhere.
//
// Of a ring and a topic each end is known, in Senders and Receivers. In a queue every
// member may send and receive, so only sums are; Holdings has who is at work.
type Flow struct {
	Schema    *schema.Schema `json:"-"`              // type of the records; never nil
	Type      string         `json:"type,omitempty"` // its text; empty for bytes of any length
	MaxRecord int            `json:"max_record"`     // length of the longest record in bytes

	// Room is how much there can be in it: bytes of a ring, or of one lane of a topic;
	// slots of a queue.
	Room int64 `json:"room"`
	// Used is how much of Room there is; of a topic, how far the last subscription is
	// behind that publishers wait for.
	Used int64 `json:"used"`
	// Gated is false for a topic that nothing is kept in: publishers wait for nobody.
	Gated bool `json:"gated"`
	// Unread is how many records somebody is still to have: not released in a ring; by
	// the last subscription of a topic that publishers wait for; not acknowledged in a
	// queue.
	Unread uint64 `json:"unread"`

	Policy   string `json:"policy,omitempty"`   // of a topic: "wait", "refuse" or "drop"
	Lanes    int    `json:"lanes,omitempty"`    // of a topic: how many publishers there can be
	Places   int    `json:"places,omitempty"`   // of a topic: how many subscriptions there can be
	Sent     uint64 `json:"sent"`               // records
	Bytes    uint64 `json:"sent_bytes"`         // of them
	Received uint64 `json:"received"`           // records, by all receivers together
	Missed   uint64 `json:"missed,omitempty"`   // topic: by the subscriptions that there are, because they were overwritten
	Full     uint64 `json:"full"`               // how often there was no room when a record was to be sent
	Peak     int64  `json:"high_water"`         // most that was ever used, as seen now and then
	Wakes    uint64 `json:"wakes"`              // times that somebody who slept was woken
	Acked    uint64 `json:"acked,omitempty"`    // queue: messages that were acknowledged
	Nacked   uint64 `json:"nacked,omitempty"`   // queue: that were given back
	Again    uint64 `json:"again,omitempty"`    // queue: deliveries that were not the first
	Returned uint64 `json:"returned,omitempty"` // queue: messages that were taken back from the dead
	Freed    uint64 `json:"freed,omitempty"`    // queue: slots that the dead were filling
	Ready    int    `json:"ready,omitempty"`    // queue: messages to be had
	Taken    int    `json:"taken,omitempty"`    // queue: messages that a consumer has in hand
	Claimed  int    `json:"claimed,omitempty"`  // queue: slots that a producer fills

	SendBlocked    time.Duration `json:"send_blocked_ns"`        // time spent waiting for room, by all senders
	ReceiveBlocked time.Duration `json:"receive_blocked_ns"`     // time spent asleep, waiting for records
	LastSent       time.Time     `json:"last_sent,omitzero"`     // of the last activity, roughly
	LastReceived   time.Time     `json:"last_received,omitzero"` // likewise

	Latency Latency `json:"-"`                 // of all receivers together; its JSON form is P50 to P999
	P50     float64 `json:"p50_ns,omitempty"`  // nanoseconds that half of the samples did not exceed
	P99     float64 `json:"p99_ns,omitempty"`  // and 99 of 100
	P999    float64 `json:"p999_ns,omitempty"` // and 999 of 1000

	Senders   []Sender   `json:"senders,omitempty"`   // ring, topic: by lane
	Receivers []Receiver `json:"receivers,omitempty"` // ring, topic: by place
	Holdings  []Holding  `json:"holdings,omitempty"`  // queue: at most 1024 of them
}

// Sender is the writer of a ring, or a lane of a topic with its publisher.
type Sender struct {
	Number    int           `json:"number"`        // of the lane
	PID       int           `json:"pid,omitempty"` // who has it, in its own PID namespace; 0 for nobody
	Alive     bool          `json:"alive"`         // else it has died, and nobody has taken over yet
	Sent      uint64        `json:"sent"`          // records, by all that have had the lane
	Bytes     uint64        `json:"sent_bytes"`    // of them
	Full      uint64        `json:"full"`          // how often there was no room
	Blocked   time.Duration `json:"blocked_ns"`    // waiting for room
	Peak      int64         `json:"high_water"`    // most bytes that were in use
	Wakes     uint64        `json:"wakes"`         // how often it woke receivers
	LostWakes uint64        `json:"lost_wakes"`    // sleeps that ended by time although there was room
	Repairs   uint64        `json:"repairs"`       // how often it was taken over from the dead
	Last      time.Time     `json:"last,omitzero"` // its last activity, roughly
}

// Receiver is the reader of a ring, or a subscription of a topic.
type Receiver struct {
	Number    int           `json:"number"`            // of the place
	PID       int           `json:"pid,omitempty"`     // who has it, in its own PID namespace; 0 for nobody
	Alive     bool          `json:"alive"`             // else it has died, and nobody has taken over yet
	Name      string        `json:"name,omitempty"`    // of a subscription that outlives its process
	State     string        `json:"state"`             // "reliable", "lossy", "dropped", "joining"; a reader is reliable
	Received  uint64        `json:"received"`          // records
	Bytes     uint64        `json:"received_bytes"`    // of them
	Missed    uint64        `json:"missed"`            // records that were overwritten before they were read
	Lapped    uint64        `json:"lapped"`            // and how often that was
	Drops     uint64        `json:"drops"`             // how often publishers gave up waiting for it
	Blocked   time.Duration `json:"blocked_ns"`        // asleep
	Wakes     uint64        `json:"wakes"`             // how often it woke others
	LostWakes uint64        `json:"lost_wakes"`        // sleeps that ended by time although there were records
	Repairs   uint64        `json:"repairs"`           // how often it was taken over from the dead
	Joined    time.Time     `json:"joined,omitzero"`   // when a subscription was made
	Last      time.Time     `json:"last,omitzero"`     // its last activity, roughly
	Lag       uint64        `json:"lag"`               // records that it is behind all senders
	LagBytes  uint64        `json:"lag_bytes"`         // with headers and padding, behind the one that is furthest ahead of it
	Lags      []Lag         `json:"lags,omitempty"`    // topic: behind each publisher
	Latency   Latency       `json:"-"`                 // its JSON form is P50 to P999
	P50       float64       `json:"p50_ns,omitempty"`  // as in Flow
	P99       float64       `json:"p99_ns,omitempty"`  // as in Flow
	P999      float64       `json:"p999_ns,omitempty"` // as in Flow
}

// Lag is how far a subscription is behind one publisher.
type Lag struct {
	Publisher int    `json:"publisher"` // number of its lane
	Records   uint64 `json:"records"`   // that have not been released
	Bytes     uint64 `json:"bytes"`     // with headers and padding
}

// Holding is a slot of a queue that a process has in hand.
type Holding struct {
	PID        int       `json:"pid"`            // in its own PID namespace
	Alive      bool      `json:"alive"`          // else it has died, and nobody has taken the slot back yet
	Taken      bool      `json:"taken"`          // a message that a consumer has; else a slot that a producer fills
	Position   uint64    `json:"position"`       // of the message in the order of sending
	Deliveries int       `json:"deliveries"`     // of the message, this one included
	Since      time.Time `json:"since,omitzero"` // when the consumer got it, roughly
}

// Fill is how full it is, from 0 to 1; -1 for a topic that nothing is kept in.
func (f *Flow) Fill() float64 {
	if !f.Gated || f.Room <= 0 {
		return -1
	}
	return min(float64(f.Used)/float64(f.Room), 1)
}

// Live is how many senders and receivers live.
func (f *Flow) Live() (senders, receivers int) {
	for i := range f.Senders {
		if f.Senders[i].Alive {
			senders++
		}
	}
	for i := range f.Receivers {
		if f.Receivers[i].Alive {
			receivers++
		}
	}
	return senders, receivers
}

// durable is the number of subscriptions that wait for a process, and the name of one.
func (f *Flow) durable() (n int, name string) {
	for i := range f.Receivers {
		if r := &f.Receivers[i]; r.Name != "" {
			n, name = n+1, r.Name
		}
	}
	return n, name
}

// owed says what somebody is still to have of it, of whom none may live; "" for nothing.
func (f *Flow) owed(kind string) string {
	switch kind {
	case "topic":
		unread := ""
		if f.Unread > 0 {
			unread = ", with " + records(f.Unread, "record") + " unread"
		}
		switch n, name := f.durable(); {
		case n == 1:
			return fmt.Sprintf("its subscription %q waits for its process%s", name, unread)
		case n > 1:
			return fmt.Sprintf("%d subscriptions wait for their processes%s", n, unread)
		}
	case "ring":
		if f.Unread > 0 {
			return records(f.Unread, "record") + " in it nobody has read"
		}
	case "queue":
		if f.Unread > 0 {
			return records(f.Unread, "message") + " in it nobody has acknowledged"
		}
	}
	return ""
}

// records writes a number of them.
func records(n uint64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// quantiles are those of the JSON forms, in nanoseconds.
func quantiles(l *Latency) (p50, p99, p999 float64) {
	return float64(l.Quantile(0.5)), float64(l.Quantile(0.99)), float64(l.Quantile(0.999))
}

// typed sets the type of the records.
func (f *Flow) typed(s *schema.Schema) { f.Schema, f.Type = s, s.String() }

func flowOfRing(s ring.Stats) *Flow {
	f := &Flow{
		Room: int64(s.Size), Used: int64(s.Used), Gated: true, Peak: int64(s.HighWater),
		Sent: s.Sent, Bytes: s.SentBytes, Received: s.Received, Full: s.Full, Wakes: s.WriterWakes + s.ReaderWakes,
		SendBlocked: s.WriterBlocked, ReceiveBlocked: s.ReaderBlocked, LastSent: s.LastSent, LastReceived: s.LastReceived,
		Latency: s.Latency,
	}
	// The dead may have left their last steps uncounted; what is used is known.
	switch {
	case s.Used == 0:
	case s.Sent > s.Received:
		f.Unread = s.Sent - s.Received
	default:
		f.Unread = 1
	}
	f.P50, f.P99, f.P999 = quantiles(&s.Latency)
	f.Senders = []Sender{{PID: s.Writer.PID, Alive: s.Writer.Alive, Sent: s.Sent, Bytes: s.SentBytes, Full: s.Full, Blocked: s.WriterBlocked,
		Peak: int64(s.HighWater), Wakes: s.WriterWakes, LostWakes: s.WriterLostWakes, Repairs: s.WriterRepairs, Last: s.LastSent}}
	f.Receivers = []Receiver{{PID: s.Reader.PID, Alive: s.Reader.Alive, State: topic.Reliable.String(), Received: s.Received, Bytes: s.ReceivedBytes,
		Blocked: s.ReaderBlocked, Wakes: s.ReaderWakes, LostWakes: s.ReaderLostWakes, Repairs: s.ReaderRepairs, Last: s.LastReceived,
		Lag: f.Unread, LagBytes: uint64(s.Used), Latency: s.Latency, P50: f.P50, P99: f.P99, P999: f.P999}}
	return f
}

func flowOfTopic(s topic.Stats) *Flow {
	f := &Flow{Room: int64(s.LaneSize), MaxRecord: s.MaxRecord, Policy: s.Policy.String(), Lanes: s.MaxPublishers, Places: s.MaxSubscribers}
	for _, p := range s.Publishers {
		f.Sent += p.Sent
		f.Bytes += p.SentBytes
		f.Full += p.Full
		f.SendBlocked += p.Blocked
		f.Wakes += p.Wakes
		f.Peak = max(f.Peak, int64(p.HighWater))
		f.LastSent = later(f.LastSent, p.Last)
		f.Senders = append(f.Senders, Sender{Number: p.Publisher, PID: p.Port.PID, Alive: p.Port.Alive, Sent: p.Sent, Bytes: p.SentBytes,
			Full: p.Full, Blocked: p.Blocked, Peak: int64(p.HighWater), Wakes: p.Wakes, LostWakes: p.LostWakes, Repairs: p.Repairs, Last: p.Last})
	}
	for i := range s.Subscribers {
		f.subscription(&s.Subscribers[i])
	}
	f.P50, f.P99, f.P999 = quantiles(&f.Latency)
	return f
}

// subscription adds one of a topic.
func (f *Flow) subscription(s *topic.SubscriberStats) {
	r := Receiver{Number: s.Subscriber, PID: s.Port.PID, Alive: s.Port.Alive, Name: s.Name, State: s.State.String(),
		Received: s.Received, Bytes: s.ReceivedBytes, Missed: s.Missed, Lapped: s.Lapped, Drops: s.Drops, Blocked: s.Blocked,
		Wakes: s.Wakes, LostWakes: s.LostWakes, Repairs: s.Repairs, Joined: s.Joined, Last: s.Last, Latency: s.Latency}
	for _, l := range s.Lag {
		r.Lags = append(r.Lags, Lag(l))
		r.Lag += l.Records
		r.LagBytes = max(r.LagBytes, l.Bytes)
	}
	r.P50, r.P99, r.P999 = quantiles(&s.Latency)
	if s.State == topic.Reliable && (s.Port.Alive || s.Name != "") {
		f.Gated = true
		f.Used = max(f.Used, int64(min(r.LagBytes, uint64(f.Room))))
		f.Unread = max(f.Unread, r.Lag)
	}
	f.Received += s.Received
	f.Missed += s.Missed
	f.ReceiveBlocked += s.Blocked
	f.Wakes += s.Wakes
	f.LastReceived = later(f.LastReceived, s.Last)
	for i := range f.Latency.Buckets {
		f.Latency.Buckets[i] += s.Latency.Buckets[i]
	}
	f.Receivers = append(f.Receivers, r)
}

func flowOfQueue(s queue.Stats) *Flow {
	f := &Flow{
		Room: int64(s.Slots), Used: int64(s.Slots - s.Free), Gated: true, MaxRecord: s.MaxMessage, Peak: int64(s.HighWater),
		Unread: uint64(s.Ready + s.Taken), Sent: s.Sent, Bytes: s.SentBytes, Received: s.Received, Full: s.Full, Wakes: s.Wakes,
		Acked: s.Acked, Nacked: s.Nacked, Again: s.Redelivered, Returned: s.Returned, Freed: s.Freed,
		Ready: s.Ready, Taken: s.Taken, Claimed: s.Claimed,
		SendBlocked: s.SendBlocked, ReceiveBlocked: s.ReceiveBlocked, LastSent: s.LastSent, LastReceived: s.LastReceived, Latency: s.Latency,
	}
	f.P50, f.P99, f.P999 = quantiles(&s.Latency)
	for _, h := range s.Holdings {
		f.Holdings = append(f.Holdings, Holding(h))
	}
	return f
}
