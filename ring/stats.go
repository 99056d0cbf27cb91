package ring

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/shm"
)

// Port is who has an end of a ring.
type Port struct {
	PID   int  // of the process, in its own pid namespace; 0 if nobody has the port
	Alive bool // else it has died, and nobody has taken the port over yet
}

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

	Members   int    // processes that have the ring open now
	Deaths    uint64 // members that ended without leaving
	Repairs   uint64 // ports that were taken over from the dead
	LostWakes uint64 // sleeps that ended by time although there was something to do; 0 unless a member died
}

// Stats returns the state and counters, which change meanwhile: they need not
// agree with one another. After Close they are zero. Cost: some system calls.
func (r *Ring[T]) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return Stats{}
	}
	l, c, h := r.lane.Control, &r.control.Cursor, r.table.Head()
	s := Stats{
		Size: int(r.lane.Data.Size()),
		Sent: l.Messages.Load(), SentBytes: l.Bytes.Load(),
		Received: c.Messages.Load(), ReceivedBytes: c.Bytes.Load(),
		Full:          l.Full.Load(),
		HighWater:     int(min(l.HighWater.Load(), r.lane.Data.Size())),
		WriterBlocked: time.Duration(l.Blocked.Load()), ReaderBlocked: time.Duration(c.Blocked.Load()),
		LastSent: instant(l.Active.Load()), LastReceived: instant(c.Active.Load()),
		Members: r.table.Count(), Deaths: h.Deaths.Load(), Repairs: h.Repairs.Load(), LostWakes: h.LostWakes.Load(),
	}
	r.steady(func(pos uint64) error {
		end, err := r.lane.End(pos)
		s.Used = int(min(end-pos, r.lane.Data.Size()))
		return err
	})
	if report, err := member.Read(r.object.Segment, r.object.Members()); err == nil {
		s.Writer, s.Reader = portOf(report, l.Owner.Load()), portOf(report, c.Owner.Load())
	}
	return s
}

// instant is a time as counters have it.
func instant(ns uint64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(ns))
}

func portOf(r *member.Report, word uint64) Port {
	if m := r.Find(layout.Owner(word)); m != nil {
		return Port{PID: m.PID, Alive: m.Alive}
	}
	return Port{}
}

// errRestless: the reader has always moved on.
var errRestless = errors.New("it is being read so fast that it cannot be looked at; try again")

// steady calls f with the reader's position until that has stood still meanwhile:
// then all that f has seen behind it was intact. If f finds nothing wrong it need not
// stand still.
func (r *Ring[T]) steady(f func(pos uint64) error) error {
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
		return fail("check", r.object.Name, shm.ErrClosed)
	}
	for role, word := range map[string]uint64{"writer": r.lane.Control.Owner.Load(), "reader": r.control.Cursor.Owner.Load()} {
		if _, valid := r.table.Current(layout.Owner(word)); word != 0 && (!valid || word&0xffff != 0) {
			return fail("check", r.object.Name, fmt.Errorf("owner of its %s is %#x, which is impossible: %w", role, word, shm.ErrCorrupt))
		}
	}
	return fail("check", r.object.Name, r.steady(r.lane.Check))
}
