package ring

import (
	"context"
	"fmt"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/shm"
)

// Writer is the end of a ring that sends. It serves one goroutine at a time; see
// the package comment.
type Writer[T any] struct {
	port[T]
	lane   *lane.Writer
	limit  int // of a record
	length int // of every record; -1 if each has its own

	lent  bool   // a loan is open
	loan  []byte // its place
	value T      // the slice in it, if T is []byte
}

// bytes returns the payload of a record, in place.
func (w *Writer[T]) bytes(v *T) []byte {
	if w.length < 0 {
		return *mem.SliceIn(v)
	}
	return mem.BytesOf(v)
}

// enter begins an operation.
func (w *Writer[T]) enter(op string) error {
	if !w.guard.Enter() {
		return w.refused(op)
	}
	if w.lent {
		return w.fail(op, fmt.Errorf("a loan is open: commit or cancel it first: %w", ErrBusy))
	}
	return nil
}

// Send copies v into the ring. If there is no room it waits for the reader, until
// ctx is done: then it returns ctx's error, and nothing has been sent. Otherwise ctx
// is not looked at.
//
// Cost, with room: two locked instructions and the copy.
func (w *Writer[T]) Send(ctx context.Context, v T) error {
	if err := w.enter("send to"); err != nil {
		return err
	}
	p := w.bytes(&v)
	if len(p) > w.limit {
		return w.tooLarge(len(p))
	}
	if w.lane.Reserve(len(p)) == nil {
		if err := w.await(ctx, len(p)); err != nil {
			return w.fail("send to", err)
		}
	}
	w.put(p)
	w.lane.Commit()
	w.guard.Leave()
	return nil
}

// TrySend is Send that never waits: it reports whether there was room.
func (w *Writer[T]) TrySend(v T) (bool, error) {
	if err := w.enter("send to"); err != nil {
		return false, err
	}
	p := w.bytes(&v)
	if len(p) > w.limit {
		return false, w.tooLarge(len(p))
	}
	if w.lane.Reserve(len(p)) == nil {
		room, err := w.look(w.lane.Needs(len(p)))
		if err != nil {
			return false, w.fail("send to", err)
		}
		if !room {
			w.full()
			w.guard.Leave()
			return false, nil
		}
		w.lane.Reserve(len(p))
	}
	w.put(p)
	w.lane.Commit()
	w.guard.Leave()
	return true, nil
}

// SendBatch sends all of vs, in order. One synchronisation serves many records:
// they are committed together, up to an eighth of the ring at a time. It returns how
// many were sent; fewer than all only with an error: that of ctx, which ended a wait
// for room, or ErrTooLarge.
func (w *Writer[T]) SendBatch(ctx context.Context, vs []T) (sent int, err error) {
	if err := w.enter("send to"); err != nil {
		return 0, err
	}
	eighth := w.lane.Data.Size() / 8
	for i := range vs {
		p := w.bytes(&vs[i])
		if len(p) > w.limit {
			w.lane.Commit()
			return i, w.tooLarge(len(p))
		}
		if w.lane.Reserve(len(p)) == nil {
			w.lane.Commit() // the reader must see it to make room
			sent = i
			if err := w.await(ctx, len(p)); err != nil {
				return sent, w.fail("send to", err)
			}
		}
		w.put(p)
		if w.lane.Run() >= eighth {
			w.lane.Commit()
		}
	}
	w.lane.Commit()
	w.guard.Leave()
	return len(vs), nil
}

// put fills the place that has been reserved, and adds it to the run.
func (w *Writer[T]) put(p []byte) {
	w.lane.Fill(p)
	w.lane.Add(len(p))
}

func (w *Writer[T]) tooLarge(n int) error {
	return w.fail("send to", fmt.Errorf("%d bytes, records here have at most %d: %w", n, w.limit, ErrTooLarge))
}

// look reads where the reader is, and reports whether the writer may go on up to
// need.
func (w *Writer[T]) look(need uint64) (bool, error) {
	pos, size, committed := w.ring.control.Cursor.Position.Load(), w.lane.Data.Size(), w.lane.Committed()
	if pos%8 != 0 || pos > committed || committed-pos > size {
		return false, fmt.Errorf("its reader is at %d, its writer at %d of %d bytes: %w", pos, committed, size, shm.ErrCorrupt)
	}
	if used := committed - pos; used > w.lane.Control.HighWater.Load() {
		w.lane.Control.HighWater.Release(used)
	}
	w.lane.Open(pos)
	return need <= pos+size, nil
}

func (w *Writer[T]) full() {
	w.lane.Control.Full.Release(w.lane.Control.Full.Load() + 1)
}

