//go:build linux && (amd64 || arm64)

package sys

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// Bits of a robust futex word beside the thread id. Source: <linux/futex.h>.
const (
	FUTEX_TID_MASK   = 0x3fffffff
	FUTEX_OWNER_DIED = 0x40000000 // set by the kernel when the thread named in the word has died
	FUTEX_WAITERS    = 0x80000000 // somebody sleeps: the kernel then wakes one
)

// RobustLimit is how many entries the kernel follows (ROBUST_LIST_LIMIT). What
// stands behind them is not marked.
const RobustLimit = 2048

// robustHead is struct robust_list_head of <linux/futex.h>. The list is a ring:
// the last entry points back to the head.
//
//	 0      next      first entry, or the head itself
//	 8      offset    of each entry's futex word from the entry
//	16      pending   entry that is just being put in or taken out
type robustHead struct {
	next    uint64
	offset  int64
	pending uint64
}

const (
	_ = uint(unsafe.Sizeof(robustHead{}) - 24)
	_ = uint(24 - unsafe.Sizeof(robustHead{}))
	_ = uint(unsafe.Offsetof(robustHead{}.offset) - 8)
	_ = uint(8 - unsafe.Offsetof(robustHead{}.offset))
	_ = uint(unsafe.Offsetof(robustHead{}.pending) - 16)
	_ = uint(16 - unsafe.Offsetof(robustHead{}.pending))
)

// RobustEntry is one entry of a robust list: where the kernel finds the next
// one. It lies at a constant distance from its futex word, and so often in
// memory that peers can write.
type RobustEntry struct{ next mem.Uint64 }

// Address returns where e lies, as the kernel's list names it.
func (e *RobustEntry) Address() uint64 { return address(unsafe.Pointer(e)) }

// RobustLink is this process's own record of where an entry stands in a list.
// It lies in the Go heap: what a peer writes into an entry can mislead the
// kernel's walk, but never this process.
type RobustLink struct {
	entry        *RobustEntry
	newer, older *RobustLink
}

// NewRobustLink returns the link for e, in no list.
func NewRobustLink(e *RobustEntry) *RobustLink { return &RobustLink{entry: e} }

// RobustList is the list of futex words that the kernel marks, with
// FUTEX_OWNER_DIED and a wake, when its thread ends in whatever way
// (Documentation/locking/robust-futexes.rst). All entries must be at the same
// distance, offset bytes, from their words.
//
// Its head lies in memory of its own, outside the Go heap: the kernel keeps the
// address. It is never freed, like the thread that owns it.
//
// Its methods are not safe for concurrent use. But the thread may die between
// any two stores of theirs: each leaves a list that the kernel can walk.
type RobustList struct {
	head   *robustHead
	newest *RobustLink
	length int
}

// NewRobustList makes an empty list.
func NewRobustList(offset int64) (*RobustList, error) {
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, err
	}
	head := (*robustHead)(unsafe.Pointer(unsafe.SliceData(page)))
	head.offset = offset
	head.next = address(unsafe.Pointer(head))
	return &RobustList{head: head}, nil
}

// Adopt makes l the list of the calling thread: set_robust_list(2).
// Preconditions: the goroutine is locked to its thread and never leaves it.
func (l *RobustList) Adopt() error { return setRobustList(l.head) }

// Len is how many entries are in the list.
func (l *RobustList) Len() int { return l.length }

// SetPending announces that e is about to be taken or given back: if the thread
// dies before the list says so, the kernel looks at e's word all the same. Nil
// ends the announcement.
func (l *RobustList) SetPending(e *RobustEntry) { l.head.setPending(e) }

// Push puts an entry at the head of the list. The one store that makes it
// reachable comes last.
// Preconditions: n is in no list.
func (l *RobustList) Push(n *RobustLink) {
	n.entry.next.Store(atomic.LoadUint64(&l.head.next))
	atomic.StoreUint64(&l.head.next, n.entry.Address())
	n.older = l.newest
	if n.older != nil {
		n.older.newer = n
	}
	l.newest = n
	l.length++
}

// Remove takes an entry out of the list, by one store, and then clears it.
// Preconditions: n is in l, and the memory of the entry that was pushed after it
// is still mapped.
func (l *RobustList) Remove(n *RobustLink) {
	next := address(unsafe.Pointer(l.head))
	if n.older != nil {
		next = n.older.entry.Address()
		n.older.newer = n.newer
	}
	if n.newer != nil {
		n.newer.entry.next.Store(next)
		n.newer.older = n.older
	} else {
		atomic.StoreUint64(&l.head.next, next)
		l.newest = n.older
	}
	n.newer, n.older = nil, nil
	n.entry.next.Store(0)
	l.length--
}

func (h *robustHead) setPending(e *RobustEntry) {
	var p uint64
	if e != nil {
		p = e.Address()
	}
	atomic.StoreUint64(&h.pending, p)
}

// RobustSleeper announces, for a thread that sleeps on a robust futex, which one
// that is. Whoever dies after a wake chose it and before it could act on that
// takes the wake with it; the kernel then wakes another sleeper in its place, if
// the word names no owner.
type RobustSleeper struct {
	own    *RobustList // for threads without a list of the right offset
	using  *robustHead // where the announcement stands
	before *robustHead // the thread's list, where own had to replace it
}

