package topic

import (
	"errors"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/port"
)

var (
	// ErrBusy: a subscription of that name has a live process, or the port is in use by
	// another goroutine, or has a loan that is still open.
	ErrBusy = port.ErrBusy

	// ErrTooLarge: the record is longer than the topic allows; see [Topic.MaxRecord].
	ErrTooLarge = port.ErrTooLarge

	// ErrFull: a reliable subscriber is slow, and the policy of the topic is to refuse.
	ErrFull = errors.New("no room: a reliable subscriber has not read what is there")

	// ErrNoSlot: the topic has as many publishers, subscribers or processes as it can
	// have, all alive.
	ErrNoSlot = member.ErrNoSlot

	// ErrMissed: what a [MissedError] is.
	ErrMissed = errors.New("records were overwritten before they were read")

	// ErrDropped: the subscription was too slow for a topic that drops such
	// subscribers. It is lossy from now on. It is told so once.
	ErrDropped = errors.New("the subscription was too slow, and is lossy from now on")
)

// MissedError tells a subscriber that records of a publisher were overwritten before
// it could read them. It comes once for each gap, in the place of the missing records;
// what follows can be received as usual.
type MissedError struct {
	Publisher int    // number of its lane
	Count     uint64 // how many records, exactly
}

// Error says how many, and whose.
func (e *MissedError) Error() string {
	return fmt.Sprintf("%d records of publisher %d were overwritten before they were read", e.Count, e.Publisher)
}

// Is reports whether target is ErrMissed.
func (e *MissedError) Is(target error) bool { return target == ErrMissed }

// passing reports whether a subscription goes on after an error as if nothing had
// happened.
func passing(err error) bool { return errors.Is(err, ErrMissed) || errors.Is(err, ErrDropped) }