// await waits for room for n bytes, and reserves it.
// Preconditions: no run is open.
func (w *Writer[T]) await(ctx context.Context, n int) (err error) {
	need := w.lane.Needs(n)
	room := false
	ready := func() bool {
		if room, err = w.look(need); room || err != nil {
			return true
		}
		return w.closing.Load()
	}
	if !ready() {
		w.full()
		w.lane.Publish()
		began := time.Now()
		if !w.spin.Spin(ready) {
			lost, done := w.sleep(ctx, ready)
			// The reader tells us of room when an eighth is free, and not before.
			if lost && room && w.lane.Committed()-w.ring.control.Cursor.Position.Load() <= w.lane.Data.Size()/8*7 {
				w.lostWake()
			}
			if done != nil && !ready() {
				err = done
			}
		}
		add(&w.lane.Control.Blocked, time.Since(began))
	}
	switch {
	case err != nil:
		return err
	case !room:
		return shm.ErrClosed
	}
	w.lane.Reserve(n)
	return nil
}

// Loan is a place in the ring for one record, to be filled where it lies. Nobody
// sees it before Commit; a process that dies first has sent nothing. A writer has at
// most one open at a time, and sends nothing else meanwhile.
type Loan[T any] struct {
	// Value is the record, with whatever bytes stood there before. If T is []byte it
	// points to a slice of the length that was asked for, which may be made shorter
	// (*l.Value = (*l.Value)[:n]) before Commit.
	Value *T

	writer *Writer[T]
}

// Loan lends the place for the next record, which it waits for as Send does. If T
// is []byte, use LoanBytes.
func (w *Writer[T]) Loan(ctx context.Context) (Loan[T], error) {
	if w.length < 0 {
		return Loan[T]{}, fail("lend from", w.ring.object.Name, fmt.Errorf("a []byte has no length of its own: use LoanBytes"))
	}
	return w.lend(ctx, w.length)
}

// LoanBytes is Loan for records of []byte: n bytes.
func (w *Writer[T]) LoanBytes(ctx context.Context, n int) (Loan[T], error) {
	if w.length >= 0 || n < 0 {
		return Loan[T]{}, fail("lend from", w.ring.object.Name, fmt.Errorf("%d bytes, in a ring of %T: use Loan", n, w.value))
	}
	return w.lend(ctx, n)
}

func (w *Writer[T]) lend(ctx context.Context, n int) (Loan[T], error) {
	if err := w.enter("lend from"); err != nil {
		return Loan[T]{}, err
	}
	if n > w.limit {
		return Loan[T]{}, w.tooLarge(n)
	}
	if w.loan = w.lane.Reserve(n); w.loan == nil {
		if err := w.await(ctx, n); err != nil {
			return Loan[T]{}, w.fail("lend from", err)
		}
		w.loan = w.lane.Reserve(n)
	}
	l := Loan[T]{Value: &w.value, writer: w}
	if w.length < 0 {
		*mem.SliceIn(&w.value) = w.loan
	} else {
		l.Value = mem.ValueIn[T](w.loan)
	}
	w.lent = true
	w.guard.Leave()
	return l, nil
}

// Commit sends the record.
func (l Loan[T]) Commit() error { return l.end("commit to", true) }

// Cancel gives the place back; nothing has been sent. After Commit it does nothing
// but return an error, so it may be deferred.
func (l Loan[T]) Cancel() error { return l.end("cancel a loan from", false) }

func (l Loan[T]) end(op string, commit bool) error {
	w := l.writer
	if !w.guard.Enter() {
		return w.refused(op)
	}
	if !w.lent {
		return w.fail(op, fmt.Errorf("no loan is open: %w", ErrBusy))
	}
	n := len(w.loan)
	if w.length < 0 {
		n = len(*mem.SliceIn(&w.value))
	}
	if commit && n > len(w.loan) {
		return w.fail(op, fmt.Errorf("%d bytes, in a loan of %d: %w", n, len(w.loan), ErrTooLarge))
	}
	w.lent, w.loan = false, nil
	if commit {
		w.lane.Add(n)
		w.lane.Commit()
	} else {
		w.lane.Cancel()
	}
	w.guard.Leave()
	return nil
}

// Close gives the port back: another process, or this one, may take it. Who waits
// in Send returns with shm.ErrClosed. An open loan is cancelled, and must not be
// touched any more. Closing again does nothing.
func (w *Writer[T]) Close() error {
	w.ring.mu.Lock()
	defer w.ring.mu.Unlock()
	w.close()
	return nil
}

func (w *Writer[T]) close() {
	if !w.shut() {
		return
	}
	w.lane.Cancel()
	w.lane.Publish()
	w.ring.giveBack(w.owner)
}
