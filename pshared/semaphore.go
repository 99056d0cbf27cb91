package pshared

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"syscall"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// Semaphore is a counting semaphore in shared memory. There are two kinds:
//
// A plain one is a number. Acquire waits until it is above zero and takes one
// off; Release adds one, whoever has acquired before or not. It counts things
// that come and go: items in a buffer, say.
//
// One with undo has a fixed number of permits, each of which is free or belongs
// to a member. What a member held when it died is free again. It limits how many
// may do something at the same time.
type Semaphore struct {
	primitive
	value   atomic.Pointer[mem.Uint32] // plain
	permits []mem.Uint64               // with undo
	free    *park.EventCount           // with undo
	self    uint64
	hint    atomic.Uint32 // the permit that this handle took or gave back last
	spin    park.Spinner
}

// SemaphoreConfig says what a new semaphore is.
type SemaphoreConfig struct {
	// Value is the initial value or, with Undo, the number of permits, all free.
	Value int
	// Undo makes the permits of a dead member free again. Then Value is at most
	// MaxPermits.
	Undo bool
}

// MaxPermits is the most permits that a semaphore with undo can have: to acquire
// one means to look for a free one.
const MaxPermits = 4096

// MaxSemaphore is the largest value of a plain semaphore.
const MaxSemaphore = math.MaxInt32 - 1

// SemaphoreFootprint is the size of such a semaphore in shared memory, in bytes.
func SemaphoreFootprint(c SemaphoreConfig) int {
	if !c.Undo {
		return 64
	}
	return 64 + (c.Value*8+63)&^63
}

func (c SemaphoreConfig) check() error {
	limit := MaxSemaphore
	if c.Undo {
		limit = MaxPermits
	}
	first := 0
	if c.Undo {
		first = 1
	}
	if c.Value < first || c.Value > limit {
		return fmt.Errorf("value %d: want %d to %d: %w", c.Value, first, limit, syscall.EINVAL)
	}
	return nil
}

// config is the word in the preamble: the number of permits, 0 for plain.
func (c SemaphoreConfig) config() uint32 {
	if c.Undo {
		return uint32(c.Value)
	}
	return 0
}

// OpenSemaphore opens the named semaphore, and makes it as c says if there is
// none. One that exists must be of the same kind and, with undo, have as many
// permits; else the error is shm.ErrKind.
func OpenSemaphore(name string, c SemaphoreConfig) (*Semaphore, error) {
	return Options{}.OpenSemaphore(name, c)
}

// OpenSemaphore is the function [OpenSemaphore] with options.
func (o Options) OpenSemaphore(name string, c SemaphoreConfig) (*Semaphore, error) {
	if err := c.check(); err != nil {
		return nil, fail("open", name, err)
	}
	m, offset, err := o.open(name, spec{
		kind: layout.KindSemaphore, size: SemaphoreFootprint(c), magic: layout.SemaphoreMagic, config: c.config(),
		fill: func(body []byte) {
			if s, err := mem.At[layout.Semaphore](body, 0); err == nil && !c.Undo {
				s.Value.Store(uint32(c.Value) << 1)
			}
		}})
	if err != nil {
		return nil, err
	}
	s, err := joinSemaphore(m, offset, name)
	if got := len(s.permits); err == nil && got != int(c.config()) {
		err = fmt.Errorf("it has %d permits to undo, not %d: %w", got, c.config(), shm.ErrKind)
	}
	return named(m, s, &s.primitive, err)
}

// InitSemaphore makes a semaphore at offset of the members' segment; memory that
// is not zero is fs.ErrExist.
func InitSemaphore(m *Members, offset int, c SemaphoreConfig) (*Semaphore, error) {
	object := m.at("semaphore", offset)
	p, err := place[layout.Semaphore](m, offset)
	if err == nil {
		err = c.check()
	}
	if err == nil {
		err = room[mem.Uint64](m, offset+64, int(c.config()))
	}
	if err == nil {
		err = m.initialize(&p.Preamble, layout.SemaphoreMagic, c.config(), func() {
			if !c.Undo {
				p.Value.Store(uint32(c.Value) << 1)
			}
		})
	}
	if err != nil {
		return nil, fail("init", object, err)
	}
	return JoinSemaphore(m, offset)
}

// JoinSemaphore returns the semaphore that somebody has made at offset of the
// members' segment; if nobody has, the error is fs.ErrNotExist.
func JoinSemaphore(m *Members, offset int) (*Semaphore, error) {
	s, err := joinSemaphore(m, offset, m.at("semaphore", offset))
	if err != nil {
		return nil, fail("join", s.object, err)
	}
	return s, nil
}

