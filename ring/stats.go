package ring

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/shm"
)

// Port is who has an end of a ring: PID is that of the process, in its own pid
// namespace, 0 if nobody has the port; Alive is false if it has died, and nobody has
// taken the port over yet.
type Port = port.Owner

// Stats is the state of a ring, and counters since it was made.
type Stats struct {
	Size, Used     int  // bytes of the ring; of them, how many hold records that are not released
	Writer, Reader Port // who has the ends

	Sent, SentBytes         uint64 // records, and bytes of them; a writer that dies may leave its last commit out
	Received, ReceivedBytes uint64 // records, and bytes of them; likewise
	Full                    uint64 // how often there was no room when a record was to be sent
	HighWater               int    // most bytes that were in use, as the writer sees it each time it goes round

	WriterBlocked, ReaderBlocked time.Duration // time spent waiting: for room, and, asleep, for records
	LastSent, LastReceived       time.Time     // of the last activity, to an eighth of the ring or the last sleep; zero if never

	// Latency is how long records took from being written to being read, of those
	// that carry a time: one in 512, and each that woke somebody.
	Latency Latency

	WriterWakes, ReaderWakes         uint64 // times that this end has woken the other
	WriterLostWakes, ReaderLostWakes uint64 // sleeps of this end that ended by time although there was something to do
	WriterRepairs, ReaderRepairs     uint64 // times that this port was taken over from the dead

	Members   int    // processes that have the ring open now
	Deaths    uint64 // members that ended without leaving
	Repairs   uint64 // ports, in all, that were taken over from the dead
	LostWakes uint64 // in all; 0 unless a member died
}

// Latency is how long records took; see [Stats].
type Latency = lane.Latency

// Stats returns the state and counters, which change meanwhile: they need not
// agree with one another. After Close they are zero. Cost: some system calls.
func (r *Ring[T]) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return Stats{}
	}
	return r.stats()
}

func (r *body) stats() Stats {
	l, c := r.lane.Control, &r.control.Cursor
	s := Stats{
		Size: int(r.lane.Data.Size()),
		Sent: l.Messages.Load(), SentBytes: l.Bytes.Load(),
		Received: c.Messages.Load(), ReceivedBytes: c.Bytes.Load(),
		Full:          l.Full.Load(),
		HighWater:     int(min(l.HighWater.Load(), r.lane.Data.Size())),
		WriterBlocked: time.Duration(l.Blocked.Load()), ReaderBlocked: time.Duration(c.Blocked.Load()),
		LastSent: instant(l.Active.Load()), LastReceived: instant(c.Active.Load()),
		Latency:     lane.ReadLatency(&r.control.Latency),
		WriterWakes: l.Wakes.Load(), ReaderWakes: c.Wakes.Load(),
		WriterLostWakes: l.LostWakes.Load(), ReaderLostWakes: c.LostWakes.Load(),
		WriterRepairs: l.Repairs.Load(), ReaderRepairs: c.Repairs.Load(),
	}
	r.steady(func(pos uint64) error {
		end, err := r.lane.End(lane.Mark{Position: pos})
		s.Used = int(min(end.Position-pos, r.lane.Data.Size()))
		return err
	})
	if report, err := member.Read(r.object.Segment, r.object.Members()); err == nil {
		s.Members, s.Deaths, s.Repairs, s.LostWakes = living(report), report.Deaths, report.Repairs, report.LostWakes
		s.Writer, s.Reader = port.OwnerIn(report, l.Owner.Load()), port.OwnerIn(report, c.Owner.Load())
	}
	return s
}

// living counts the members that are alive.
func living(r *member.Report) (n int) {
	for i := range r.Members {
		if r.Members[i].Alive {
			n++
		}
	}
	return n
}

// instant is a time as counters have it.
func instant(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns))
}

// errRestless: the reader has always moved on.
var errRestless = errors.New("it is being read so fast that it cannot be looked at; try again")

// steady calls f with the reader's position until that has stood still meanwhile:
// then all that f has seen behind it was intact. If f finds nothing wrong it need not
// stand still.
func (r *body) steady(f func(pos uint64) error) error {
	for range 1000 {
		pos := r.control.Cursor.Position.Load()
		if err := f(pos); err == nil || r.control.Cursor.Position.Load() == pos {
			return err
		}
	}
	return errRestless
}

// Check looks for what no sequence of operations and deaths leads to, and reports
// it with shm.ErrCorrupt. It changes nothing, and may be called while the ring is in
// use.
func (r *Ring[T]) Check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return port.Fail("check", r.object.Name, shm.ErrClosed)
	}
	return r.check()
}

func (r *body) check() error {
	for _, owner := range []struct {
		what string
		word uint64
	}{{"writer", r.lane.Control.Owner.Load()}, {"reader", r.control.Cursor.Owner.Load()}} {
		slot := layout.OwnerOf(owner.word).Slot()
		if owner.word != 0 && (slot < 0 || slot >= int(r.object.Header.Slots) || owner.word&0xffff != 0) {
			return port.Fail("check", r.object.Name, fmt.Errorf("owner of its %s is %#x, which is impossible: %w", owner.what, owner.word, shm.ErrCorrupt))
		}
	}
	return port.Fail("check", r.object.Name, r.steady(r.lane.Check))
}
