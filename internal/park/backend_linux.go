//go:build linux && (amd64 || arm64)

package park

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/sys"
)

// kind names a backend of the shared waiter.
type kind string

const (
	kindUring kind = "io_uring"
	kindWaitv kind = "futex_waitv"
	kindFutex kind = "futex"
)

// variable is the environment variable that asks for a backend, by the names below.
const variable = "SHOAL_PARK"

var asked = map[string]kind{"uring": kindUring, "waitv": kindWaitv, "futex": kindFutex}

// selection is the backend in use and why it is no better one.
type selection struct {
	once sync.Once
	mu   sync.Mutex
	kind kind
	why  string
}

var choice selection

// chosen returns the backend to use. The first call probes the kernel.
func chosen() kind {
	choice.once.Do(func() { choice.kind, choice.why = probe(os.Getenv(variable)) })
	choice.mu.Lock()
	defer choice.mu.Unlock()
	return choice.kind
}

// Backend returns what the shared waiter stands on (io_uring, futex_waitv or
// futex) and, unless that is the best there is, why. The first call, or the first
// use of the shared waiter, tries the kernel; the answer changes later only if the
// kernel refuses to go on, for want of memory for instance.
func Backend() (name, why string) {
	k := chosen()
	choice.mu.Lock()
	defer choice.mu.Unlock()
	return string(k), choice.why
}

// probe finds the best backend that works, starting at the one that is asked for.
func probe(want string) (k kind, why string) {
	k, known := asked[want]
	switch {
	case known:
		why = "asked for by " + variable
	case want != "":
		k, why = kindUring, fmt.Sprintf("%s=%q is none of uring, waitv, futex", variable, want)
	default:
		k = kindUring
	}
	if k == kindUring {
		err := probeUring()
		if err == nil {
			return k, why
		}
		k, why = kindWaitv, fmt.Sprintf("io_uring: %v", err)
	}
	if k == kindWaitv && !haveWaitv() {
		k, why = kindFutex, fmt.Sprintf("futex_waitv: %v", unix.ENOSYS)
	}
	return k, why
}

// fall gives up the backend that has failed, and returns the next.
func (s *selection) fall(failed kind, err error) kind {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kind == failed {
		s.kind, s.why = kindFutex, fmt.Sprintf("%s: %v", failed, err)
		if failed == kindUring && haveWaitv() {
			s.kind = kindWaitv
		}
	}
	return s.kind
}

// make makes a backend without anything to watch, and without threads.
func (k kind) make() backend {
	switch k {
	case kindUring:
		return new(uring)
	case kindWaitv:
		return new(waitv)
	}
	return new(futexThreads)
}

// probeUring sets up a ring, and has it look at a word that has changed.
func probeUring() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, err := sys.NewIoUring(4, 8)
	if err != nil {
		return err
	}
	defer r.Close()
	word := new(atomic.Uint32)
	r.WaitPrivate(word, 1, 0)
	for err = unix.EINTR; err == unix.EINTR; {
		err = r.Enter(nil)
	}
	_, result, ok := r.Next()
	switch {
	case err != nil:
		return err
	case !ok || sys.Errno(result) != unix.EAGAIN:
		return fmt.Errorf("futex waits (Linux 6.7): %w", unix.ENOTSUP)
	}
	return nil
}

// haveWaitv reports whether futex_waitv(2) works: a word that has changed is
// noticed.
var haveWaitv = sync.OnceValue(func() bool {
	var word atomic.Uint32
	f := make([]sys.FutexWaiter, 1)
	f[0].Private(&word, 1)
	_, err := sys.FutexWaitv(f, nil)
	return err == unix.EAGAIN
})
