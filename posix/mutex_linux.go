//go:build linux && (amd64 || arm64)

package posix

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/keeper"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

// mutex is a handle for a pthreadMutex.
//
// Every access to the shared words that can take the mutex or give it back lies
// in a transaction of the keeper, which excludes the others of this process.
// Waiting lies outside:
//
//	attempt ─────────────────────────────▶ result
//	   │ EBUSY
//	 turn: one goroutine of this handle sleeps in the kernel, the others in line
//	   │
//	 attempt ◀────────────────┐─────────▶ result, turn given back
//	   │ EBUSY                │
//	 set FUTEX_WAITERS        │ woken, or 100 ms
//	   └── FUTEX_WAIT ────────┘
type mutex struct {
	p    *pthreadMutex
	kind uint32
	keep *keeper.Keeper
	link *sys.RobustLink

	held bool // locked through this handle. Guarded by a transaction
	gone bool // closed. Guarded by a transaction

	asleep atomic.Uint32 // FUTEX_WAITERS while the one whose turn it is may sleep
	turn   chan struct{} // has room for the one whose turn it is
	closed chan struct{}
}

// recheck bounds a sleep: the wake-up may have died with a C thread (see Mutex).
// Tests make it long, so that nothing depends on it that should not.
var recheck = 100 * time.Millisecond

func (m *mutex) init(b []byte, offset int, typ MutexType) error {
	if typ != MutexNormal && typ != MutexErrorCheck {
		return fmt.Errorf("type %d is neither MutexNormal nor MutexErrorCheck: %w", typ, syscall.EINVAL)
	}
	words, err := mem.Array[mem.Uint64](b, offset, MutexSize/8)
	if err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	if _, err := keeper.Mutexes(); err != nil {
		return err
	}
	for i := range words {
		words[i].Store(0)
	}
	p, err := mem.At[pthreadMutex](b, offset)
	if err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	p.kind.Store(kindRobust | kindShared | uint32(typ))
	return m.join(b, offset)
}

func (m *mutex) join(b []byte, offset int) error {
	if _, err := mem.Array[mem.Uint64](b, offset, MutexSize/8); err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	p, err := mem.At[pthreadMutex](b, offset)
	if err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	kind := p.kind.Load()
	if err := checkKind(kind); err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	k, err := keeper.Mutexes()
	if err != nil {
		return err
	}
	*m = mutex{p: p, kind: kind, keep: k, link: sys.NewRobustLink(&p.next),
		turn: make(chan struct{}, 1), closed: make(chan struct{})}
	return nil
}

// checkKind tells what is wrong with a kind that is not ours to lock.
func checkKind(kind uint32) error {
	switch {
	case kind&^(kindType|kindRobust|kindInherit|kindProtect|kindShared|kindElision) != 0:
		return fmt.Errorf("kind %#x is none of a glibc mutex: destroyed, of another C library, or no mutex", kind)
	case kind&(kindInherit|kindProtect) != 0:
		return fmt.Errorf("kind %#x has a priority protocol: initialise it with PTHREAD_PRIO_NONE", kind)
	case kind&kindRobust == 0:
		return fmt.Errorf("kind %#x is not robust: initialise it with PTHREAD_MUTEX_ROBUST", kind)
	case kind&kindShared == 0:
		return fmt.Errorf("kind %#x is not process-shared: initialise it with PTHREAD_PROCESS_SHARED", kind)
	case kind&kindType == kindRecursive:
		return fmt.Errorf("kind %#x is recursive, and goroutines have no identity to count by: "+
			"initialise it as PTHREAD_MUTEX_NORMAL or PTHREAD_MUTEX_ERRORCHECK", kind)
	}
	return nil
}

// begin opens a transaction, which the keeper's End closes, unless the handle is
// closed.
func (m *mutex) begin() error {
	m.keep.Begin(&m.p.next)
	if m.gone {
		m.keep.Forget(&m.p.next)
		m.keep.End()
		return os.ErrClosed
	}
	return nil
}

func (m *mutex) tryLock() error {
	_, err := m.attempt(m.asleep.Load())
	return err
}

