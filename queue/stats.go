package queue

import (
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/port"
)

// Latency is how long messages took from being sent to being received for the first
// time, in those of them that were sampled.
type Latency = lane.Latency

// Holding is a slot that a process has in hand.
type Holding struct {
	PID   int  // of the process, in its own pid namespace
	Alive bool // else it has died, and nobody has taken the slot back yet
	Taken bool // a consumer has a message; else a producer fills the slot, and the rest is zero

	Position   uint64    // of the message in the order of sending
	Deliveries int       // how often it has been delivered
	Since      time.Time // when the consumer got it, to within 16 messages of its process
}

// Stats is the state of a queue, and counters since it was made.
type Stats struct {
	Slots      int // of the queue
	MaxMessage int // bytes

	Free, Claimed, Ready, Taken int // slots: unused, being filled, with a message to be had, with one that a consumer has

	Sent, SentBytes uint64 // messages, and bytes of them
	Received        uint64 // deliveries of messages
	Acked, Nacked   uint64 // messages that were acknowledged; that were given back, by Close too
	Redelivered     uint64 // deliveries that were not the message's first
	Full            uint64 // how often there was no free slot when a message was to be sent
	HighWater       int    // most slots in use, as seen now and then

	SendBlocked, ReceiveBlocked time.Duration // time that goroutines waited: for room, and, asleep, for messages
	LastSent, LastReceived      time.Time     // of the last activity, to the last sampled message or sleep; zero if never
	Latency                     Latency       // of one message in 509, and of the first after a sleep

	Wakes           uint64    // times that somebody who slept was woken
	LostWakes       uint64    // sleeps that ended by time although there was something to do; 0 unless a member died or was stopped
	Returned, Freed uint64    // what was taken back from the dead: messages, and slots that they were filling
	Members         int       // processes that have the queue open now
	Deaths          uint64    // members that ended without leaving
	Holdings        []Holding // who has what in hand, at most 1024 of them
}

// maxHoldings is how many holdings statistics list.
const maxHoldings = 1024

// stats reads the state and the counters. report is on the members; nil if there is
// none to be had.
func (b *body) stats(report *member.Report) Stats {
	c := b.control
	s := Stats{
		Slots: b.slots.Len(), MaxMessage: b.max,
		HighWater: int(min(c.HighWater.Load(), b.mask+1)),
		Latency:   lane.ReadLatency(&c.Latency),
	}
	var lastSent, lastReceived uint64
	for i := range b.rows {
		r := &b.rows[i]
		s.Sent += r.Sent.Load()
		s.SentBytes += r.SentBytes.Load()
		s.Acked += r.Acked.Load()
		s.Nacked += r.Nacked.Load()
		s.Redelivered += r.Redelivered.Load()
		s.Full += r.Full.Load()
		s.SendBlocked += time.Duration(r.SendBlocked.Load())
		s.ReceiveBlocked += time.Duration(r.ReceiveBlocked.Load())
		s.Wakes += r.Wakes.Load()
		s.LostWakes += r.LostWakes.Load()
		s.Returned += r.Returned.Load()
		s.Freed += r.Freed.Load()
		lastSent, lastReceived = max(lastSent, r.LastSent.Load()), max(lastReceived, r.LastReceived.Load())
	}
	if b.length >= 0 {
		s.SentBytes = s.Sent * uint64(b.length)
	}
	s.LastSent, s.LastReceived = instant(lastSent), instant(lastReceived)
	for i := range b.slots.Len() {
		slot := b.slots.At(i)
		w := slot.State.Load()
		switch kind(w) {
		case layout.QueueFree:
			s.Free++
			continue
		case layout.QueueReady:
			s.Ready++
			continue
		case layout.QueueClaimed:
			s.Claimed++
		case layout.QueueTaken:
			s.Taken++
		}
		if len(s.Holdings) < maxHoldings {
			s.Holdings = append(s.Holdings, holding(slot, w, report))
		}
	}
	s.Received = s.Acked + s.Nacked + s.Returned + uint64(s.Taken)
	if report != nil {
		s.Members, s.Deaths = len(report.Members), report.Deaths
	}
	return s
}

// holding is what a state that names an owner says.
func holding(slot *layout.QueueSlot, w uint64, report *member.Report) Holding {
	h := Holding{Taken: kind(w) == layout.QueueTaken}
	if report != nil {
		o := port.OwnerIn(report, w)
		h.PID, h.Alive = o.PID, o.Alive
	}
	if h.Taken {
		h.Position, h.Deliveries = slot.Position.Load(), int(slot.Meta.Load()>>32)
		h.Since = instant(slot.Stamp.Load())
	}
	return h
}

// Stats returns the state and counters, which change meanwhile: they need not agree
// with one another. After Close they are zero. Cost: a look at every slot, and some
// system calls.
func (q *Queue[T]) Stats() Stats {
	if q.enter() != nil {
		return Stats{}
	}
	defer q.leave()
	report, _ := member.Read(q.object.Segment, q.object.Members())
	return q.stats(report)
}

// instant is a time as counters have it.
func instant(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns))
}
