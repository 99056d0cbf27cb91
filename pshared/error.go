package pshared

import (
	"errors"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/shm"
)

var (
	// ErrOwnerDied: the previous owner ended, or left, while it held the lock. The
	// caller of Lock holds the lock now (the caller of RLock does not), and what it
	// guards may be half-changed: mend it and say so with MarkConsistent, as
	// pthread_mutex_consistent(3). EOWNERDEAD of pthread_mutex_lock(3).
	ErrOwnerDied = errors.New("the previous owner died")

	// ErrNotRecoverable: a lock that was ErrOwnerDied has been given back without
	// MarkConsistent. Nobody can lock it any more; remove it and make a new one.
	ErrNotRecoverable = errors.New("state not recoverable")

	// ErrNotOwner: what is to be given back is not held by this process.
	ErrNotOwner = errors.New("not held by this process")

	// ErrPeerDied: a party of a barrier has died.
	ErrPeerDied = errors.New("a peer has died")

	// ErrNoSlot: the object has as many members as it has slots, all alive.
	ErrNoSlot = member.ErrNoSlot
)

// fail wraps err, unless it is nil, for an operation on an object.
func fail(op, object string, err error) error {
	if err == nil {
		return nil
	}
	return &shm.Error{Op: op, Object: object, Err: err, Advice: advice(err)}
}

func advice(err error) string {
	switch {
	case errors.Is(err, ErrOwnerDied):
		return "see to the data, then MarkConsistent"
	case errors.Is(err, ErrNotRecoverable):
		return "an owner died and the next one unlocked without MarkConsistent: remove it, and make a new one"
	case errors.Is(err, ErrNoSlot):
		return "let some processes leave, or make the object with more members"
	}
	return ""
}

// corrupt is the error for a word that cannot be what it says.
func corrupt(what string, word uint64) error {
	return fmt.Errorf("%s is %#x, which is impossible: %w", what, word, shm.ErrCorrupt)
}
