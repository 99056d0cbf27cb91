package queue

import (
	"errors"

	"github.com/seed-247006a4/shoal/internal/port"
)

var (
	// ErrTooLarge: the message is longer than the queue allows; see
	// [Queue.MaxMessage].
	ErrTooLarge = port.ErrTooLarge

	// ErrNotHeld: the message has been acknowledged or given back before, or the loan
	// been committed or cancelled.
	ErrNotHeld = errors.New("it is not held any more")
)
