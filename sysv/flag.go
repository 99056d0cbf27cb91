package sysv

import (
	"io/fs"
	"math/bits"
	"strings"
)

// Flag holds the flags of the get, operate, send and receive functions. The
// permission bits of the get functions are or-ed in: Create|Exclusive|0o600.
//
// As in C the same bit means different things in different calls.
type Flag int

// Flags of [ShmGet], [SemGet] and [MsgGet].
const (
	Create    Flag = 0o1000 // IPC_CREAT: make the object if the key leads to none
	Exclusive Flag = 0o2000 // IPC_EXCL: with Create, fail with EEXIST if it leads to one; alone, ignored
)

// Flags of [ShmGet] alone.
const (
	HugeTLB   Flag = 0o4000  // SHM_HUGETLB: back the segment with huge pages of the default size, see [HugePage]
	NoReserve Flag = 0o10000 // SHM_NORESERVE: set no swap space aside; a write may then kill for want of memory
)

// Flags of operations on semaphores and messages.
const (
	NoWait     Flag = 0o4000  // IPC_NOWAIT: EAGAIN (ENOMSG for Receive) rather than sleep
	Undo       Flag = 0o10000 // SEM_UNDO: take this operation back when the process ends, see [SemBuf]
	MsgNoError Flag = 0o10000 // MSG_NOERROR: cut a message that is too long for the buffer, rather than E2BIG
	MsgExcept  Flag = 0o20000 // MSG_EXCEPT: receive the first message of any type but the given one
	MsgCopy    Flag = 0o40000 // MSG_COPY: copy the message at a position and leave it there; needs NoWait
)

const (
	hugeShift = 26 // SHM_HUGE_SHIFT: where log2 of the page size stands
	hugeMask  = 0x3f
)

// HugePage returns [HugeTLB] with a page size in bytes: HugePage(2<<20) is
// SHM_HUGETLB|SHM_HUGE_2MB. A size that the machine does not have makes
// [ShmGet] fail with EINVAL; one that is not a power of two always does.
func HugePage(size int) Flag {
	log2 := hugeMask // 2^63 bytes: a page size that no machine has
	if size > 0 && size&(size-1) == 0 {
		log2 = bits.TrailingZeros64(uint64(size))
	}
	return HugeTLB | Flag(log2)<<hugeShift
}

// AttachFlag holds the flags of [ShmAt].
type AttachFlag int

// Flags of [ShmAt].
const (
	ReadOnly AttachFlag = 0o10000  // SHM_RDONLY: a store into the bytes is a fatal fault; needs read permission only
	Round    AttachFlag = 0o20000  // SHM_RND: round the address down to a page
	Remap    AttachFlag = 0o40000  // SHM_REMAP: replace what is mapped at the address, whatever it is
	Exec     AttachFlag = 0o100000 // SHM_EXEC: the bytes may be executed; needs execute permission
)

// Mode is the mode of an object as the kernel reports it: nine permission bits
// and, for a segment, two bits of state. Execute bits mean nothing except to
// [Exec].
//
//	 02000   01000    0400 0200     040 020       04 02
//	locked   dest     owner rw      group rw      others rw
type Mode uint32

const (
	modeDest   Mode = 0o1000 // SHM_DEST
	modeLocked Mode = 0o2000 // SHM_LOCKED
)

// Perm returns the permission bits alone.
func (m Mode) Perm() fs.FileMode { return fs.FileMode(m & 0o777) }

// Dest reports whether a segment has been removed and waits for its last
// process to detach (SHM_DEST).
func (m Mode) Dest() bool { return m&modeDest != 0 }

// Locked reports whether a segment is kept in memory, never swapped
// (SHM_LOCKED, see [ShmID.Lock]).
func (m Mode) Locked() bool { return m&modeLocked != 0 }

// String returns the permission bits as ls(1) shows them, then ",locked" and
// ",dest" where they apply: "rw-r-----,locked".
func (m Mode) String() string {
	var b strings.Builder
	b.WriteString(m.Perm().String()[1:])
	if m.Locked() {
		b.WriteString(",locked")
	}
	if m.Dest() {
		b.WriteString(",dest")
	}
	return b.String()
}

// Perm is what IPC_SET changes: all of it at once. To change one field, start
// from the Perm method of a [ShmInfo], [SemInfo] or [MsgInfo]. The creator
// cannot be changed, and keeps its rights.
type Perm struct {
	UID  uint32 // owner
	GID  uint32 // owning group
	Mode Mode   // permission bits; the others are ignored
}
