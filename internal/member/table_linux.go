//go:build linux && (amd64 || arm64)

package member

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/keeper"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/internal/sys"
	"github.com/seed-247006a4/shoal/shm"
)

// table is a member table in mapped memory.
type table struct {
	head  *layout.Members
	bells []layout.Bell
	slots []layout.Slot
}

// view checks the table at offset of b and returns it. It reads what bounds the
// others once.
func view(b []byte, offset int) (t table, err error) {
	if t.head, err = mem.At[layout.Members](b, offset); err != nil {
		return t, corrupt(offset, "member table: %v", err)
	}
	if got := t.head.Magic.Load(); got != layout.MembersMagic {
		return t, corrupt(offset, "member table has magic %#x, want %#x", got, layout.MembersMagic)
	}
	if major := t.head.Version >> 16; major != layout.Major {
		return t, fmt.Errorf("member table at offset %d has version %d.%d, this program knows %d.%d: %w",
			offset, major, t.head.Version&0xffff, layout.Major, layout.Minor, shm.ErrVersion)
	}
	n := int(t.head.Slots)
	if n < 1 || n > layout.MaxSlots {
		return t, corrupt(offset+8, "member table has %d slots, want 1 to %d", n, layout.MaxSlots)
	}
	t.bells, err = mem.Array[layout.Bell](b, offset+layout.BellOffset(0), n)
	if err == nil {
		t.slots, err = mem.Array[layout.Slot](b, offset+layout.SlotOffset(n, 0), n)
	}
	if err != nil {
		return t, corrupt(offset, "member table of %d slots: %v", n, err)
	}
	return t, nil
}

func corrupt(offset int, format string, args ...any) error {
	return fmt.Errorf("at offset %d: %s: %w", offset, fmt.Sprintf(format, args...), shm.ErrCorrupt)
}

// Make writes an empty table of n slots at offset of b, which is zero there and
// which nobody else can see yet. A table that may be seen is made by [Join].
func Make(b []byte, offset, n int) error { return makeTable(b, offset, n, 0) }

func makeTable(b []byte, offset, n int, companion uint64) error {
	if n < 1 || n > layout.MaxSlots {
		return fmt.Errorf("%d member slots: want 1 to %d: %w", n, layout.MaxSlots, unix.EINVAL)
	}
	if offset%64 != 0 || offset < 0 || layout.MembersFootprint(n) > len(b)-offset {
		return fmt.Errorf("a member table of %d slots takes %d bytes at a multiple of 64; offset %d of %d does not do: %w",
			n, layout.MembersFootprint(n), offset, len(b), unix.EINVAL)
	}
	head, err := mem.At[layout.Members](b, offset)
	if err != nil {
		return err
	}
	head.Version = layout.Major<<16 | layout.Minor
	head.Slots = uint32(n)
	head.Lock = companion
	head.Magic.Store(layout.MembersMagic) // pairs with the load in view: all above is there
	return nil
}

// Table is a joined member table. Its methods may be called from any goroutine.
type Table struct {
	table
	segment *shm.Segment
	view    *shm.View // keeps the mapping while we are a member
	offset  int64     // of the table in the object
	lock    *lockFile
	self    layout.Owner
	bell    *sys.BellMapping
	entry   *sys.RobustEntry
	repair  func(layout.Owner)
	left    chan struct{} // closed by Leave

	burying sync.Mutex // one burial at a time: locks of one description do not exclude each other

	background sync.WaitGroup // callbacks that still look at the table

	mu      sync.Mutex
	gone    bool
	places  map[Place]int
	known   []layout.Owner // whom we watch, by slot
	watches []*park.Watch
	changes *park.Watch
	retired uint64 // value of head.Retired when places were last told
	ticker  *time.Timer
}

