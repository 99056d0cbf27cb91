package sysv

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
)

// Error is what every function of this package returns when it fails: the
// system call, the object that it was about, and the cause.
//
//	shmget key 0x1234: file exists
//	shmget key 0x1234: invalid argument; 2048 bytes asked, the segment with this key (id 7) has 1024: ...
type Error struct {
	// Call is the system call's name: "shmget", "semop", "ftok".
	Call string
	// Object is what the call was about: "key 0x1234", "id 7". It may be empty.
	Object string
	// Err is the cause: most often a [syscall.Errno], else the error of a
	// context or [errors.ErrUnsupported].
	Err error
	// Advice says why, with the numbers at hand, and what to do next. It is for
	// people, and may be empty.
	Advice string

	timeout bool // the time given was used up
}

// Error returns the message.
func (e *Error) Error() string {
	s := e.Call
	if e.Object != "" {
		s += " " + e.Object
	}
	s += ": " + e.Err.Error()
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is adds two equalities to those of the cause: EIDRM, the object was removed
// while the call slept, is [fs.ErrNotExist]; and EAGAIN after [SemID.TimedOp]
// has waited as long as it may is [os.ErrDeadlineExceeded].
func (e *Error) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return isRemoved(e.Err)
	case os.ErrDeadlineExceeded:
		return e.timeout
	}
	return false
}

// Timeout reports whether the call gave up because its time, or its context's,
// was used up.
func (e *Error) Timeout() bool {
	if e.timeout {
		return true
	}
	// Not every error with such a method will do: EAGAIN claims to be a
	// time-out even where nobody waited.
	return errors.Is(e.Err, os.ErrDeadlineExceeded) || errors.Is(e.Err, context.DeadlineExceeded)
}

// wrap returns nil for nil. The optional advice is asked for only on failure.
func wrap(call, object string, err error, advice func(error) string) error {
	if err == nil {
		return nil
	}
	e := &Error{Call: call, Object: object, Err: err}
	if advice != nil {
		e.Advice = advice(err)
	}
	return e
}

func keyObject(k Key) string {
	if k == Private {
		return "key IPC_PRIVATE"
	}
	return "key " + k.String()
}

func idObject[T ~int32](id T) string { return "id " + strconv.Itoa(int(id)) }

func numObject(id SemID, num int) string { return fmt.Sprintf("id %d semaphore %d", id, num) }