func joinSemaphore(m *Members, offset int, object string) (*Semaphore, error) {
	s := &Semaphore{primitive: primitive{members: m, object: object}, self: m.self()}
	p, err := place[layout.Semaphore](m, offset)
	if err != nil {
		return s, err
	}
	permits, err := identify(&p.Preamble, layout.SemaphoreMagic)
	if err != nil {
		return s, err
	}
	if permits > MaxPermits {
		return s, fmt.Errorf("at offset 4: %d permits, at most %d are possible: %w", permits, MaxPermits, shm.ErrCorrupt)
	}
	if s.permits, err = mem.Array[mem.Uint64](m.bytes, offset+64, int(permits)); err != nil {
		return s, fmt.Errorf("%w: %w", err, shm.ErrCorrupt)
	}
	s.value.Store(&p.Value)
	s.free = (*park.EventCount)(&p.Free)
	attach(m, s)
	return s, nil
}

func (s *Semaphore) detach() { s.value.Store(&ones32) }

// semSleeps is the lowest bit of a plain semaphore's word: somebody may sleep.
const semSleeps = 1

// Acquire takes one, and waits until it can. Cost if it need not wait: one
// compare-and-swap; with undo, a load for every permit that is taken.
func (s *Semaphore) Acquire() error { return s.AcquireContext(context.Background()) }

// AcquireContext is Acquire that gives up, with the context's error, when the
// context is done.
func (s *Semaphore) AcquireContext(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fail("acquire", s.object, err)
	}
	ok, err := s.TryAcquire()
	if ok || err != nil {
		return err
	}
	return s.acquireSlow(ctx)
}

// TryAcquire takes one if it can without waiting, and reports whether it has.
func (s *Semaphore) TryAcquire() (ok bool, err error) {
	if len(s.permits) > 0 {
		if err = s.members.begin(); err == nil {
			ok, err = s.take()
			s.members.end()
		}
		return ok, fail("acquire", s.object, err)
	}
	if s.decrement(0) {
		return true, nil
	}
	return false, fail("acquire", s.object, s.sound(s.value.Load().Load()))
}

// sound says what is wrong with the word of a plain semaphore: that it is another
// one, since Close, or damaged.
func (s *Semaphore) sound(word uint32) error {
	switch {
	case word>>1 <= MaxSemaphore:
		return nil
	case s.members.leaving.Load():
		return shm.ErrClosed
	}
	return corrupt("value", uint64(word))
}

// Release gives one back and wakes a waiter. With undo it must be this member's
// own ([ErrNotOwner]); a plain semaphore refuses to go beyond MaxSemaphore
// (EOVERFLOW). Cost with nobody waiting: one compare-and-swap.
func (s *Semaphore) Release() error {
	if len(s.permits) > 0 {
		err := s.members.begin()
		if err == nil {
			err = s.giveBack()
			s.members.end()
		}
		return fail("release", s.object, err)
	}
	for {
		word := s.value.Load().Load()
		if word>>1 >= MaxSemaphore {
			err := s.sound(word)
			if err == nil {
				err = syscall.EOVERFLOW
			}
			return fail("release", s.object, err)
		}
		// Whoever is woken sets the flag again if it takes one: others may still sleep.
		if s.value.Load().CompareAndSwap(word, (word+2)&^semSleeps) {
			if word&semSleeps != 0 {
				park.Wake(s.value.Load(), 1)
			}
			return nil
		}
	}
}

// Value returns how many could be acquired now. It may have changed by the time
// that the caller looks at it. After Close it returns 0.
func (s *Semaphore) Value() int {
	if s.members.begin() != nil {
		return 0
	}
	defer s.members.end()
	return s.available()
}

func (s *Semaphore) available() int {
	if len(s.permits) == 0 {
		return int(s.value.Load().Load() >> 1)
	}
	n := 0
	for i := range s.permits {
		if o := layout.OwnerOf(s.permits[i].Load()); o == 0 {
			n++
		} else if current, valid := s.members.table.Settle(o); valid && !current {
			n++
		}
	}
	return n
}

