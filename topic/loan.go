package topic

import (
	"context"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/port"
)

// Loan is a place in the topic for one record, to be filled where it lies. Nobody
// sees it before Commit; a process that dies first has sent nothing. A publisher has
// at most one open at a time, and sends nothing else meanwhile.
type Loan[T any] struct {
	// Value is the record, with whatever bytes stood there before. If T is []byte it
	// points to a slice of the length that was asked for, which may be made shorter
	// (*l.Value = (*l.Value)[:n]) before Commit.
	Value *T

	publisher *Publisher[T]
}

// Loan lends the place for the next record, which it waits for as Send does. If T
// is []byte, use LoanBytes.
func (p *Publisher[T]) Loan(ctx context.Context) (Loan[T], error) {
	if p.payload.Untyped() {
		err := fmt.Errorf("a []byte has no length of its own: use LoanBytes")
		return Loan[T]{}, port.Fail("lend from", p.topic.object.Name, err)
	}
	return p.lend(ctx, p.payload.Length)
}

// LoanBytes is Loan for records of []byte: n bytes.
func (p *Publisher[T]) LoanBytes(ctx context.Context, n int) (Loan[T], error) {
	if !p.payload.Untyped() || n < 0 {
		err := fmt.Errorf("%d bytes, in a topic of %T: use Loan", n, p.value)
		return Loan[T]{}, port.Fail("lend from", p.topic.object.Name, err)
	}
	return p.lend(ctx, n)
}

func (p *Publisher[T]) lend(ctx context.Context, n int) (Loan[T], error) {
	if err := p.enter("lend from"); err != nil {
		return Loan[T]{}, err
	}
	if !p.fits(n) {
		return Loan[T]{}, p.misfit(n)
	}
	if p.loan = p.lane.Reserve(n); p.loan == nil {
		if err := p.await(ctx, n); err != nil {
			return Loan[T]{}, p.port.Fail("lend from", err)
		}
		p.loan = p.lane.Reserve(n)
	}
	p.lent = true
	l := Loan[T]{Value: p.payload.InPlace(p.loan, &p.value), publisher: p}
	p.port.Leave()
	return l, nil
}

// Commit sends the record.
func (l Loan[T]) Commit() error { return l.end("commit to", true) }

// Cancel gives the place back; nothing has been sent. After Commit it does nothing
// but return an error, so it may be deferred.
func (l Loan[T]) Cancel() error { return l.end("cancel a loan from", false) }

func (l Loan[T]) end(op string, commit bool) error {
	p := l.publisher
	if !p.port.Enter() {
		return p.port.Refused(op)
	}
	if !p.lent || p.run != 0 {
		return p.port.Fail(op, fmt.Errorf("no loan is open: %w", ErrBusy))
	}
	n := len(p.loan)
	if p.payload.Untyped() {
		n = len(p.payload.Bytes(&p.value))
	}
	if commit && n > len(p.loan) {
		return p.port.Fail(op, fmt.Errorf("%d bytes, in a loan of %d: %w", n, len(p.loan), ErrTooLarge))
	}
	if commit && !p.fits(n) {
		return p.misfit(n)
	}
	p.lent, p.loan = false, nil
	if commit {
		p.lane.Push(n)
	} else {
		p.lane.Cancel()
	}
	p.port.Leave()
	return nil
}
