package posix

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"
)

// SemSize is the size of a semaphore in bytes (sem_t of glibc on 64-bit
// machines), and of the file of a named one.
const SemSize = 32

// SemValueMax is the highest value of a semaphore (SEM_VALUE_MAX of glibc).
const SemValueMax = 0x7fffffff

// semPrefix begins the file name of a named semaphore.
const semPrefix = "sem."

// A Sem is a counting semaphore that processes share, in the format of glibc
// (sem_overview(7)): C programs post and wait at its other end. It is either
// named ([SemOpen]) or lies in shared memory ([SemInit], [SemAt]).
//
// The Sem itself is this process's handle. All its methods may be called from any
// goroutine at any time, Close included. Several handles of one semaphore are
// independent of each other (in C, sem_open returns the same address again).
//
// # When a process dies
//
// A semaphore has no owners. What a dead process has taken stays taken; package
// pshared has a semaphore that gives it back. A process that dies while it waits
// stays counted among the waiters for ever, which costs each later Post a system
// call and nothing else. If it dies in the instant in which a Post has chosen it,
// the value is not lost but another C waiter may sleep beside it until the next
// Post; goroutines look for that now and then.
//
// Cost: an uncontended Wait or Post is one atomic operation on the semaphore, and
// two that keep Close away, about 20 ns; a Post while somebody waits is a system
// call. Waiting costs no thread for each of many goroutines.
type Sem struct {
	name string
	s    sem
}

// SemPath returns the file that stands for the named semaphore name. The rules
// are those of [ShmPath], but a name has at most 251 bytes: the file's name has 4
// more.
func SemPath(name string) (string, error) {
	base := strings.TrimLeft(name, "/")
	if base == "." || base == ".." { // files like any other, with the prefix
		return ShmDir + "/" + semPrefix + base, nil
	}
	if _, err := ShmPath(name); err != nil {
		return "", err
	}
	if len(semPrefix)+len(base) > nameMax {
		return "", syscall.ENAMETOOLONG
	}
	return ShmDir + "/" + semPrefix + base, nil
}

// SemOpen opens the named semaphore name, and creates it if flag has os.O_CREATE,
// like sem_open(3). See [SemPath] for names.
//
// flag is 0 or os.O_CREATE, or-ed with os.O_EXCL; os.O_RDWR may be added and
// changes nothing. Anything else is EINVAL. perm is the mode of a new semaphore,
// less the umask, and value its value: whoever opens one needs both to read and
// to write. An existing semaphore keeps its value. A new one appears complete.
//
// Errors: EINVAL for a bad name and for a value above [SemValueMax]; ENOENT;
// EEXIST with os.O_EXCL; EACCES; ENAMETOOLONG; and an error that is EINVAL for a
// file of another size or content, as other C libraries make (musl has the same
// names without the prefix, and another layout).
func SemOpen(name string, flag int, perm fs.FileMode, value uint32) (*Sem, error) {
	s := &Sem{name: name}
	if err := s.s.open(name, flag, perm, value); err != nil {
		return nil, &fs.PathError{Op: "sem_open", Path: name, Err: err}
	}
	return s, nil
}

// SemUnlink removes the name of a semaphore, like sem_unlink(3). Processes that
// have it open keep it; its memory is freed when the last of them lets go. A name
// that cannot exist is fs.ErrNotExist, as in glibc, unless it is too long
// (ENAMETOOLONG).
func SemUnlink(name string) error {
	path, err := SemPath(name)
	if err == nil {
		err = unlinkObject(path)
	}
	switch err {
	case syscall.EINVAL:
		err = syscall.ENOENT
	case syscall.EPERM: // POSIX wants EACCES, and gets it from glibc
		err = syscall.EACCES
	}
	if err != nil {
		return &fs.PathError{Op: "sem_unlink", Path: name, Err: err}
	}
	return nil
}