// Check reports, with shm.ErrCorrupt, a state that no sequence of operations and
// deaths leads to. It changes nothing.
func (s *Semaphore) Check() error {
	if err := s.members.begin(); err != nil {
		return fail("check", s.object, err)
	}
	defer s.members.end()
	for i := range s.permits {
		word := s.permits[i].Load()
		if word == 0 {
			continue
		}
		if _, valid := s.members.table.Current(layout.OwnerOf(word)); !valid || word&permitFlags != 0 {
			return fail("check", s.object, corrupt(fmt.Sprintf("permit %d", i), word))
		}
	}
	return fail("check", s.object, s.sound(s.value.Load().Load()))
}

// permitFlags are the bits of a permit beside its owner, which are not used.
const permitFlags = 0xffff

// decrement takes one off a plain semaphore, if there is one, and sets the flag
// if told so.
func (s *Semaphore) decrement(flag uint32) bool {
	for {
		word := s.value.Load().Load()
		if n := word >> 1; n == 0 || n > MaxSemaphore {
			return false
		}
		if s.value.Load().CompareAndSwap(word, (word-2)|flag) {
			return true
		}
	}
}

// take looks for a permit that is free, or whose holder has gone.
func (s *Semaphore) take() (bool, error) {
	n := uint32(len(s.permits))
	for k, first := uint32(0), s.hint.Load(); k < n; k++ {
		i := (first + k) % n
		p := &s.permits[i]
		word := p.Load()
		if word != 0 {
			current, valid := s.members.table.Settle(layout.OwnerOf(word))
			if !valid || word&permitFlags != 0 {
				return false, corrupt(fmt.Sprintf("permit %d", i), word)
			}
			if current {
				continue
			}
		}
		if p.CompareAndSwap(word, s.self) {
			if word != 0 {
				s.members.repaired()
			}
			s.hint.Store(i)
			return true, nil
		}
		k-- // it has changed: look at it again
	}
	return false, nil
}

// giveBack frees one of our permits: any one, they are alike.
func (s *Semaphore) giveBack() error {
	n := uint32(len(s.permits))
	for k, first := uint32(0), s.hint.Load(); k < n; k++ {
		i := (first + k) % n
		if s.permits[i].Load() == s.self && s.permits[i].CompareAndSwap(s.self, 0) { // pairs with the loads in take
			s.hint.Store(i)
			s.free.Notify()
			return nil
		}
	}
	return ErrNotOwner
}

func (s *Semaphore) acquireSlow(ctx context.Context) error {
	if err := s.members.begin(); err != nil {
		return fail("acquire", s.object, err)
	}
	defer s.members.end()
	available := func() bool { return s.available() > 0 }
	for s.spin.Spin(available) {
		if ok, err := s.TryAcquire(); ok || err != nil {
			return err
		}
	}
	p := (*semaphorePlace)(s)
	s.members.table.Block(p)
	defer s.members.table.Unblock(p)
	if len(s.permits) > 0 {
		return fail("acquire", s.object, s.awaitPermit(ctx))
	}
	return fail("acquire", s.object, s.awaitValue(ctx))
}

func (s *Semaphore) awaitPermit(ctx context.Context) (err error) {
	var ok bool
	lost, waitErr := s.free.Await(ctx, func() bool {
		ok, err = s.take()
		return ok || err != nil || s.members.leaving.Load()
	})
	s.members.slept(lost)
	switch {
	case ok || err != nil:
		return err
	case waitErr != nil:
		return waitErr
	}
	return shm.ErrClosed
}

func (s *Semaphore) awaitValue(ctx context.Context) error {
	for slept := uint32(0); ; slept = semSleeps {
		if s.decrement(slept) {
			// Two releases may have come before we ran, and only the first has woken
			// somebody.
			if slept != 0 && s.value.Load().Load()>>1 > 0 {
				park.Wake(s.value.Load(), 1)
			}
			return nil
		}
		if s.members.leaving.Load() {
			return shm.ErrClosed
		}
		word := s.value.Load().Load()
		if err := s.sound(word); err != nil {
			return err
		}
		if word>>1 > 0 || word&semSleeps == 0 && !s.value.Load().CompareAndSwap(word, word|semSleeps) {
			continue
		}
		lost, err := park.Wait(ctx, s.value.Load(), semSleeps)
		s.members.slept(lost)
		if err != nil {
			park.Wake(s.value.Load(), 1) // a release that was meant for us may have come in the same moment
			return err
		}
	}
}

// semaphorePlace is the semaphore as a member.Place.
type semaphorePlace Semaphore

func (p *semaphorePlace) Recheck() {
	park.WakeAll(p.value.Load())
	p.free.NotifyAll() // the dead may have begun to
}
