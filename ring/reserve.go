package ring

import (
	"context"
	"fmt"
	"syscall"

	"github.com/seed-247006a4/shoal/internal/port"
)

// Reservation is places in the ring for several records in a row, to be filled where
// they lie: a [Loan] of many, which one synchronisation sends together. A writer has at
// most one loan or reservation open at a time, and sends nothing else meanwhile.
type Reservation[T any] struct {
	writer *Writer[T]
	places []byte // from the first payload to the last
	step   int    // from one to the next
	size   int    // of each
	n      int
}

// Reserve lends places for at most n records: as many as there is room for in a row, but
// at least one, for which it waits as Send does. Towards the end of the ring there are
// fewer, so ask again for the rest. If T is []byte, use ReserveBytes.
func (w *Writer[T]) Reserve(ctx context.Context, n int) (Reservation[T], error) {
	if w.untyped {
		return Reservation[T]{}, port.Fail("reserve in", w.ring.Name(), fmt.Errorf("a []byte has no length of its own: use ReserveBytes"))
	}
	return w.reserve(ctx, n, w.core.fixed)
}

// ReserveBytes is Reserve for records of []byte: each of size bytes.
func (w *Writer[T]) ReserveBytes(ctx context.Context, n, size int) (Reservation[T], error) {
	if !w.untyped || size < 0 {
		return Reservation[T]{}, port.Fail("reserve in", w.ring.Name(), fmt.Errorf("%d bytes, in a ring of %T: use Reserve", size, w.value))
	}
	return w.reserve(ctx, n, size)
}

func (w *Writer[T]) reserve(ctx context.Context, n, size int) (Reservation[T], error) {
	if n < 1 {
		return Reservation[T]{}, port.Fail("reserve in", w.ring.Name(), fmt.Errorf("%d records: %w", n, syscall.EINVAL))
	}
	places, step, n, err := w.core.reserve(ctx, n, size)
	return Reservation[T]{w, places, step, size, n}, err
}

// Len is how many records there is a place for.
func (r Reservation[T]) Len() int { return r.n }

// At returns the place of record i, counted from 0, with whatever bytes stood there
// before. If T is []byte it points to a slice that is valid until the next call of At.
// It panics if there is no such record.
func (r Reservation[T]) At(i int) *T {
	if i < 0 || i >= r.n {
		panic(fmt.Sprintf("ring: record %d of a reservation of %d", i, r.n))
	}
	return inPlace(r.writer.untyped, r.places[i*r.step:][:r.size:r.size], &r.writer.value)
}

// Commit sends the first n records, together, and gives the other places back. With 0 it
// is Cancel.
func (r Reservation[T]) Commit(n int) error { return r.writer.core.endRun("commit to", n) }

// Cancel gives all places back; nothing has been sent. After Commit it does nothing but
// return an error, so it may be deferred.
func (r Reservation[T]) Cancel() error { return r.writer.core.endRun("cancel a reservation in", 0) }
