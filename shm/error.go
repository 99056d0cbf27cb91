package shm

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// Error is what every function of this package returns: the operation, the
// object, the cause, and what to do about it where there is something to do.
//
// errors.Is looks through it: fs.ErrExist, fs.ErrNotExist, fs.ErrPermission,
// the sentinels of this package and every syscall.Errno work.
type Error struct {
	Op     string // the operation: "create", "open", "grow", ...
	Object string // the address of the object
	Err    error  // the cause
	Advice string // what to do next; may be empty
}

// Error gives operation, object, cause and advice in one line.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %v", e.Op, e.Object, e.Err)
	if e.Advice != "" {
		b.WriteString("; ")
		b.WriteString(e.Advice)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// The causes that this package adds to those of the system.
var (
	// ErrClosed: the segment has been closed by this process. It is os.ErrClosed.
	ErrClosed error = &sentinel{"segment already closed", os.ErrClosed}

	// ErrInUse: some process still has the object open or mapped.
	ErrInUse error = &sentinel{"object is in use", nil}

	// ErrNotSized: the object exists but has no bytes yet. Either its creator is
	// between shm_open and ftruncate, or it died there.
	ErrNotSized error = &sentinel{"object has size 0", nil}

	// ErrFault: the memory behind a mapping is gone: a peer made the object
	// shorter, or the machine could not provide the page. See [Segment.Guard].
	ErrFault error = &sentinel{"memory fault", nil}

	// ErrReadOnly: the segment was opened for reading. It is fs.ErrPermission.
	ErrReadOnly error = &sentinel{"segment is read-only", fs.ErrPermission}

	// ErrCorrupt: the bytes of a Shoal object contradict its format.
	ErrCorrupt error = &sentinel{"object is damaged", nil}

	// ErrVersion: a Shoal object is of a version that this program does not know.
	ErrVersion error = &sentinel{"object has another version", nil}

	// ErrKind: a Shoal object is there, but of another kind.
	ErrKind error = &sentinel{"object is of another kind", nil}

	// ErrTypeMismatch: a Shoal object is there, but for values of another type.
	ErrTypeMismatch error = &sentinel{"object holds values of another type", nil}

	// ErrTooSmall: the object that exists has fewer bytes than asked for.
	ErrTooSmall error = &sentinel{"object is smaller than asked", nil}
)

// sentinel is an error value with a text of its own that also is another one.
type sentinel struct {
	text string
	is   error
}

func (s *sentinel) Error() string { return s.text }
func (s *sentinel) Unwrap() error { return s.is }

// fail wraps err, unless it is nil, for an operation on an object.
func fail(op string, a Address, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Object: a.String(), Err: err, Advice: advice(a, err)}
}

// failf is fail with the advice spelled out by the caller, who knows more.
func failf(op string, a Address, err error, format string, args ...any) error {
	return &Error{Op: op, Object: a.String(), Err: err, Advice: fmt.Sprintf(format, args...)}
}
