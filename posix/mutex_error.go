package posix

import (
	"os"
	"slices"
	"syscall"
)

// ErrOwnerDied says that the mutex is locked, and that its last owner died while
// it held it. It is EOWNERDEAD.
var ErrOwnerDied error = &condition{
	"locked, but the last owner died holding the mutex: check the data, then MarkConsistent",
	[]error{ownerDead},
}

// ErrNotRecoverable says that an owner died holding the mutex and that the next
// one unlocked it without marking it consistent: it can only be made anew. It is
// ENOTRECOVERABLE.
var ErrNotRecoverable error = &condition{
	"mutex not recoverable: an owner died, and the next one did not mark it consistent; it must be made anew",
	[]error{notRecoverable},
}

// A condition is a state that C functions report by an error number whose own
// text would not explain it. errors.Is finds that number, and what else there is
// for it in Go.
type condition struct {
	text string
	is   []error
}

func (c *condition) Error() string { return c.text }

// Is makes errors.Is find the other names of c.
func (c *condition) Is(target error) bool { return slices.Contains(c.is, target) }

// Timeout reports whether c is the end of a wait, as net.Error and
// os.IsTimeout want to know.
func (c *condition) Timeout() bool { return slices.Contains(c.is, os.ErrDeadlineExceeded) }

// Error numbers of Linux, which other systems lack or number otherwise.
const (
	timedOut       = syscall.Errno(110) // ETIMEDOUT
	ownerDead      = syscall.Errno(130) // EOWNERDEAD
	notRecoverable = syscall.Errno(131) // ENOTRECOVERABLE
)
