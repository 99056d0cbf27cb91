package layout

import (
	"structs"
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// Every structure of package pshared begins with these eight bytes. Magic is
// stored last when the structure is made.
//
//	0       4        8
//	+-------+--------+
//	| magic | config |
//	+-------+--------+
type Preamble struct {
	_      structs.HostLayout
	Magic  mem.Uint32
	Config uint32
}

// The magic numbers: four letters each.
const (
	MutexMagic     uint32 = 'M' | 'U'<<8 | 'T'<<16 | 'X'<<24
	RWMutexMagic   uint32 = 'R' | 'W'<<8 | 'M'<<16 | 'X'<<24
	CondMagic      uint32 = 'C' | 'O'<<8 | 'N'<<16 | 'D'<<24
	SemaphoreMagic uint32 = 'S' | 'E'<<8 | 'M'<<16 | 'A'<<24
	EventMagic     uint32 = 'E' | 'V'<<8 | 'N'<<16 | 'T'<<24
	BarrierMagic   uint32 = 'B' | 'A'<<8 | 'R'<<16 | 'R'<<24
	OnceMagic      uint32 = 'O' | 'N'<<8 | 'C'<<16 | 'E'<<24
)

// Flags of the owner word of a lock. They share its low half, on which waiters
// sleep.
const (
	LockWaiters        = 1 << 0 // somebody may sleep
	LockInconsistent   = 1 << 1 // an owner died in the middle; nobody has said since that all is well
	LockNotRecoverable = 1 << 2 // given back without a word: the data is lost
	LockDraining       = 1 << 3 // RWMutex: the writer still waits for readers to leave
)

// Mutex is pshared.Mutex.
//
//	0       4   8       16        64
//	+-------+---+-------+---------+
//	| magic | - | state | -       |     state: Owner | flags
//	+-------+---+-------+---------+
type Mutex struct {
	_ structs.HostLayout
	Preamble
	State mem.Uint64
	_     [48]byte
}

// RWMutex is pshared.RWMutex; a [Readers] for every member slot follows. Config
// is the number of slots.
//
//	0       4       8        16        20      128
//	+-------+-------+--------+---------+-------+
//	| magic | slots | writer | drained | -     |
//	+-------+-------+--------+---------+-------+
type RWMutex struct {
	_ structs.HostLayout
	Preamble
	Writer  mem.Uint64 // Owner | flags
	Drained eventCount // raised when a reader leaves while a writer waits
	_       [108]byte
}

// Readers is the number of read locks that the members of one slot hold, on
// lines of their own. The count is void if the epoch is not the slot's.
//
//	63      32 31     0
//	+---------+--------+
//	| epoch   | count  |
//	+---------+--------+
type Readers struct {
	_     structs.HostLayout
	Count mem.Uint64
	_     [Line - 8]byte
}

// Cond is pshared.Cond.
//
//	0       4   8         12      64
//	+-------+---+---------+-------+
//	| magic | - | signals | -     |     signals: sequence<<1 | somebody sleeps
//	+-------+---+---------+-------+
type Cond struct {
	_ structs.HostLayout
	Preamble
	Signals mem.Uint32
	_       [52]byte
}

// Semaphore is pshared.Semaphore. Config is the number of permits if dead
// holders' permits are taken back: then so many words of Owner follow, and Free
// is raised whenever one is given back. Else Config is 0, and Value counts.
//
//	0       4         8       12     16       64
//	+-------+---------+-------+------+--------+
//	| magic | permits | value | free | -      |     value: count<<1 | somebody sleeps
//	+-------+---------+-------+------+--------+
type Semaphore struct {
	_ structs.HostLayout
	Preamble
	Value mem.Uint32
	Free  eventCount
	_     [48]byte
}

// Event is pshared.Event. Config is 1 if it resets itself.
//
//	0       4      8       12       64
//	+-------+------+-------+--------+
//	| magic | auto | state | -      |     state: sequence<<2 | set<<1 | somebody sleeps
//	+-------+------+-------+--------+
type Event struct {
	_ structs.HostLayout
	Preamble
	State mem.Uint32
	_     [52]byte
}

// Barrier is pshared.Barrier. Config is the number of parties; a word for the
// place of each follows.
//
//	0       4         8       16            24           32      64
//	+-------+---------+-------+-------------+------------+-------+
//	| magic | parties | phase | deserted[0] | deserted[1]| -     |
//	+-------+---------+-------+-------------+------------+-------+
//
// Phase is number<<1 | somebody sleeps. Deserted has the number, counted from 1,
// of the last even and the last odd phase in which a party was found dead.
//
// A place is Owner | flags: 0 until a party has taken it. The Owner stays when
// the place has become vacant.
type Barrier struct {
	_ structs.HostLayout
	Preamble
	Phase    mem.Uint64
	Deserted [2]mem.Uint64
	_        [32]byte
}

// Flags of a barrier's place.
const (
	PlaceArrived = 1 << 0 // its party has arrived ...
	PlaceOdd     = 1 << 1 // ... in a phase of odd number
	PlaceVacant  = 1 << 2 // its party has died; it is not waited for
)

// Once is pshared.Once: state is 0, Owner | flags while somebody runs, or
// OnceDone.
//
//	0       4   8       16        64
//	+-------+---+-------+---------+
//	| magic | - | state | -       |
//	+-------+---+-------+---------+
type Once struct {
	_ structs.HostLayout
	Preamble
	State mem.Uint64
	_     [48]byte
}

// OnceDone is the state of a Once that has been run.
const OnceDone = 1 << 1

const (
	_ = uint(unsafe.Sizeof(Preamble{})-8) + uint(8-unsafe.Sizeof(Preamble{}))
	_ = uint(unsafe.Sizeof(Mutex{})-64) + uint(64-unsafe.Sizeof(Mutex{}))
	_ = uint(unsafe.Offsetof(Mutex{}.State)-8) + uint(8-unsafe.Offsetof(Mutex{}.State))
	_ = uint(unsafe.Sizeof(RWMutex{})-Line) + uint(Line-unsafe.Sizeof(RWMutex{}))
	_ = uint(unsafe.Offsetof(RWMutex{}.Writer)-8) + uint(8-unsafe.Offsetof(RWMutex{}.Writer))
	_ = uint(unsafe.Offsetof(RWMutex{}.Drained)-16) + uint(16-unsafe.Offsetof(RWMutex{}.Drained))
	_ = uint(unsafe.Sizeof(Readers{})-Line) + uint(Line-unsafe.Sizeof(Readers{}))
	_ = uint(unsafe.Sizeof(Cond{})-64) + uint(64-unsafe.Sizeof(Cond{}))
	_ = uint(unsafe.Offsetof(Cond{}.Signals)-8) + uint(8-unsafe.Offsetof(Cond{}.Signals))
	_ = uint(unsafe.Sizeof(Semaphore{})-64) + uint(64-unsafe.Sizeof(Semaphore{}))
	_ = uint(unsafe.Offsetof(Semaphore{}.Value)-8) + uint(8-unsafe.Offsetof(Semaphore{}.Value))
	_ = uint(unsafe.Offsetof(Semaphore{}.Free)-12) + uint(12-unsafe.Offsetof(Semaphore{}.Free))
	_ = uint(unsafe.Sizeof(Event{})-64) + uint(64-unsafe.Sizeof(Event{}))
	_ = uint(unsafe.Offsetof(Event{}.State)-8) + uint(8-unsafe.Offsetof(Event{}.State))
	_ = uint(unsafe.Sizeof(Barrier{})-64) + uint(64-unsafe.Sizeof(Barrier{}))
	_ = uint(unsafe.Offsetof(Barrier{}.Deserted)-16) + uint(16-unsafe.Offsetof(Barrier{}.Deserted))
	_ = uint(unsafe.Sizeof(Once{})-64) + uint(64-unsafe.Sizeof(Once{}))
	_ = uint(unsafe.Offsetof(Once{}.State)-8) + uint(8-unsafe.Offsetof(Once{}.State))
)
