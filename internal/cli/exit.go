package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

// Code is an exit code of the command.
type Code = int

// The exit codes.
const (
	OK           Code = 0
	Failure      Code = 1 // it did not work, or doctor or check has found something
	Usage        Code = 2 // the command line makes no sense
	NotFound     Code = 3 // there is no such object or process
	WouldBlock   Code = 4 // it would have had to wait, or waited as long as it may
	Incompatible Code = 5 // the object is damaged, too small or of another kind
	Permission   Code = 6 // the system does not permit it
)

// usageError is a command line that makes no sense.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// reported is a failure about which everything has been said.
type reported struct{ code Code }

func (r reported) Error() string { return "reported already" }

// codeOf returns the exit code for an error.
func codeOf(err error) Code {
	var usage usageError
	var reported reported
	switch {
	case err == nil:
		return OK
	case errors.As(err, &reported):
		return reported.code
	case errors.As(err, &usage):
		return Usage
	case errors.Is(err, fs.ErrNotExist):
		return NotFound
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.EAGAIN),
		errors.Is(err, topic.ErrBusy), errors.Is(err, topic.ErrFull), errors.Is(err, topic.ErrNoSlot):
		return WouldBlock
	case errors.Is(err, shm.ErrNotSized), errors.Is(err, shm.ErrTooSmall), errors.Is(err, shm.ErrFault),
		errors.Is(err, shm.ErrCorrupt), errors.Is(err, shm.ErrVersion), errors.Is(err, shm.ErrKind), errors.Is(err, shm.ErrTypeMismatch),
		errors.Is(err, pshared.ErrNotRecoverable), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ELOOP):
		return Incompatible
	case errors.Is(err, fs.ErrPermission):
		return Permission
	}
	return Failure
}
