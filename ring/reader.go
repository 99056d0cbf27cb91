package ring

import (
	"context"
	"iter"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// Reader is the end of a ring that receives. It serves one goroutine at a time; see
// the package comment.
type Reader[T any] struct {
	core    receiver
	ring    *Ring[T]
	untyped bool // T is []byte
	value   T    // the slice that Peek returns, if it is
}

// Receive returns the next record, copied, and releases it. If there is none it
// waits for the writer, until ctx is done: then it returns ctx's error. Otherwise
// ctx is not looked at. If T is []byte the copy is allocated: Peek and All spare
// that.
func (r *Reader[T]) Receive(ctx context.Context) (v T, err error) {
	_, err = r.receive(ctx, true, &v)
	return v, err
}

// TryReceive is Receive that never waits: ok reports whether there was a record.
func (r *Reader[T]) TryReceive() (v T, ok bool, err error) {
	ok, err = r.receive(context.Background(), false, &v)
	return v, ok, err
}

func (r *Reader[T]) receive(ctx context.Context, wait bool, v *T) (ok bool, err error) {
	if r.untyped {
		*mem.SliceIn(v), ok, err = r.core.receive(ctx, wait, nil)
		return ok, err
	}
	_, ok, err = r.core.receive(ctx, wait, mem.BytesOf(v))
	return ok, err
}

// ReceiveBatch waits for a record, as Receive does, and copies as many as are
// there, at most len(vs). They are released together. It returns how many there
// were: at least one, unless there is an error or vs is empty.
func (r *Reader[T]) ReceiveBatch(ctx context.Context, vs []T) (n int, err error) {
	return r.core.receiveBatch(ctx, batchOf(r.untyped, vs))
}

// Peek returns the next record where it lies, which it waits for as Receive does.
// It is valid, and stays the next one, until Release, or until the port is closed.
// Who reads from it must not write. If T is []byte the result points to a slice that
// belongs to the Reader.
func (r *Reader[T]) Peek(ctx context.Context) (*T, error) { return r.step(ctx, stay, true) }

// TryPeek is Peek that never waits: it returns nil if there is no record.
func (r *Reader[T]) TryPeek() (*T, error) { return r.step(context.Background(), stay, false) }

func (r *Reader[T]) step(ctx context.Context, first int, wait bool) (*T, error) {
	p, err := r.core.step(ctx, first, wait)
	if p == nil {
		return nil, err
	}
	return inPlace(r.untyped, p, &r.value), nil
}

// Release gives the record that Peek has returned back to the writer. Without one
// it does nothing.
func (r *Reader[T]) Release() error { return r.core.release() }

// All returns the records to come, without an end: where they lie, each valid until
// the next iteration, which releases it. Leaving the loop releases the last one,
// too; a panic does not. An error, that of ctx or shm.ErrClosed for instance, comes
// with a nil record and is the last.
func (r *Reader[T]) All(ctx context.Context) iter.Seq2[*T, error] { return r.records(ctx, release) }

// Runs is All that releases records together: when it has come to the end of what
// is there, or an eighth of the ring has been read, or the loop is left. That is
// cheaper, and if the process dies all records are delivered again that were not
// released. Release may be called in the loop: what comes after it is not delivered
// again because of what was before.
func (r *Reader[T]) Runs(ctx context.Context) iter.Seq2[*T, error] { return r.records(ctx, skip) }

func (r *Reader[T]) records(ctx context.Context, then int) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for first := stay; ; first = then {
			v, err := r.step(ctx, first, true)
			if !yield(v, err) || err != nil {
				if err == nil {
					r.Release()
				}
				return
			}
		}
	}
}

// Close gives the port back: another process, or this one, may take it. Who waits
// in Receive returns with shm.ErrClosed. What Peek has returned is not released, and
// must not be touched any more. Closing again does nothing.
func (r *Reader[T]) Close() error {
	r.ring.mu.Lock()
	defer r.ring.mu.Unlock()
	r.core.close()
	return nil
}
