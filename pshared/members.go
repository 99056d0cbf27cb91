package pshared

import (
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/shm"
)

// DefaultMembers is how many members an object can have at a time unless asked
// otherwise. A member is one Open (or [Join]), so mostly one process.
const DefaultMembers = layout.DefaultSlots

// MaxMembers is the most that can be asked for.
const MaxMembers = layout.MaxSlots

// Members is this process's membership of the primitives in one segment. It may
// be used by any goroutine.
type Members struct {
	segment *shm.Segment
	bytes   []byte
	table   *member.Table

	leaving atomic.Bool
	busy    atomic.Int64 // slow paths under way: whatever looks at shared memory for long

	mu      sync.Mutex
	handles []attached // the primitives
	sweepAt int        // look for dropped ones when there are so many
}

// MembersFootprint is the size in bytes of a table of n members, 0 meaning
// DefaultMembers. It is a multiple of 64.
func MembersFootprint(n int) int {
	if n == 0 {
		n = DefaultMembers
	}
	return (layout.MembersFootprint(n) + 63) &^ 63
}

// Join makes this process a member of the table at offset of the segment, and
// makes the table, for n members (0 meaning DefaultMembers), if the memory there
// is zero. Any number of processes may do so at once; a table that exists keeps
// its size.
//
// Claims are locks of the segment's file; a System V segment has none, and a
// companion /shoal.sysv-ID in /dev/shm carries them. The segment must be
// writable and stays mapped until Leave.
//
// Cost: some ten system calls, and once in a process a thread that sleeps for
// ever.
func Join(seg *shm.Segment, offset, n int) (*Members, error) {
	if n == 0 {
		n = DefaultMembers
	}
	t, err := member.Join(seg, offset, member.Options{Make: n})
	if err != nil {
		return nil, fail("join", fmt.Sprintf("%v offset %d", seg.Address(), offset), err)
	}
	return newMembers(seg, t), nil
}

func newMembers(seg *shm.Segment, t *member.Table) *Members {
	return &Members{segment: seg, bytes: seg.Bytes(), table: t}
}

// Leave ends the membership. What the process still holds becomes free as if it
// had died. Goroutines that wait in a primitive return with shm.ErrClosed; Leave
// waits for them, and for functions that a Once runs. No other call on a primitive
// may be under way; later ones say shm.ErrClosed. Leaving again does nothing.
func (m *Members) Leave() {
	if m.leaving.Swap(true) {
		return
	}
	// A waiter may be just about to sleep: wake until nobody is left.
	for pause := 10 * time.Microsecond; m.busy.Load() > 0; pause = min(2*pause, time.Millisecond) {
		m.table.Recheck()
		time.Sleep(pause)
	}
	m.table.Leave() // waits for what rechecks the primitives in the background
	m.detach()
}

// self is what this member writes into what it takes.
func (m *Members) self() uint64 { return uint64(m.table.Self()) }

// begin keeps Leave from unmapping the memory until end. It fails once Leave has
// begun.
func (m *Members) begin() error {
	m.busy.Add(1) // before the look at leaving: pairs with the swap in Leave
	if m.leaving.Load() {
		m.busy.Add(-1)
		return shm.ErrClosed
	}
	return nil
}

func (m *Members) end() { m.busy.Add(-1) }

// slept counts a sleep that ended by time although there was something to do.
func (m *Members) slept(lost bool) {
	if lost {
		m.table.Head().LostWakes.Add(1)
	}
}

// repaired counts a claim taken back from the dead.
func (m *Members) repaired() { m.table.Head().Repairs.Add(1) }

// primitive is what every handle has.
type primitive struct {
	members *Members
	object  string // for messages
	owned   bool   // named: members and segment are ours
}

// Close ends the use of a named object, which stays for the others; what this
// process still holds becomes free as if it had died. Waiting goroutines return
// with shm.ErrClosed, and Close waits for that; no other method may be under way.
// Later calls say shm.ErrClosed, or do nothing where they have no error to say it
// with. Of a primitive in a segment of your own, Close does nothing: leave the
// [Members] instead. Closing again does nothing.
func (p *primitive) Close() error {
	if !p.owned {
		return nil
	}
	p.members.Leave()
	return p.members.segment.Close()
}

// Stats are counters of an object, of all its members together, since it was
// made.
type Stats struct {
	Members   int    // now
	Deaths    uint64 // members that ended without leaving
	Repairs   uint64 // claims that survivors have taken back
	LostWakes uint64 // sleeps that ended by time although there was something to do; 0 unless a member died
}

// Stats returns the counters of the object, or of all primitives that share its
// [Members]; after Close, zeros. Cost: some loads.
func (p *primitive) Stats() Stats { return p.members.Stats() }

// Stats returns the counters; after Leave, zeros.
func (m *Members) Stats() Stats {
	if m.begin() != nil {
		return Stats{}
	}
	defer m.end()
	h := m.table.Head()
	return Stats{
		Members:   m.table.Count(),
		Deaths:    h.Deaths.Load(),
		Repairs:   h.Repairs.Load(),
		LostWakes: h.LostWakes.Load(),
	}
}

// place finds a primitive's memory.
func place[T any](m *Members, offset int) (*T, error) {
	if m.leaving.Load() {
		return nil, shm.ErrClosed
	}
	if offset%64 != 0 {
		return nil, fmt.Errorf("offset %d is not a multiple of 64: %w", offset, syscall.EINVAL)
	}
	t, err := mem.At[T](m.bytes, offset)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	return t, nil
}

// room checks that n T fit at the offset.
func room[T any](m *Members, offset, n int) error {
	if _, err := mem.Array[T](m.bytes, offset, n); err != nil {
		return fmt.Errorf("%w: %w", err, syscall.EINVAL)
	}
	return nil
}

// initialize makes a primitive, whose magic number is stored last. Two who try
// at once exclude each other; one that dies half-way has made nothing.
func (m *Members) initialize(p *layout.Preamble, magic, config uint32, fill func()) error {
	if err := m.begin(); err != nil {
		return err
	}
	defer m.end()
	return m.table.Exclusive(func() error {
		switch got := p.Magic.Load(); got {
		case 0:
		case magic:
			return fs.ErrExist
		default:
			return fmt.Errorf("the memory is not zero, but begins with %#x: %w", got, fs.ErrExist)
		}
		p.Config = config
		if fill != nil {
			fill()
		}
		p.Magic.Store(magic) // pairs with the load in identify: all above is there
		return nil
	})
}

// identify checks that a primitive is there, and returns its configuration.
func identify(p *layout.Preamble, magic uint32) (config uint32, err error) {
	switch got := p.Magic.Load(); got { // pairs with the store in initialize
	case magic:
		return p.Config, nil
	case 0:
		return 0, fmt.Errorf("nothing has been made there: %w", fs.ErrNotExist)
	default:
		return 0, fmt.Errorf("it begins with %#x, not %#x: %w", got, magic, shm.ErrCorrupt)
	}
}

// at names a primitive in a segment, for messages.
func (m *Members) at(kind string, offset int) string {
	return fmt.Sprintf("%s at offset %d of %v", kind, offset, m.segment.Address())
}
