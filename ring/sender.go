package ring

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/shm"
)

// sender is a [Writer] of bytes. It knows no T, because calls in instances of
// generic code are not inlined if the instance is made in another package.
type sender struct {
	port  port.Port
	body  *body
	lane  *lane.Writer
	limit int // length of a record, in bytes: at most
	fixed int // exactly; -1 if each has its own

	loan int // bytes of the loan that is open, and one more; 0 if there is none
	run  int // for how many records of that length it is, if it is a reservation
}

// enter begins an operation.
func (s *sender) enter(op string) error {
	if !s.port.Enter() {
		return s.port.Refused(op)
	}
	if s.loan != 0 {
		return s.lending(op)
	}
	return nil
}

// lending leaves the port with the error for an operation while a loan is open.
func (s *sender) lending(op string) error {
	return s.port.Fail(op, fmt.Errorf("a loan is open: commit or cancel it first: %w", ErrBusy))
}

// fits reports whether records may be so long.
func (s *sender) fits(n int) bool { return n <= s.limit && (s.fixed < 0 || n == s.fixed) }

// misfit leaves the port with the error for a length that does not fit.
func (s *sender) misfit(n int) error {
	if n > s.limit {
		return s.port.Fail("send to", fmt.Errorf("%d bytes, records here have at most %d: %w", n, s.limit, ErrTooLarge))
	}
	return s.port.Fail("send to", fmt.Errorf("%d bytes, records here have %d, as its type says: %w", n, s.fixed, syscall.EINVAL))
}

func (s *sender) send(ctx context.Context, p []byte) error {
	if !s.port.Enter() {
		return s.port.Refused("send to")
	}
	if s.loan != 0 {
		return s.lending("send to")
	}
	if !s.fits(len(p)) {
		return s.misfit(len(p))
	}
	if !s.lane.Send(p) {
		if err := s.await(ctx, len(p)); err != nil {
			return s.port.Fail("send to", err)
		}
		s.lane.Send(p)
	}
	s.port.Leave()
	return nil
}

func (s *sender) trySend(p []byte) (bool, error) {
	if err := s.enter("send to"); err != nil {
		return false, err
	}
	if !s.fits(len(p)) {
		return false, s.misfit(len(p))
	}
	if !s.lane.Send(p) {
		room, err := s.look(s.lane.Needs(len(p)))
		if err != nil {
			return false, s.port.Fail("send to", err)
		}
		if !room {
			s.full()
			s.port.Leave()
			return false, nil
		}
		s.lane.Send(p)
	}
	s.port.Leave()
	return true, nil
}

// sendBatch sends several records.
func (s *sender) sendBatch(ctx context.Context, records batch) (sent int, err error) {
	if err := s.enter("send to"); err != nil {
		return 0, err
	}
	eighth := s.lane.Data.Size() / 8
	for i := 0; i < records.n; i++ {
		p := records.at(i)
		if !s.fits(len(p)) {
			s.lane.Commit()
			return i, s.misfit(len(p))
		}
		if !s.lane.Append(p) {
			s.lane.Commit() // the reader must see it to make room
			sent = i
			if err := s.await(ctx, len(p)); err != nil {
				return sent, s.port.Fail("send to", err)
			}
			s.lane.Append(p)
		}
		if records.size > 0 {
			i += s.lane.AppendRun(records.values[(i+1)*records.size:], records.size, eighth)
		}
		if s.lane.Run() >= eighth {
			s.lane.Commit()
		}
	}
	s.lane.Commit()
	s.port.Leave()
	return records.n, nil
}

// look reads where the reader is, and reports whether the writer may go on up to
// need.
func (s *sender) look(need uint64) (bool, error) {
	pos, size, committed := s.body.control.Cursor.Position.Load(), s.lane.Data.Size(), s.lane.Committed()
	if pos%8 != 0 || pos > committed || committed-pos > size {
		return false, fmt.Errorf("its reader is at %d, its writer at %d of %d bytes: %w", pos, committed, size, shm.ErrCorrupt)
	}
	if used := committed - pos; used > s.lane.Control.HighWater.Load() {
		s.lane.Control.HighWater.Release(used)
	}
	s.lane.Open(pos, need)
	return need <= pos+size, nil
}

func (s *sender) full() {
	s.lane.Control.Full.Release(s.lane.Control.Full.Load() + 1)
}

// await waits for room for n bytes.
// Preconditions: no run is open.
func (s *sender) await(ctx context.Context, n int) error {
	need := s.lane.Needs(n)
	ok, err := s.look(need)
	if err != nil || ok && s.roomy() {
		return err
	}
	return s.wait(ctx, need, ok)
}