// Join claims a slot of the table at offset of the segment.
//
// It fails with ErrNoSlot when all slots belong to live processes, with
// shm.ErrCorrupt or shm.ErrVersion when the table is no table of ours, and with
// the system's error when the object cannot be locked: joining needs write
// permission.
func Join(seg *shm.Segment, offset int, o Options) (*Table, error) {
	v, err := seg.Borrow()
	if err != nil {
		return nil, err
	}
	t := &Table{segment: seg, view: v, offset: int64(offset), repair: o.Repair,
		left: make(chan struct{}), places: map[Place]int{}}
	if err := t.join(o); err != nil {
		t.release()
		return nil, err
	}
	return t, nil
}

func (t *Table) join(o Options) (err error) {
	info, err := t.segment.Stat()
	if err != nil {
		return err
	}
	if t.lock, err = openLockFile(t.segment, info); err != nil {
		return err
	}
	b := t.view.Bytes()
	if o.Make > 0 {
		if err := t.makeOnce(b, o.Make); err != nil {
			return err
		}
	}
	if t.table, err = view(b, int(t.offset)); err != nil {
		return err
	}
	if t.head.Lock != t.lock.companion {
		return fmt.Errorf("its members lock file %d, this process sees %d as %s: they have another /dev/shm (another container), or the file was replaced: %w",
			t.head.Lock, t.lock.companion, CompanionName(info.ID), unix.EXDEV)
	}
	n := len(t.slots)
	t.known, t.watches = make([]layout.Owner, n), make([]*park.Watch, n)
	slot, err := t.claim()
	if err != nil {
		return err
	}
	if err := t.enter(slot, info, o.Role); err != nil {
		t.lock.unlock(t.lockByte(slot))
		return err
	}
	return nil
}

// makeOnce makes the table if there is none, whoever else tries: under the lock
// of its first byte. A maker that dies before the magic number is there has made
// nothing, and the next one begins again.
func (t *Table) makeOnce(b []byte, n int) error {
	head, err := mem.At[layout.Members](b, int(t.offset))
	if err != nil {
		return err
	}
	if head.Magic.Load() != 0 { // pairs with the store in makeTable
		return nil
	}
	if err := t.lock.wait(t.offset); err != nil {
		return err
	}
	defer t.lock.unlock(t.offset)
	if head.Magic.Load() != 0 {
		return nil
	}
	return makeTable(b, int(t.offset), n, t.lock.companion)
}

// lockByte is the byte of the file that belongs to a slot.
func (t *Table) lockByte(slot int) int64 {
	return t.offset + int64(layout.SlotOffset(len(t.slots), slot))
}

// claimRounds bounds the search for a slot: a survivor that buries a dead member
// holds that slot's lock for some microseconds.
const claimRounds = 10