func (m *mutex) lock(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := m.attempt(m.asleep.Load())
	if err != syscall.EBUSY {
		return err
	}
	return m.wait(ctx)
}

// attempt takes the mutex if it is free or its owner has died. waiters is
// FUTEX_WAITERS if somebody may be asleep whom the word, being free, does not
// tell of. With EBUSY it returns the word.
func (m *mutex) attempt(waiters uint32) (word uint32, err error) {
	if err := m.begin(); err != nil {
		return 0, err
	}
	defer m.keep.End()
	if kind := m.p.kind.Load(); kind != m.kind {
		return 0, fmt.Errorf("kind was %#x and is now %#x: the mutex was destroyed or made anew: %w", m.kind, kind, syscall.EINVAL)
	}
	tid := m.keep.TID()
	for {
		old := m.p.lock.Load()
		died := old&sys.FUTEX_OWNER_DIED != 0
		switch {
		case died:
		case m.p.owner.Load() == ownerNotRecoverable:
			return 0, ErrNotRecoverable
		case old&sys.FUTEX_TID_MASK != 0:
			return old, syscall.EBUSY
		}
		if m.keep.Full() {
			return 0, fmt.Errorf("this process has locked %d mutexes already: the kernel follows no more (ROBUST_LIST_LIMIT)", sys.RobustLimit)
		}
		if m.p.lock.CompareAndSwap(old, tid|old&sys.FUTEX_WAITERS|waiters) {
			return 0, m.taken(died)
		}
	}
}

// taken does what is due when the word has come to name us. died says that it
// had FUTEX_OWNER_DIED.
// Preconditions: within a transaction.
func (m *mutex) taken(died bool) error {
	if !died && m.p.owner.Load() == ownerNotRecoverable {
		// Since we looked. It stays as it is, for everybody.
		m.release(sys.FutexAll)
		return ErrNotRecoverable
	}
	m.held = true
	if m.p.count.Load() != 1 {
		m.p.count.Store(1)
	}
	if died {
		m.p.owner.Store(ownerInconsistent)
		m.keep.Push(m.link)
		return ErrOwnerDied // nusers stays: the dead owner counts no longer
	}
	m.keep.Push(m.link)
	m.p.owner.Store(m.keep.TID())
	m.p.nusers.Add(1)
	return nil
}

// wait takes the mutex when others have given it back, unless ctx is done or the
// handle closed before.
func (m *mutex) wait(ctx context.Context) error {
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-m.closed:
		return os.ErrClosed
	}
	defer func() { <-m.turn }()
	// From here on a wake-up may choose us. Goroutines that take the mutex before
	// we run set FUTEX_WAITERS for those who sleep behind us.
	m.asleep.Store(sys.FUTEX_WAITERS)
	defer m.asleep.Store(0)
	sleeper := keeper.Sleep(&m.p.next)
	defer sleeper.Wake()
	defer m.ringWhen(ctx)()

	err := m.sleep(ctx)
	if err != nil && !errors.Is(err, ErrOwnerDied) {
		m.passOn(err)
	}
	return err
}

