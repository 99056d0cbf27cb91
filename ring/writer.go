package ring

import (
	"context"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/port"
)

// Writer is the end of a ring that sends. It serves one goroutine at a time; see
// the package comment.
type Writer[T any] struct {
	core    sender
	ring    *Ring[T]
	untyped bool // T is []byte
	value   T    // the slice of a loan, if it is
}

// Send copies v into the ring. If there is no room it waits for the reader, until
// ctx is done: then it returns ctx's error, and nothing has been sent. Otherwise ctx
// is not looked at.
//
// Cost, with room: the copy and some 10 ns. As long as the reader is not seen to keep
// up with a dense stream, or on other processors than x86-64, a locked instruction.
func (w *Writer[T]) Send(ctx context.Context, v T) error {
	return w.core.send(ctx, bytesOf(w.untyped, &v))
}

// TrySend is Send that never waits: it reports whether there was room.
func (w *Writer[T]) TrySend(v T) (bool, error) { return w.core.trySend(bytesOf(w.untyped, &v)) }

// SendBatch sends all of vs, in order. One synchronisation serves many records:
// they are committed together, up to an eighth of the ring at a time. It returns how
// many were sent; fewer than all only with an error: that of ctx, which ended a wait
// for room, or ErrTooLarge.
//
// A batch of one is Send by reference: of a T of more than a few words, just filled,
// the copy that Go makes for a call by value takes longer than the rest of Send.
func (w *Writer[T]) SendBatch(ctx context.Context, vs []T) (sent int, err error) {
	if len(vs) == 1 {
		if err := w.core.send(ctx, bytesOf(w.untyped, &vs[0])); err != nil {
			return 0, err
		}
		return 1, nil
	}
	return w.core.sendBatch(ctx, batchOf(w.untyped, vs))
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
	if w.untyped {
		return Loan[T]{}, port.Fail("lend from", w.ring.Name(), fmt.Errorf("a []byte has no length of its own: use LoanBytes"))
	}
	return w.lend(ctx, w.core.fixed)
}

// LoanBytes is Loan for records of []byte: n bytes.
func (w *Writer[T]) LoanBytes(ctx context.Context, n int) (Loan[T], error) {
	if !w.untyped || n < 0 {
		return Loan[T]{}, port.Fail("lend from", w.ring.Name(), fmt.Errorf("%d bytes, in a ring of %T: use Loan", n, w.value))
	}
	return w.lend(ctx, n)
}

func (w *Writer[T]) lend(ctx context.Context, n int) (Loan[T], error) {
	p, err := w.core.lend(ctx, n)
	if err != nil {
		return Loan[T]{}, err
	}
	return Loan[T]{Value: inPlace(w.untyped, p, &w.value), writer: w}, nil
}

// Commit sends the record.
func (l Loan[T]) Commit() error {
	return l.writer.core.end("commit to", len(bytesOf(l.writer.untyped, l.Value)))
}

// Cancel gives the place back; nothing has been sent. After Commit it does nothing
// but return an error, so it may be deferred.
func (l Loan[T]) Cancel() error { return l.writer.core.end("cancel a loan from", -1) }

// Close gives the port back: another process, or this one, may take it. Who waits
// in Send returns with shm.ErrClosed. An open loan is cancelled, and must not be
// touched any more. Closing again does nothing.
func (w *Writer[T]) Close() error {
	w.ring.mu.Lock()
	defer w.ring.mu.Unlock()
	w.core.close()
	return nil
}