// NewRobustSleeper makes one for entries at offset from their words. It keeps a
// page for good: use it again.
func NewRobustSleeper(offset int64) (*RobustSleeper, error) {
	own, err := NewRobustList(offset)
	if err != nil {
		return nil, err
	}
	return &RobustSleeper{own: own}, nil
}

// Announce makes e the calling thread's announcement. A thread that C code has
// given a list, in a program with cgo, keeps it.
// Preconditions: the goroutine is locked to its thread until Retract, and calls
// no C code in between; s announces nothing.
func (s *RobustSleeper) Announce(e *RobustEntry) error {
	head, err := getRobustList()
	if err != nil {
		return err
	}
	if head != nil && head.offset == s.own.head.offset && atomic.LoadUint64(&head.pending) == 0 {
		s.using, s.before = head, nil
		head.setPending(e)
		return nil
	}
	s.using, s.before = s.own.head, head
	s.own.SetPending(e)
	if err := s.own.Adopt(); err != nil {
		s.own.SetPending(nil)
		return err
	}
	return nil
}

// Retract ends the announcement and gives the thread back the list that it had.
func (s *RobustSleeper) Retract() {
	if s.using == s.own.head {
		_ = setRobustList(s.before) // fails for a wrong length only
	}
	s.using.setPending(nil)
	s.using, s.before = nil, nil
}

// CurrentRobustList returns the address of the calling thread's list, 0 if it
// has none: get_robust_list(2).
func CurrentRobustList() (uint64, error) {
	head, err := getRobustList()
	return address(unsafe.Pointer(head)), err
}

func getRobustList() (head *robustHead, err error) {
	var size uintptr
	_, _, errno := syscall.RawSyscall(unix.SYS_GET_ROBUST_LIST, 0, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&size)))
	if errno != 0 {
		return nil, errno
	}
	return head, nil
}

func setRobustList(head *robustHead) error {
	_, _, errno := syscall.RawSyscall(unix.SYS_SET_ROBUST_LIST, uintptr(unsafe.Pointer(head)), unsafe.Sizeof(*head), 0)
	if errno != 0 {
		return errno
	}
	return nil
}

func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

// bellPage is the page size that the layout of a [BellMapping] is built on. On
// machines with larger pages, mapping fails with EINVAL.
const bellPage = 4096

// BellOffset is the distance from a [BellMapping]'s entry to its futex word.
const BellOffset = bellPage

// BellMapping is one page of a shared object, with a private page before it.
// The robust-list entry for a word in the shared page lies in the private one,
// at the same place: no peer can damage the list.
//
//	base            base+4096         base+8192
//	 | private page  | shared page     |
//	 |    entry ─────┼──▶ word         |
type BellMapping struct{ base unsafe.Pointer }

// MapBellFile maps the page of the file that begins at offset.
func MapBellFile(fd int, offset int64) (*BellMapping, error) {
	base, err := reserve(2 * bellPage)
	if err != nil {
		return nil, err
	}
	m := &BellMapping{base}
	if _, err := unix.MmapPtr(fd, offset, unsafe.Add(base, bellPage), bellPage,
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		m.Unmap()
		return nil, err
	}
	return m, nil
}

// MapBellShm maps the page at offset of a System V segment of size bytes. A
// segment can only be attached whole: what is not needed is unmapped again.
func MapBellShm(id int, offset, size int64) (*BellMapping, error) {
	whole := (uintptr(size) + bellPage - 1) &^ (bellPage - 1)
	start, err := reserve(bellPage + whole)
	if err != nil {
		return nil, err
	}
	_, _, errno := syscall.Syscall(syscall.SYS_SHMAT, uintptr(id), uintptr(unsafe.Add(start, bellPage)), 0o40000) // SHM_REMAP
	if errno != 0 {
		unix.MunmapPtr(start, bellPage+whole)
		return nil, errno
	}
	// Keep the bell's page, and the one before it for private memory.
	base := unsafe.Add(start, offset)
	_, err = unix.MmapPtr(-1, 0, base, bellPage, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_FIXED)
	if err == nil && offset > 0 {
		err = unix.MunmapPtr(start, uintptr(offset))
	}
	if rest := whole - uintptr(offset) - bellPage; err == nil && rest > 0 {
		err = unix.MunmapPtr(unsafe.Add(base, 2*bellPage), rest)
	}
	if err != nil {
		unix.MunmapPtr(start, bellPage+whole)
		return nil, err
	}
	return &BellMapping{base}, nil
}

// reserve takes n bytes of address space, private and zero.
func reserve(n uintptr) (unsafe.Pointer, error) {
	return unix.MmapPtr(-1, 0, nil, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
}

// Entry returns the robust-list entry whose futex word lies at offset of the
// shared page.
// Preconditions: offset is a multiple of 8 below the page's size.
func (m *BellMapping) Entry(offset int) *RobustEntry {
	if uint(offset) > bellPage-8 || offset%8 != 0 {
		panic("sys: bell outside of its page")
	}
	return (*RobustEntry)(unsafe.Add(m.base, offset))
}

// Unmap gives both pages back.
// Preconditions: no entry of m is in a list.
func (m *BellMapping) Unmap() error { return unix.MunmapPtr(m.base, 2*bellPage) }
