package shm

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// Guard runs fn and turns a memory fault on this segment into an error that is
// ErrFault: SIGBUS because a peer made the object shorter, SIGSEGV because the
// segment is read-only. Without it such a fault ends the program.
//
// Only faults of fn's own goroutine are caught. fn is left in the middle, as by
// a panic: its deferred calls run. Panics and faults that have nothing to do
// with this segment pass through. The segment stays mapped while fn runs, so fn must
// not close it: Close would wait for fn. Cost: about 30 ns.
func (s *Segment) Guard(fn func() error) error {
	if !s.uses.acquire() {
		return fail("guard", s.addr, ErrClosed)
	}
	defer s.uses.release()
	return s.guard("access", fn)
}

func (s *Segment) guard(op string, fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = s.faultError(op, r)
			if err == nil {
				panic(r)
			}
		}
	}()
	return fn()
}

// faultError is the error for a recovered panic value, or nil if that is no
// fault on this segment. The runtime documents Addr for faults
// (runtime/debug.SetPanicOnFault).
func (s *Segment) faultError(op string, r any) error {
	fault, ok := r.(interface {
		runtime.Error
		Addr() uintptr
	})
	if !ok {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.mappings {
		if offset, ok := mem.Offset(b, fault.Addr()); ok {
			return s.describeFault(op, offset, len(b))
		}
	}
	return nil
}

func (s *Segment) describeFault(op string, offset, mapped int) error {
	advice := fmt.Sprintf("at offset %d of %d mapped", offset, mapped)
	switch size, err := s.obj.size(); {
	case err == nil && size < int64(mapped):
		advice += fmt.Sprintf(": another process has cut the object down to %d bytes", size)
	case s.options.ReadOnly:
		advice += ": the segment is mapped read-only"
	}
	return failf(op, s.addr, ErrFault, "%s", advice)
}
