package topic

import (
	"context"
	"fmt"
	"syscall"

	"github.com/seed-247006a4/shoal/internal/port"
)

// Reservation is places in the topic for several records in a row, to be filled where
// they lie: a [Loan] of many, which one synchronisation sends together. A publisher has at
// most one loan or reservation open at a time, and sends nothing else meanwhile.
type Reservation[T any] struct {
	publisher *Publisher[T]
	places    []byte // from the first payload to the last
	step      int    // from one to the next
	size      int    // of each
	n         int
}

// Reserve lends places for at most n records: as many as there is room for in a row, but
// at least one, for which it waits as Send does. Towards the end of the lane there are
// fewer, so ask again for the rest. If T is []byte, use ReserveBytes.
func (p *Publisher[T]) Reserve(ctx context.Context, n int) (Reservation[T], error) {
	if p.payload.Untyped() {
		err := fmt.Errorf("a []byte has no length of its own: use ReserveBytes")
		return Reservation[T]{}, port.Fail("reserve in", p.topic.object.Name, err)
	}
	return p.reserve(ctx, n, p.payload.Length)
}

// ReserveBytes is Reserve for records of []byte: each of size bytes.
func (p *Publisher[T]) ReserveBytes(ctx context.Context, n, size int) (Reservation[T], error) {
	if !p.payload.Untyped() || size < 0 {
		err := fmt.Errorf("%d bytes, in a topic of %T: use Reserve", size, p.value)
		return Reservation[T]{}, port.Fail("reserve in", p.topic.object.Name, err)
	}
	return p.reserve(ctx, n, size)
}

func (p *Publisher[T]) reserve(ctx context.Context, n, size int) (r Reservation[T], err error) {
	if n < 1 {
		return r, port.Fail("reserve in", p.topic.object.Name, fmt.Errorf("%d records: %w", n, syscall.EINVAL))
	}
	if err := p.enter("reserve in"); err != nil {
		return r, err
	}
	if !p.fits(size) {
		return r, p.misfit(size)
	}
	r = Reservation[T]{publisher: p, size: size}
	if r.places, r.step, r.n = p.lane.ReserveRun(n, size); r.n == 0 {
		if err := p.await(ctx, size); err != nil {
			return Reservation[T]{}, p.port.Fail("reserve in", err)
		}
		r.places, r.step, r.n = p.lane.ReserveRun(n, size)
	}
	p.lent, p.loan, p.run = true, r.places[:size], r.n
	p.port.Leave()
	return r, nil
}

// Len is how many records there is a place for.
func (r Reservation[T]) Len() int { return r.n }

// At returns the place of record i, counted from 0, with whatever bytes stood there
// before. If T is []byte it points to a slice that is valid until the next call of At.
// It panics if there is no such record.
func (r Reservation[T]) At(i int) *T {
	if i < 0 || i >= r.n {
		panic(fmt.Sprintf("topic: record %d of a reservation of %d", i, r.n))
	}
	return r.publisher.payload.InPlace(r.places[i*r.step:][:r.size:r.size], &r.publisher.value)
}

// Commit sends the first n records, together, and gives the other places back. With 0 it
// is Cancel.
func (r Reservation[T]) Commit(n int) error { return r.end("commit to", n) }

// Cancel gives all places back; nothing has been sent. After Commit it does nothing but
// return an error, so it may be deferred.
func (r Reservation[T]) Cancel() error { return r.end("cancel a reservation in", 0) }

func (r Reservation[T]) end(op string, n int) error {
	p := r.publisher
	if !p.port.Enter() {
		return p.port.Refused(op)
	}
	if p.run == 0 {
		return p.port.Fail(op, fmt.Errorf("no reservation is open: %w", ErrBusy))
	}
	if n < 0 || n > p.run {
		return p.port.Fail(op, fmt.Errorf("%d records, in a reservation of %d: %w", n, p.run, syscall.EINVAL))
	}
	size := len(p.loan)
	p.lent, p.loan, p.run = false, nil, 0
	if n > 0 {
		p.lane.AddRun(n, size)
		p.lane.Commit()
	} else {
		p.lane.Cancel()
	}
	p.port.Leave()
	return nil
}