// SemInit makes a new semaphore of that value in the [SemSize] bytes at offset of
// b, which is shared memory, as sem_init(3) does with pshared 1. The handle is to
// be closed before the memory is unmapped.
//
// Preconditions: nobody uses what lies there; others learn of the semaphore only
// after SemInit has returned.
//
// Errors: EINVAL for a value above [SemValueMax], and for an offset that lies
// outside of b or gives an address that is not a multiple of 8.
func SemInit(b []byte, offset int, value uint32) (*Sem, error) {
	return newSem("sem_init", offset, func(s *sem) error { return s.init(b, offset, value) })
}

// SemAt returns a handle for the semaphore that somebody, C or Go, has
// initialised at offset of b. The handle is to be closed before the memory is
// unmapped.
//
// Errors: as [SemInit], and EINVAL for what is no semaphore, or one for the
// threads of one process (sem_init with pshared 0), whose waiters sleep where
// other processes cannot wake them. That is little to look at: the format has no
// magic number.
func SemAt(b []byte, offset int) (*Sem, error) {
	return newSem("sem", offset, func(s *sem) error { return s.join(b, offset) })
}

func newSem(op string, offset int, open func(*sem) error) (*Sem, error) {
	s := &Sem{name: fmt.Sprintf("offset %d", offset)}
	if err := open(&s.s); err != nil {
		return nil, &fs.PathError{Op: op, Path: s.name, Err: err}
	}
	return s, nil
}

// Name returns the name that the semaphore was opened with; "offset 64" for one
// without a name.
func (s *Sem) Name() string { return s.name }

// Wait takes 1 from the value, and waits while it is 0: sem_wait(3). It is never
// interrupted by a signal.
//
// Errors: after Close, and for those who wait then, os.ErrClosed. An error means
// that nothing was taken.
func (s *Sem) Wait() error { return s.fail("sem_wait", s.s.wait(context.Background())) }

// TryWait is [Sem.Wait] that does not wait: a value of 0 is EAGAIN.
func (s *Sem) TryWait() error { return s.fail("sem_trywait", s.s.tryWait()) }

// TimedWait is [Sem.Wait] that waits until the deadline at most, which may have
// passed: if the value is not 0, it is taken all the same. It is
// sem_timedwait(3), except that the deadline is an instant and not a reading of
// the wall clock: if somebody sets the clock during the call, that makes no
// difference, and before the call none if the deadline comes from time.Now.
//
// Errors: as Wait; at the deadline, one that is both ETIMEDOUT and
// os.ErrDeadlineExceeded.
func (s *Sem) TimedWait(deadline time.Time) error {
	return s.fail("sem_timedwait", s.s.timedWait(deadline))
}

// WaitContext is [Sem.Wait] that waits until ctx is done; then the error is ctx's.
// If ctx is done already it takes nothing, whatever the value.
func (s *Sem) WaitContext(ctx context.Context) error {
	return s.fail("sem_wait", s.s.waitContext(ctx))
}

// Post adds 1 to the value and wakes one who waits: sem_post(3). It never waits.
//
// Errors: EOVERFLOW at [SemValueMax]; os.ErrClosed.
func (s *Sem) Post() error { return s.fail("sem_post", s.s.post()) }

// Value returns the value at some moment of the call: sem_getvalue(3). While
// somebody waits it is 0, never negative.
func (s *Sem) Value() (uint32, error) {
	v, err := s.s.value()
	return v, s.fail("sem_getvalue", err)
}

// Close ends the use of this handle, like sem_close(3). The semaphore stays, with
// its value. Whoever waits in it through this handle returns with os.ErrClosed.
// When Close has returned, nothing in this process touches the memory on behalf
// of this handle. A second Close is os.ErrClosed.
func (s *Sem) Close() error { return s.fail("sem_close", s.s.close()) }

func (s *Sem) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: s.name, Err: err}
}

// errTimeout is the end of a TimedWait.
var errTimeout error = &condition{"deadline exceeded", []error{timedOut, os.ErrDeadlineExceeded}}
