package pshared

import (
	"slices"
	"weak"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
)

// After Close or Leave the memory of a primitive may be unmapped, and its owner
// word names an epoch that is over. So its handle is turned to words of this
// process that nobody changes, in a state from which every fast path goes on to
// its slow path, and that one asks [Members.begin]. What is always between begin
// and end does without.
//
// Handles point to their words by atomic pointers: who has let another goroutine
// go on by his last store may still be in the method when that one closes the
// primitive. On x86-64 they cost nothing.
var (
	zero32   mem.Uint32
	zero64   mem.Uint64
	ones32   mem.Uint32 // no value of a plain semaphore
	closed64 mem.Uint64 // neither free, nor anybody's, nor draining
)

func init() {
	ones32.Store(^uint32(0))
	closed64.Store(layout.LockNotRecoverable)
}

// A handle is what the program has of a primitive: *Mutex, for one.
type handle[T any] interface {
	*T
	detacher
}

type detacher interface {
	// detach turns the handle away from shared memory. No method is under way.
	detach()
}

// attached is a handle that a membership knows of, nil when it has been dropped.
type attached interface{ handle() detacher }

type weakHandle[T any, H handle[T]] struct{ p weak.Pointer[T] }

func (w weakHandle[T, H]) handle() detacher {
	if p := w.p.Value(); p != nil {
		return H(p)
	}
	return nil
}

// attach has the handle detached by Leave. A handle that the program drops is
// forgotten.
func attach[T any, H handle[T]](m *Members, h H) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.handles) >= m.sweepAt {
		m.handles = slices.DeleteFunc(m.handles, func(a attached) bool { return a.handle() == nil })
		m.sweepAt = 2*len(m.handles) + 16
	}
	m.handles = append(m.handles, weakHandle[T, H]{weak.Make((*T)(h))})
}

func (m *Members) detach() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.handles {
		if h := a.handle(); h != nil {
			h.detach()
		}
	}
	m.handles = nil
}
