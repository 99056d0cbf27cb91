package ring

import "github.com/seed-247006a4/shoal/internal/port"

var (
	// ErrBusy: the port belongs to a live process, or is in use by another goroutine,
	// or has a loan that is still open.
	ErrBusy = port.ErrBusy

	// ErrTooLarge: the record is longer than the ring allows; see [Ring.MaxRecord].
	ErrTooLarge = port.ErrTooLarge
)
