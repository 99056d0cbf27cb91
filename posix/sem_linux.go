//go:build linux && (amd64 || arm64)

package posix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
)

// sem is a handle for semWords.
type sem struct {
	mu      sync.RWMutex // read-locked by whoever touches the words, asleep or not
	words   *semWords    // nil once closed
	mapping []byte       // to be unmapped; nil if the memory is the caller's

	closing context.Context // done when close wants the sleepers out
	hurry   context.CancelFunc
}

func (s *sem) use(words *semWords, mapping []byte) {
	s.words, s.mapping = words, mapping
	s.closing, s.hurry = context.WithCancel(context.Background())
}

func (s *sem) init(b []byte, offset int, value uint32) error {
	if value > SemValueMax {
		return fmt.Errorf("value %d is above %d: %w", value, SemValueMax, syscall.EINVAL)
	}
	w, err := mem.At[semWords](b, offset)
	if err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	w.data.Store(uint64(value))
	w.private.Store(semShared)
	w.pad.Store(0)
	s.use(w, nil)
	return nil
}

func (s *sem) join(b []byte, offset int) error {
	w, err := mem.At[semWords](b, offset)
	if err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	if err := w.check(); err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	s.use(w, nil)
	return nil
}

// check tells why w is no semaphore for us.
func (w *semWords) check() error {
	value, private := w.data.Load()&semValue, w.private.Load()
	switch {
	case value > SemValueMax || private != 0 && private != semShared:
		return errors.New("no semaphore of glibc lies here")
	case private == 0:
		return errors.New("a semaphore for the threads of one process, or none: initialise it with sem_init(sem, 1, value)")
	}
	return nil
}

func (s *sem) tryWait() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.words == nil {
		return os.ErrClosed
	}
	return s.words.tryWait()
}

func (w *semWords) tryWait() error {
	for {
		d := w.data.Load()
		if d&semValue == 0 {
			return syscall.EAGAIN
		}
		if w.data.CompareAndSwap(d, d-1) {
			return nil
		}
	}
}

func (s *sem) waitContext(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.wait(ctx)
}

func (s *sem) timedWait(deadline time.Time) error {
	err := s.tryWait()
	if err != syscall.EAGAIN {
		return err
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	err = s.wait(ctx)
	if err == context.DeadlineExceeded {
		return errTimeout
	}
	return err
}

func (s *sem) wait(ctx context.Context) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.words == nil {
		return os.ErrClosed
	}
	if s.words.tryWait() == nil {
		return nil
	}
	return s.sleep(ctx)
}

// sleep waits for a value with the waiters' count raised, so that whoever posts
// it makes the system call that wakes us.
func (s *sem) sleep(ctx context.Context) error {
	both, end := s.closing, func() bool { return true }
	if ctx.Done() != nil {
		var cancel context.CancelFunc
		both, cancel = context.WithCancel(ctx)
		defer cancel()
		end = context.AfterFunc(s.closing, cancel)
	}
	defer end()

	w := s.words
	d := w.data.Add(oneWaiter)
	for {
		if d&semValue != 0 {
			// Taking one and leaving are one step.
			if w.data.CompareAndSwap(d, d-1-oneWaiter) {
				return nil
			}
		} else if _, err := park.Wait(both, mem.Low(&w.data), 0); err != nil {
			w.leave()
			if s.closing.Err() != nil {
				return os.ErrClosed
			}
			return err
		}
		d = w.data.Load()
	}
}

// leave ends a wait in vain. A post may have chosen us: what it has posted is
// there, and somebody else shall wake up for it.
func (w *semWords) leave() {
	d := w.data.Add(^uint64(oneWaiter - 1))
	if d&semValue != 0 && d >= oneWaiter {
		park.Wake(mem.Low(&w.data), 1)
	}
}

func (s *sem) post() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.words == nil {
		return os.ErrClosed
	}
	w := s.words
	for {
		d := w.data.Load()
		if d&semValue >= SemValueMax {
			return syscall.EOVERFLOW
		}
		if !w.data.CompareAndSwap(d, d+1) {
			continue
		}
		if d >= oneWaiter {
			park.Wake(mem.Low(&w.data), 1)
		}
		return nil
	}
}

func (s *sem) value() (uint32, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.words == nil {
		return 0, os.ErrClosed
	}
	return uint32(s.words.data.Load()), nil
}

func (s *sem) close() error {
	s.hurry()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.words == nil {
		return os.ErrClosed
	}
	s.words = nil
	if s.mapping == nil {
		return nil
	}
	return unix.Munmap(s.mapping)
}

func (s *sem) open(name string, flag int, perm fs.FileMode, value uint32) error {
	path, err := SemPath(name)
	if err != nil {
		return err
	}
	if flag&^(os.O_RDWR|os.O_CREATE|os.O_EXCL) != 0 || perm&^fs.ModePerm != 0 {
		return syscall.EINVAL
	}
	words, mapping, err := openSem(path, flag, perm, value)
	if err != nil {
		return err
	}
	s.use(words, mapping)
	return nil
}
