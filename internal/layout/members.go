package layout

import (
	"structs"
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// MembersMagic is the first word of a member table: "MEMB". It is written last
// when a table is made.
const MembersMagic uint32 = 0x424d454d

// Limits of a member table.
const (
	DefaultSlots = 48   // with a Header before it, a table of so many ends below offset 4096
	MaxSlots     = 1024 // slot numbers fit 16 bits with room to spare
)

// Members is the head of a member table; bells and slots follow.
//
//	 0       4         8       12        16        24       32        40      48      56   64
//	 +-------+---------+-------+---------+---------+--------+---------+-------+-------+----+
//	 | magic | version | slots | changes | retired | deaths | repairs | lost  | lock  | -  |
//	 +-------+---------+-------+---------+---------+--------+---------+-------+-------+----+
//	64                           64+8n                        64+8n+64n
//	 +--------+--------+--- … ---+----------------+--- … ------+
//	 | bell 0 | bell 1 |         | slot 0         |            |
//	 +--------+--------+--- … ---+----------------+--- … ------+
//
// Lock is the inode of the file whose bytes are locked, if that is not the
// object itself (System V memory has no file); else 0.
//
// The table begins at a multiple of 64, wherever in the segment. Two kinds of
// bytes of it are locked (fcntl F_OFD_SETLK, at their offset in the file): the
// first byte of the table while it is being made, and the first byte of slot i
// by the process that owns the slot. What stands in a locked byte does not
// matter.
type Members struct {
	_         structs.HostLayout
	Magic     mem.Uint32 // stored last
	Version   uint32     // as in Header
	Slots     uint32
	Changes   eventCount // raised whenever a slot is claimed or retired
	Retired   mem.Uint64 // epochs that have ended
	Deaths    mem.Uint64 // of those, without leaving
	Repairs   mem.Uint64 // claims of the dead that survivors took back
	LostWakes mem.Uint64 // sleeps that timed out although there was something to do
	Lock      uint64
	_         [8]byte
}

// Bell is the futex word of a slot that the kernel rings.
//
//	0      4      8
//	+------+------+
//	| word | -    |
//	+------+------+
//
// Word is the owner's keeper thread id with FUTEX_WAITERS, then, when that
// thread has ended, FUTEX_OWNER_DIED (with FUTEX_WAITERS). 0 after an orderly end.
type Bell struct {
	_    structs.HostLayout
	Word mem.Uint32
	_    uint32
}

// Slot is a place for one member.
//
//	0       8     12     16      24      32       40     56    64
//	+-------+-----+------+-------+-------+--------+------+-----+
//	| claim | pid | role | pidns | start | joined | name | -   |
//	+-------+-----+------+-------+-------+--------+------+-----+
//
// Claim is the only word that counts; the others tell people who that is, and
// are written by the owner before Claim says active.
type Slot struct {
	_      structs.HostLayout
	Claim  mem.Uint64 // epoch<<32 | SlotFree or SlotActive
	PID    mem.Uint32 // in the owner's pid namespace
	Role   mem.Uint32 // of the structure's own choosing
	PIDNS  mem.Uint64 // inode of the owner's pid namespace
	Start  mem.Uint64 // start time of the process, field 22 of /proc/PID/stat
	Joined mem.Uint64 // nanoseconds since 1970
	Name   [2]mem.Uint64
	_      uint64
}

// States of a slot, the low half of its claim.
const (
	SlotFree   = 0
	SlotActive = 1
)

// Sizes in bytes.
const (
	MembersSize = 64
	BellSize    = 8
	SlotSize    = 64
)

const (
	_ = uint(unsafe.Sizeof(Members{})-MembersSize) + uint(MembersSize-unsafe.Sizeof(Members{}))
	_ = uint(unsafe.Offsetof(Members{}.Changes)-12) + uint(12-unsafe.Offsetof(Members{}.Changes))
	_ = uint(unsafe.Offsetof(Members{}.Retired)-16) + uint(16-unsafe.Offsetof(Members{}.Retired))
	_ = uint(unsafe.Offsetof(Members{}.LostWakes)-40) + uint(40-unsafe.Offsetof(Members{}.LostWakes))
	_ = uint(unsafe.Sizeof(Bell{})-BellSize) + uint(BellSize-unsafe.Sizeof(Bell{}))
	_ = uint(unsafe.Sizeof(Slot{})-SlotSize) + uint(SlotSize-unsafe.Sizeof(Slot{}))
	_ = uint(unsafe.Offsetof(Slot{}.PID)-8) + uint(8-unsafe.Offsetof(Slot{}.PID))
	_ = uint(unsafe.Offsetof(Slot{}.PIDNS)-16) + uint(16-unsafe.Offsetof(Slot{}.PIDNS))
	_ = uint(unsafe.Offsetof(Slot{}.Joined)-32) + uint(32-unsafe.Offsetof(Slot{}.Joined))
	_ = uint(unsafe.Offsetof(Slot{}.Name)-40) + uint(40-unsafe.Offsetof(Slot{}.Name))
)

// MembersFootprint is the size in bytes of a table of n slots.
func MembersFootprint(n int) int { return MembersSize + n*(BellSize+SlotSize) }

// BellOffset is where the bell of slot i stands in a table.
func BellOffset(i int) int { return MembersSize + i*BellSize }

// SlotOffset is where slot i stands in a table of n.
func SlotOffset(n, i int) int { return MembersSize + n*BellSize + i*SlotSize }

// Owner names the holder of a claim: a slot, and the epoch in which it held the
// slot. Whatever can be taken from shared memory is taken by writing an Owner
// into it. An Owner whose epoch is not its slot's has gone, and its claims are
// void, all at once.
//
//	63        32 31       16 15     8 7     0
//	+-----------+-----------+--------+-------+
//	| epoch     | slot+1    | -      | flags |    flags belong to the structure
//	+-----------+-----------+--------+-------+
//
// The zero Owner is nobody. An epoch repeats after 2^32 joins of one slot.
type Owner uint64

// OwnerFlags are the bits of an owner word that a structure uses for itself.
const OwnerFlags = 0xff

// MakeOwner returns the owner who holds the slot in the epoch.
func MakeOwner(slot int, epoch uint32) Owner {
	return Owner(uint64(epoch)<<32 | uint64(slot+1)<<16)
}

// OwnerOf returns the owner in a word, without the flags.
func OwnerOf(word uint64) Owner { return Owner(word &^ OwnerFlags) }

// Slot returns the slot number, -1 for nobody. It may be out of range in a
// damaged word.
func (o Owner) Slot() int { return int(uint64(o)>>16&0xffff) - 1 }

// Epoch returns the epoch.
func (o Owner) Epoch() uint32 { return uint32(uint64(o) >> 32) }

// SlotClaim is the claim word of a slot.
func SlotClaim(epoch uint32, state uint32) uint64 { return uint64(epoch)<<32 | uint64(state) }