// roomy reports whether there is room for more than the next few records. Close
// behind the reader we would look at its position for each of them, and take the line
// away that it writes.
func (s *sender) roomy() bool { return s.lane.Room() >= min(s.lane.Data.Size()/8, comfort) }

// comfort is some µs of records in bytes: less than what a writer spins for.
const comfort = 16 << 10

// wait waits until there is room up to need. If there is some already, it does so
// only for a moment, for more.
func (s *sender) wait(ctx context.Context, need uint64, room bool) (err error) {
	some := room
	enough := func() bool {
		room, err = s.look(need)
		return room && s.roomy() || err != nil || s.port.Closing()
	}
	barely := func() bool { return enough() || room }
	if !some {
		s.full()
	}
	began := time.Now()
	// As long as the reader moves on, room comes sooner than sleep.
	position := &s.body.control.Cursor.Position
	pos, found := position.Load(), s.port.Spin(enough)
	for !found && !room && position.Load() != pos {
		pos, found = position.Load(), s.port.Spin(enough)
	}
	if !found && !room {
		lost, done := s.port.Sleep(ctx, barely)
		// The reader tells us of room when an eighth is free, and not before.
		if lost && room && s.lane.Room() >= s.lane.Data.Size()/8 {
			s.port.LostWake(&s.lane.Control.LostWakes)
		}
		if done != nil && !barely() {
			err = done
		}
	}
	if !some {
		port.AddTime(&s.lane.Control.Blocked, time.Since(began))
	}
	if err == nil && !room {
		return shm.ErrClosed
	}
	return err
}

// lend lends the place for a record of n bytes.
func (s *sender) lend(ctx context.Context, n int) ([]byte, error) {
	if err := s.enter("lend from"); err != nil {
		return nil, err
	}
	if !s.fits(n) {
		return nil, s.misfit(n)
	}
	p := s.lane.Reserve(n)
	if p == nil {
		if err := s.await(ctx, n); err != nil {
			return nil, s.port.Fail("lend from", err)
		}
		p = s.lane.Reserve(n)
	}
	s.loan = n + 1
	s.port.Leave()
	return p, nil
}

// end ends a loan: with n bytes, or with none if n is negative.
func (s *sender) end(op string, n int) error {
	if !s.port.Enter() {
		return s.port.Refused(op)
	}
	if n >= s.loan || s.loan == 0 || s.run != 0 {
		return s.strange(op, n)
	}
	if n >= 0 && s.fixed >= 0 && n != s.fixed {
		return s.misfit(n)
	}
	s.loan = 0
	if n >= 0 {
		s.lane.Push(n)
	} else {
		s.lane.Cancel()
	}
	s.port.Leave()
	return nil
}

// strange leaves the port with the error for the end of a loan that is none, or is longer
// than it was.
func (s *sender) strange(op string, n int) error {
	if s.loan == 0 || s.run != 0 {
		return s.port.Fail(op, fmt.Errorf("no loan is open: %w", ErrBusy))
	}
	return s.port.Fail(op, fmt.Errorf("%d bytes, in a loan of %d: %w", n, s.loan-1, ErrTooLarge))
}

// reserve lends places for at most n records of size bytes, which lie step bytes apart.
func (s *sender) reserve(ctx context.Context, n, size int) (places []byte, step, records int, err error) {
	if err := s.enter("reserve in"); err != nil {
		return nil, 0, 0, err
	}
	if !s.fits(size) {
		return nil, 0, 0, s.misfit(size)
	}
	if places, step, records = s.lane.ReserveRun(n, size); records == 0 {
		if err := s.await(ctx, size); err != nil {
			return nil, 0, 0, s.port.Fail("reserve in", err)
		}
		places, step, records = s.lane.ReserveRun(n, size)
	}
	s.loan, s.run = size+1, records
	s.port.Leave()
	return places, step, records, nil
}

// endRun ends a reservation with the first n records.
func (s *sender) endRun(op string, n int) error {
	if !s.port.Enter() {
		return s.port.Refused(op)
	}
	if s.run == 0 {
		return s.port.Fail(op, fmt.Errorf("no reservation is open: %w", ErrBusy))
	}
	if n < 0 || n > s.run {
		return s.port.Fail(op, fmt.Errorf("%d records, in a reservation of %d: %w", n, s.run, syscall.EINVAL))
	}
	size := s.loan - 1
	s.loan, s.run = 0, 0
	if n > 0 {
		s.lane.AddRun(n, size)
		s.lane.Commit()
	} else {
		s.lane.Cancel()
	}
	s.port.Leave()
	return nil
}

func (s *sender) close() {
	if !s.port.Shut() {
		return
	}
	s.lane.Cancel()
	s.lane.Publish()
	port.GiveBack(s.body.table, &s.lane.Control.Owner)
}
