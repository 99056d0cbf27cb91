package ring

import (
	"errors"

	"github.com/seed-247006a4/shoal/shm"
)

var (
	// ErrBusy: the port belongs to a live process, or is in use by another goroutine,
	// or has a loan that is still open.
	ErrBusy = errors.New("in use")

	// ErrTooLarge: the record is longer than the ring allows; see [Ring.MaxRecord].
	ErrTooLarge = errors.New("record is too large")
)

// fail wraps err, unless it is nil, for an operation on a ring.
func fail(op, name string, err error) error {
	if err == nil {
		return nil
	}
	e := &shm.Error{Op: op, Object: name, Err: err}
	if errors.Is(err, ErrTooLarge) {
		e.Advice = "make the ring with a larger Size"
	}
	return e
}
