package ring

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/shm"
)

// Reader is the end of a ring that receives. It serves one goroutine at a time; see
// the package comment.
type Reader[T any] struct {
	port[T]
	lane   *lane.Reader
	length int // of every record; -1 if each has its own
	value  T   // the slice that Peek returns, if T is []byte
}

// Receive returns the next record, copied, and releases it. If there is none it
// waits for the writer, until ctx is done: then it returns ctx's error. Otherwise
// ctx is not looked at. If T is []byte the copy is allocated: Peek and All spare
// that.
func (r *Reader[T]) Receive(ctx context.Context) (v T, err error) {
	if !r.guard.Enter() {
		return v, r.refused("receive from")
	}
	p, _, err := r.next(ctx, true)
	if err != nil {
		return v, r.fail("receive from", err)
	}
	r.copyTo(&v, p)
	r.lane.Release()
	r.guard.Leave()
	return v, nil
}

// TryReceive is Receive that never waits: ok reports whether there was a record.
func (r *Reader[T]) TryReceive() (v T, ok bool, err error) {
	if !r.guard.Enter() {
		return v, false, r.refused("receive from")
	}
	p, ok, err := r.next(context.Background(), false)
	if err != nil {
		return v, false, r.fail("receive from", err)
	}
	if ok {
		r.copyTo(&v, p)
		r.lane.Release()
	}
	r.guard.Leave()
	return v, ok, nil
}

// ReceiveBatch waits for a record, as Receive does, and copies as many as are
// there, at most len(vs). They are released together. It returns how many there
// were: at least one, unless there is an error or vs is empty.
func (r *Reader[T]) ReceiveBatch(ctx context.Context, vs []T) (n int, err error) {
	if !r.guard.Enter() {
		return 0, r.refused("receive from")
	}
	for n < len(vs) {
		p, ok, err := r.next(ctx, n == 0)
		if err != nil && n == 0 {
			return 0, r.fail("receive from", err)
		}
		if !ok {
			break // an error comes again
		}
		r.copyTo(&vs[n], p)
		r.lane.Skip()
		n++
	}
	if n > 0 {
		r.lane.Release()
	}
	r.guard.Leave()
	return n, nil
}

// Peek returns the next record where it lies, which it waits for as Receive does.
// It is valid, and stays the next one, until Release, or until the port is closed.
// Who reads from it must not write. If T is []byte the result points to a slice that
// belongs to the Reader.
func (r *Reader[T]) Peek(ctx context.Context) (*T, error) {
	if !r.guard.Enter() {
		return nil, r.refused("receive from")
	}
	return r.peek(ctx)
}

// peek ends what Peek has begun.
func (r *Reader[T]) peek(ctx context.Context) (*T, error) {
	p, _, err := r.next(ctx, true)
	if err != nil {
		return nil, r.fail("receive from", err)
	}
	v := r.inPlace(p)
	r.guard.Leave()
	return v, nil
}

// TryPeek is Peek that never waits: it returns nil if there is no record.
func (r *Reader[T]) TryPeek() (*T, error) {
	if !r.guard.Enter() {
		return nil, r.refused("receive from")
	}
	p, ok, err := r.next(context.Background(), false)
	if err != nil {
		return nil, r.fail("receive from", err)
	}
	var v *T
	if ok {
		v = r.inPlace(p)
	}
	r.guard.Leave()
	return v, nil
}

// Release gives the record that Peek has returned back to the writer. Without one
// it does nothing.
func (r *Reader[T]) Release() error {
	if !r.guard.Enter() {
		return r.refused("release to")
	}
	r.lane.Release()
	r.guard.Leave()
	return nil
}

// All returns the records to come, without an end: where they lie, each valid until
// the next iteration, which releases it. Leaving the loop releases the last one,
// too; a panic does not. An error, that of ctx or shm.ErrClosed for instance, comes
// with a nil record and is the last.
func (r *Reader[T]) All(ctx context.Context) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for used := false; ; used = true {
			if !r.guard.Enter() {
				yield(nil, r.refused("receive from"))
				return
			}
			if used {
				r.lane.Release()
			}
			v, err := r.peek(ctx)
			if !yield(v, err) || err != nil {
				if err == nil {
					r.Release()
				}
				return
			}
		}
	}
}

// next returns the next record, in place. It waits only if told so; ok is false if
// there is none.
func (r *Reader[T]) next(ctx context.Context, wait bool) (p []byte, ok bool, err error) {
	for {
		p, ok, err := r.lane.Peek()
		if err != nil {
			return nil, false, err
		}
		if ok {
			if r.length >= 0 && len(p) != r.length {
				return nil, false, fmt.Errorf("record of %d bytes at position %d, want %d: %w", len(p), r.lane.Position(), r.length, shm.ErrCorrupt)
			}
			return p, true, nil
		}
		if !wait {
			r.lane.Rest()
			return nil, false, nil
		}
		if err := r.await(ctx); err != nil {
			return nil, false, err
		}
	}
}

// await waits until there is a record, or something that is none.
func (r *Reader[T]) await(ctx context.Context) error {
	ready := func() bool { return r.lane.Ready() || r.closing.Load() }
	if r.spin.Spin(ready) && r.lane.Ready() {
		return nil
	}
	began := time.Now()
	r.lane.Rest()
	lost, err := r.sleep(ctx, ready)
	if lost {
		r.lostWake()
	}
	add(&r.ring.control.Cursor.Blocked, time.Since(began))
	switch {
	case r.lane.Ready():
		return nil
	case err != nil:
		return err
	}
	return shm.ErrClosed
}

// copyTo copies a payload into a value.
func (r *Reader[T]) copyTo(v *T, p []byte) {
	if r.length < 0 {
		*mem.SliceIn(v) = bytes.Clone(p)
		return
	}
	*v = *mem.ValueIn[T](p)
}

// inPlace returns a payload as a value.
func (r *Reader[T]) inPlace(p []byte) *T {
	if r.length < 0 {
		*mem.SliceIn(&r.value) = p
		return &r.value
	}
	return mem.ValueIn[T](p)
}

// Close gives the port back: another process, or this one, may take it. Who waits
// in Receive returns with shm.ErrClosed. What Peek has returned is not released, and
// must not be touched any more. Closing again does nothing.
func (r *Reader[T]) Close() error {
	r.ring.mu.Lock()
	defer r.ring.mu.Unlock()
	r.close()
	return nil
}

func (r *Reader[T]) close() {
	if !r.shut() {
		return
	}
	r.lane.Rest()
	r.ring.giveBack(r.owner)
}