// claim locks a slot, and buries whoever died in it.
func (t *Table) claim() (slot int, err error) {
	for round := range claimRounds {
		for slot := range t.slots {
			c := t.slots[slot].Claim.Load()
			if round == 0 && active(c) && !rung(t.bells[slot].Word.Load()) {
				continue // most likely alive: spare the call
			}
			ok, err := t.lock.try(t.lockByte(slot))
			if err != nil {
				return 0, fmt.Errorf("lock slot %d: %w", slot, err)
			}
			if ok {
				t.bury(slot)
				return slot, nil
			}
		}
		if round > 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return 0, fmt.Errorf("all %d are taken by live processes: %w", len(t.slots), ErrNoSlot)
}

// enter makes the locked slot ours.
func (t *Table) enter(slot int, info shm.Info, role uint32) error {
	k, err := keeper.Bells()
	if err != nil {
		return err
	}
	at := t.offset + int64(layout.BellOffset(slot))
	page := at &^ (sys.BellOffset - 1)
	if t.segment.Address().Kind() == shm.SysV {
		t.bell, err = sys.MapBellShm(int(info.ID), page, info.Size)
	} else {
		t.bell, err = sys.MapBellFile(t.lock.fd, page)
	}
	if err != nil {
		return fmt.Errorf("map the bell of slot %d: %w", slot, err)
	}
	s := &t.slots[slot]
	describe(s, role)
	// The bell before the claim: whoever sees us active hears us die.
	t.bells[slot].Word.Store(k.TID() | sys.FUTEX_WAITERS)
	entry := t.bell.Entry(int(at - page))
	if err := k.Add(entry); err != nil {
		t.bells[slot].Word.Store(0)
		t.bell.Unmap()
		t.bell = nil
		return err
	}
	t.entry = entry
	epoch := uint32(s.Claim.Load()>>32) + 1
	t.self = layout.MakeOwner(slot, epoch)
	s.Claim.Store(layout.SlotClaim(epoch, layout.SlotActive))
	t.changed()
	return nil
}

// describe writes who we are into our slot, for people.
func describe(s *layout.Slot, role uint32) {
	p := self()
	s.PID.Store(uint32(os.Getpid()))
	s.Role.Store(role)
	s.PIDNS.Store(p.namespace)
	s.Start.Store(p.start)
	s.Joined.Store(uint64(time.Now().UnixNano()))
	s.Name[0].Store(p.name[0])
	s.Name[1].Store(p.name[1])
}

// changed announces a change of membership to all.
func (t *Table) changed() {
	t.head.Changes.Add(1)
	park.WakeAll(&t.head.Changes)
}

// Self is this member: what it writes into what it takes.
func (t *Table) Self() layout.Owner { return t.self }

// Slots is how many members there can be.
func (t *Table) Slots() int { return len(t.slots) }

// Head is the table's head, for its counters.
func (t *Table) Head() *layout.Members { return t.head }

// Count is how many slots are claimed now.
func (t *Table) Count() (n int) {
	for i := range t.slots {
		if active(t.slots[i].Claim.Load()) {
			n++
		}
	}
	return n
}

// Leave gives the slot back. Whatever this member still holds becomes void, as
// if it had died. Sleepers of this process in the table's structures must have
// been sent away before.
func (t *Table) Leave() {
	t.mu.Lock()
	if t.gone {
		t.mu.Unlock()
		return
	}
	t.gone = true
	close(t.left)
	t.stopWatching()
	t.mu.Unlock()
	t.background.Wait()

	slot := t.self.Slot()
	// Void first: from here on nobody waits for us, whenever we die.
	t.slots[slot].Claim.Store(layout.SlotClaim(t.self.Epoch(), layout.SlotFree))
	t.head.Retired.Add(1)
	t.changed()
	k, _ := keeper.Bells() // it has been there since enter
	k.Remove(t.entry)
	t.bells[slot].Word.Store(0)
	t.lock.unlock(t.lockByte(slot))
	t.release()
}

// release gives back what join has taken of the system.
func (t *Table) release() {
	if t.bell != nil {
		t.bell.Unmap()
	}
	if t.lock != nil {
		t.lock.close()
	}
	t.view.Release()
}

// process is what a slot says of its owner.
type process struct {
	namespace, start uint64
	name             [2]uint64
}

var self = sync.OnceValue(func() (p process) {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) == nil {
		p.namespace = st.Ino
	}
	stat, _ := os.ReadFile("/proc/self/stat")
	// proc_pid_stat(5): the name in parentheses may hold anything; field 22 is the start time.
	if i := strings.LastIndexByte(string(stat), ')'); i > 0 {
		if f := strings.Fields(string(stat)[i+1:]); len(f) > 19 {
			fmt.Sscan(f[19], &p.start)
		}
	}
	comm, _ := os.ReadFile("/proc/self/comm")
	for i, c := range []byte(strings.TrimSpace(string(comm))) {
		if i < 16 {
			p.name[i/8] |= uint64(c) << (i % 8 * 8)
		}
	}
	return p
})

// Exclusive runs fn while no other member does: for making something in the
// object. If the process dies meanwhile the kernel lets the next one in.
func (t *Table) Exclusive(fn func() error) error {
	t.burying.Lock() // locks of one description do not exclude each other
	defer t.burying.Unlock()
	if err := t.lock.wait(t.offset); err != nil {
		return err
	}
	defer t.lock.unlock(t.offset)
	return fn()
}