// sleep is the loop of attempts and sleeps.
func (m *mutex) sleep(ctx context.Context) error {
	var waiters uint32
	for {
		word, err := m.attempt(waiters)
		if err != syscall.EBUSY {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if word&sys.FUTEX_WAITERS == 0 {
			if !m.p.lock.CompareAndSwap(word, word|sys.FUTEX_WAITERS) {
				continue
			}
			word |= sys.FUTEX_WAITERS
		}
		// We may share the bit with other sleepers, and never forget them.
		waiters = sys.FUTEX_WAITERS
		_ = sys.FutexWait(&m.p.lock, word, soon()) // whatever woke us, look again
	}
}

// soon is the end of a sleep, as an instant of CLOCK_MONOTONIC.
func soon() *unix.Timespec {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // fails for an unknown clock only
	end := unix.NsecToTimespec(now.Nano() + int64(recheck))
	return &end
}

// passOn lets another sleeper have the wake-up that may have chosen us, who
// leave without the mutex for the reason err.
func (m *mutex) passOn(err error) {
	if errors.Is(err, ErrNotRecoverable) {
		_, _ = sys.FutexWake(&m.p.lock, sys.FutexAll) // they all have to learn it
		return
	}
	for {
		word := m.p.lock.Load()
		if word&sys.FUTEX_TID_MASK == 0 {
			_, _ = sys.FutexWake(&m.p.lock, 1)
			return
		}
		// Somebody was quicker than us: let him wake the next one.
		if word&sys.FUTEX_WAITERS != 0 || m.p.lock.CompareAndSwap(word, word|sys.FUTEX_WAITERS) {
			return
		}
	}
}

// ringWhen wakes the sleeper when ctx is done. stop ends that, and must be
// called.
func (m *mutex) ringWhen(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	awake, rung := make(chan struct{}), make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(rung)
		m.ring(awake)
	})
	return func() {
		close(awake)
		if !cancel() {
			<-rung
		}
	}
}

// ring wakes everybody who sleeps for the mutex, until the one whom it is for,
// and who might just be falling asleep, has said so. A wake-up too many harms
// nobody: sleepers look again.
func (m *mutex) ring(awake <-chan struct{}) {
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		_, _ = sys.FutexWake(&m.p.lock, sys.FutexAll)
		select {
		case <-awake:
			return
		case <-again.C:
		}
	}
}

func (m *mutex) unlock() error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.keep.End()
	if !m.held {
		return syscall.EPERM
	}
	m.held = false
	m.keep.Drop(m.link)
	if owner := m.p.lock.Load() & sys.FUTEX_TID_MASK; owner != m.keep.TID() {
		return fmt.Errorf("the lock word names thread %d, not this process's %d: damaged by its other users: %w",
			owner, m.keep.TID(), syscall.EPERM)
	}
	if m.p.owner.Load() == ownerInconsistent {
		m.p.owner.Store(ownerNotRecoverable)
		m.p.nusers.Add(^uint32(0))
		m.release(sys.FutexAll)
		return nil
	}
	m.p.owner.Store(0)
	m.p.nusers.Add(^uint32(0))
	m.release(1)
	return nil
}

// release frees the word and wakes up to n sleepers.
// Preconditions: within a transaction, so that the kernel wakes one if we die
// before we do; the word named us a moment ago.
func (m *mutex) release(n int) {
	for {
		old := m.p.lock.Load()
		if old&sys.FUTEX_TID_MASK != m.keep.TID() {
			return // overwritten by a faulty peer: not ours to free
		}
		if m.p.lock.CompareAndSwap(old, 0) {
			if old&sys.FUTEX_WAITERS != 0 {
				_, _ = sys.FutexWake(&m.p.lock, n)
			}
			return
		}
	}
}

func (m *mutex) markConsistent() error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.keep.End()
	if !m.held || m.p.owner.Load() != ownerInconsistent {
		return syscall.EINVAL
	}
	m.p.owner.Store(m.keep.TID())
	return nil
}

func (m *mutex) close() error {
	if err := m.leave(); err != nil {
		return err
	}
	close(m.closed)
	defer m.forget()
	// Whose turn it is may sleep; those in line have seen closed. The turn is
	// kept for good, so that nobody gets to the memory any more.
	again := time.NewTicker(time.Millisecond)
	defer again.Stop()
	for {
		select {
		case m.turn <- struct{}{}:
			return nil
		default:
		}
		_, _ = sys.FutexWake(&m.p.lock, sys.FutexAll)
		select {
		case m.turn <- struct{}{}:
			return nil
		case <-again.C:
		}
	}
}

// forget ends what the keeper may still tell the kernel of the mutex.
func (m *mutex) forget() {
	m.keep.Begin(&m.p.next)
	defer m.keep.End()
	m.keep.Forget(&m.p.next)
}

// leave closes the fast path.
func (m *mutex) leave() error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.keep.End()
	if m.held {
		return syscall.EBUSY
	}
	m.gone = true
	return nil
}
