package topic

import (
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/port"
)

// Port is who has something of a topic: PID is that of the process, in its own pid
// namespace, 0 if nobody has it; Alive is false if it has died, and nobody has taken
// the thing back yet.
type Port = port.Owner

// Latency is how long records took from being sent to being received, in those of them
// that were sampled.
type Latency = lane.Latency

// Stats is the state of a topic, and counters since it was made.
type Stats struct {
	MaxPublishers, MaxSubscribers int    // at a time
	LaneSize, MaxRecord           int    // bytes
	Policy                        Policy // what publishers do when a subscriber is slow

	Publishers  []PublisherStats  // lanes that have ever had a publisher
	Subscribers []SubscriberStats // places that have a subscriber, or a name

	Members   int    // processes that have the topic open now
	Deaths    uint64 // members that ended without leaving
	Repairs   uint64 // lanes and places that were taken back from the dead
	LostWakes uint64 // sleeps that ended by time although there was something to do; 0 unless a member died
}

// PublisherStats is the state of a lane, and counters since the topic was made: of
// all publishers that it has had.
type PublisherStats struct {
	Publisher       int           // number of the lane
	Port            Port          // who has it
	Sent, SentBytes uint64        // records, and bytes of them
	Full            uint64        // how often there was no room when a record was to be sent
	Blocked         time.Duration // time spent waiting for room
	HighWater       int           // most bytes that a reliable subscriber was behind, as seen once a round
	Wakes           uint64        // how often it woke subscribers
	LostWakes       uint64        // its part of Stats.LostWakes
	Repairs         uint64        // how often the lane was taken over from the dead
	Last            time.Time     // of the last activity, to an eighth of the lane; zero if never
}

// SubscriberStats is the state of a subscription, and counters since it was made.
type SubscriberStats struct {
	Subscriber              int           // number of its place
	Port                    Port          // who has it; PID 0 if it has a name, and no process now
	Name                    string        // empty if it has none
	State                   State         // whether publishers wait for it
	Received, ReceivedBytes uint64        // records, and bytes of them
	Missed, Lapped          uint64        // records that were overwritten before they were read, and how often that was
	Drops                   uint64        // how often publishers gave up waiting for it
	Blocked                 time.Duration // time spent asleep
	Wakes                   uint64        // how often it woke publishers, and others that slept beside it
	LostWakes               uint64        // its part of Stats.LostWakes
	Repairs                 uint64        // how often its place was taken back from the dead; of all its subscriptions
	Joined, Last            time.Time     // when it was made; its last activity, to an eighth of a lane or the last sleep
	Lag                     []Lag         // for each lane that has ever had a publisher
	Latency                 Latency       // from being sent to being looked at
}

// Lag is how far a subscription is behind one publisher.
type Lag struct {
	Publisher      int    // number of its lane
	Records, Bytes uint64 // Bytes with headers and padding
}

// State is what publishers make of a subscription.
type State int

// The states.
const (
	Lossy    State = iota // nobody waits for it
	Reliable              // publishers wait for it
	Dropped               // publishers do not wait for it any more
	Joining               // it is being made
)

// String returns the state's name: "reliable".
func (s State) String() string { return [...]string{"lossy", "reliable", "dropped", "joining"}[s&3] }

func stateOf(word uint64) State {
	switch {
	case word&layout.SubJoining != 0:
		return Joining
	case word&layout.SubDropped != 0:
		return Dropped
	case word&layout.SubReliable != 0:
		return Reliable
	}
	return Lossy
}

// Stats returns the state and counters, which change meanwhile: they need not
// agree with one another. After Close they are zero. Cost: some system calls, and a
// walk over an eighth of each lane.
func (t *Topic[T]) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return Stats{}
	}
	return t.stats()
}

func (c *control) stats() Stats {
	s := Stats{MaxPublishers: len(c.lanes), MaxSubscribers: len(c.places), LaneSize: int(c.laneSize),
		MaxRecord: lane.MaxRecord(c.laneSize), Policy: c.policy}
	report, err := member.Read(c.object.Segment, c.object.Members())
	if err != nil {
		report = &member.Report{}
	}
	s.Deaths, s.Repairs, s.LostWakes = report.Deaths, report.Repairs, report.LostWakes
	for _, m := range report.Members {
		if m.Alive {
			s.Members++
		}
	}
	ends := make([]lane.Mark, c.usedLanes())
	for i := range ends {
		l := c.lanes[i].Control
		s.Publishers = append(s.Publishers, PublisherStats{
			Publisher: i, Port: port.OwnerIn(report, l.Owner.Load()),
			Sent: l.Messages.Load(), SentBytes: l.Bytes.Load(), Full: l.Full.Load(), Blocked: time.Duration(l.Blocked.Load()),
			HighWater: int(min(l.HighWater.Load(), c.laneSize)), Wakes: l.Wakes.Load(), LostWakes: l.LostWakes.Load(),
			Repairs: l.Repairs.Load(), Last: instant(l.Active.Load()),
		})
		ends[i], _ = c.lanes[i].Begin(false)
	}
	for i := range c.usedPlaces() {
		if word := c.places[i].Load(); word != 0 {
			s.Subscribers = append(s.Subscribers, c.subscriber(i, word, report, ends))
		}
	}
	return s
}

func (c *control) subscriber(i int, word uint64, report *member.Report, ends []lane.Mark) SubscriberStats {
	row := &c.rows[i]
	s := SubscriberStats{
		Subscriber: i, Port: port.OwnerIn(report, uint64(layout.OwnerOf(word))), State: stateOf(word),
		Drops: row.Drops.Load(), Blocked: time.Duration(row.Blocked.Load()), Wakes: row.Wakes.Load(),
		LostWakes: row.LostWakes.Load(), Repairs: row.Repairs.Load(), Joined: instant(row.Joined.Load()),
		Latency: lane.ReadLatency(&row.Latency),
	}
	if word&layout.SubNamed != 0 {
		s.Name = nameOf(row)
	}
	var last uint64
	for l, end := range ends {
		cur := &c.at(l)[i]
		messages, missed, pos := cur.Messages.Load(), cur.Missed.Load(), cur.Position.Load()
		s.Received += messages
		s.ReceivedBytes += cur.Bytes.Load()
		s.Missed += missed
		s.Lapped += cur.Lapped.Load()
		s.Wakes += cur.Wakes.Load()
		last = max(last, cur.Active.Load())
		number := cur.Flags.Load() + messages + missed
		s.Lag = append(s.Lag, Lag{Publisher: l, Records: behind(end.Number, number), Bytes: behind(end.Position, pos)})
	}
	s.Last = instant(last)
	return s
}

// behind is how far one is behind an end that was read before.
func behind(end, at uint64) uint64 {
	if at > end {
		return 0
	}
	return end - at
}

// instant is a time as counters and stamps have it.
func instant(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns))
}
