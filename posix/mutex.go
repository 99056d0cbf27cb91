package posix

import (
	"context"
	"fmt"
	"io/fs"
)

// MutexType is what a [Mutex] does about mistakes (pthread_mutexattr_settype(3)).
type MutexType int

// The types that [MutexInit] makes. Between goroutines they behave alike: see
// [Mutex].
const (
	MutexNormal     MutexType = 0 // PTHREAD_MUTEX_NORMAL, the default
	MutexErrorCheck MutexType = 2 // PTHREAD_MUTEX_ERRORCHECK: a C thread that locks it twice gets EDEADLK
)

// A Mutex is a pthread_mutex_t of glibc in shared memory, process-shared and
// robust: C programs lock it with pthread_mutex_lock, Go programs with Lock,
// and whoever dies holding it, killed or not, gives it to a waiter, who is told.
//
// The Mutex itself is this process's handle. All its methods may be called from
// any goroutine.
//
// For the C side the owner is one thread of this process, the keeper, which
// exists for this purpose and never ends before the process does. Goroutines
// have no identity: as with a [sync.Mutex], one may lock and another unlock, and
// one that locks twice waits for ever, whatever the type. (A recursive mutex
// would let two goroutines in, so none is accepted.) A mutex that was locked
// through one handle is unlocked through the same.
//
// # When an owner dies
//
//	Lock ──▶ nil              locked
//	     ──▶ ErrOwnerDied     locked; the last owner died in the middle of something
//	             repair the data, MarkConsistent, Unlock ──▶ as new
//	             Unlock without MarkConsistent           ──▶ ErrNotRecoverable for all, for ever
//	     ──▶ any other error  not locked
//
// The kernel passes the mutex on when the keeper thread ends. The other threads
// of the process get the same signal, but one that is running on another processor
// goes on until the interrupt reaches it, some microseconds, while the keeper
// still has to wake up. Nothing in the format can exclude that it stores something
// after the new owner was told, or takes a mutex that nobody will then give back;
// it has not been observed. Package pshared has a mutex that can exclude it, for
// programs that need not share with C.
//
// One hole is glibc's own, and C programs have it among themselves: if a waiter is
// woken, a third process takes the mutex before it, and the waiter is killed
// before it runs, the waiters behind it sleep on until somebody else has to wait.
// Goroutines look again every 100 ms; C threads do not.
//
// Cost: about 0.1 µs for an uncontended Lock and Unlock. The process's
// operations on all its mutexes take turns. Waiting occupies one thread for each
// handle, however many goroutines wait.
type Mutex struct {
	name string
	m    mutex
}

// MutexInit makes a new, unlocked mutex in the [MutexSize] bytes at offset of b,
// which is shared memory, as pthread_mutex_init(3) does with
// PTHREAD_PROCESS_SHARED, PTHREAD_MUTEX_ROBUST and typ. The handle is to be
// closed before the memory is unmapped.
//
// Preconditions: nobody uses what lies there; others learn of the mutex only
// after MutexInit has returned.
//
// Errors: EINVAL for an unknown type, and for an offset that lies outside of b or
// gives an address that is not a multiple of 8.
func MutexInit(b []byte, offset int, typ MutexType) (*Mutex, error) {
	return newMutex("pthread_mutex_init", b, offset, func(m *mutex) error { return m.init(b, offset, typ) })
}

// MutexAt returns a handle for the mutex that somebody, C or Go, has initialised
// at offset of b. The handle is to be closed before the memory is unmapped.
//
// Errors: as [MutexInit], and EINVAL for what is no process-shared robust mutex
// of type normal, error-checking or adaptive, which is the same as normal here;
// in particular for zeros, for a recursive mutex, for one that is process-private
// or not robust, and for priority inheritance and protection. A look at the kind
// is all that can be done: the format has no magic number.
func MutexAt(b []byte, offset int) (*Mutex, error) {
	return newMutex("pthread_mutex", b, offset, func(m *mutex) error { return m.join(b, offset) })
}

func newMutex(op string, b []byte, offset int, open func(*mutex) error) (*Mutex, error) {
	m := &Mutex{name: fmt.Sprintf("offset %d", offset)}
	if err := open(&m.m); err != nil {
		return nil, &fs.PathError{Op: op, Path: m.name, Err: err}
	}
	return m, nil
}

// Lock locks the mutex, and waits while somebody else has it. If the last owner
// died it returns [ErrOwnerDied], with the mutex locked.
//
// Other errors, with the mutex not locked: [ErrNotRecoverable]; os.ErrClosed
// after Close and for those who wait when Close is called; EINVAL if it was
// destroyed or made anew as another type; an error if 2048 mutexes are locked by
// this process, the kernel's limit.
func (m *Mutex) Lock() error {
	return m.fail("pthread_mutex_lock", m.m.lock(context.Background()))
}

// TryLock is [Mutex.Lock] that does not wait: EBUSY if somebody has the mutex,
// be it another goroutine.
func (m *Mutex) TryLock() error { return m.fail("pthread_mutex_trylock", m.m.tryLock()) }

// LockContext is [Mutex.Lock] that waits until ctx is done; then the error is
// ctx's. If ctx is done already it does not lock at all. It takes the place of
// pthread_mutex_timedlock(3) and pthread_mutex_clocklock(3).
func (m *Mutex) LockContext(ctx context.Context) error {
	return m.fail("pthread_mutex_timedlock", m.m.lock(ctx))
}

// Unlock unlocks the mutex. Any goroutine may.
//
// If it was locked with [ErrOwnerDied] and not marked consistent since, nobody
// can lock it any more: everyone, those who wait included, gets
// [ErrNotRecoverable].
//
// Errors: EPERM if it is not locked through this handle; an error that is EPERM
// too if the lock word has meanwhile come to name another owner, which takes a
// faulty program on the other side.
func (m *Mutex) Unlock() error { return m.fail("pthread_mutex_unlock", m.m.unlock()) }

// MarkConsistent says that whoever locked the mutex with [ErrOwnerDied] has put
// in order what the dead owner left: pthread_mutex_consistent(3).
//
// Errors: EINVAL unless it is locked through this handle and inconsistent.
func (m *Mutex) MarkConsistent() error {
	return m.fail("pthread_mutex_consistent", m.m.markConsistent())
}

// Close ends the use of this handle; the mutex stays. Whoever waits through it
// returns with os.ErrClosed. When Close has returned nil, nothing in this process
// touches the memory on behalf of this handle, and it may be unmapped.
//
// Errors: EBUSY if the mutex is locked through this handle, which then stays
// open: to unmap it in that state would cut the list by which the kernel finds
// the locked mutexes of this process. A second Close is os.ErrClosed.
func (m *Mutex) Close() error { return m.fail("close", m.m.close()) }

func (m *Mutex) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: m.name, Err: err}
}
