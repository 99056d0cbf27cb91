package layout

import (
	"structs"
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// Queue is the body of a queue object. A row for every member slot, the marks, and
// the slots for messages follow, each from a multiple of Line on.
//
//	0       8        16                  128       256       384                      512
//	+-------+--------+-------------------+---------+---------+------------------------+
//	| slots | stride | -                 | tail  - | head  - | skips | returned | -   |
//	+-------+--------+-------------------+---------+---------+------------------------+
//	512               640                       768                1280
//	+-----------------+-------------------------+------------------+------ … -+-- … --+------ … --+
//	| items | -       | space | full | high | - | latency          | rows      | marks  | slots     |
//	+-----------------+-------------------------+------------------+------ … -+-- … --+------ … --+
//
// Positions count the messages, and never wrap; they begin at the number of slots.
// The message of position p stands in slot p modulo the number of slots. Tail is where
// the next one goes; there is nothing left to be found in order below head. Both are
// raised after the states of the slots, which are what counts: they may lag behind.
//
// Skips counts the times that the head went past positions at which no message had been
// seen. Returned is sequence<<1 | some: some is set if any slot is marked.
//
// Full is sequence<<2 | all<<1 | looking: all says that every slot was seen in use, and
// none has been given back since; looking that somebody is about to see.
type Queue struct {
	_         structs.HostLayout
	Slots     uint64 // a power of two
	Stride    uint64 // bytes from slot to slot: a multiple of Line
	_         [Line - 16]byte
	Tail      mem.Uint64
	_         [Line - 8]byte
	Head      mem.Uint64
	_         [Line - 8]byte
	Skips     mem.Uint64
	Returned  mem.Uint64
	_         [Line - 16]byte
	Items     eventCount // raised when there is a message and a consumer sleeps
	_         [Line - 4]byte
	Space     eventCount // raised when there is a free slot and a producer sleeps
	Full      mem.Uint32
	HighWater mem.Uint64 // most slots that were seen in use
	_         [Line - 16]byte
	Latency   Latency
}

// QueueSlot is the place of one message; its bytes follow.
//
//	0       8          16         20           24      32
//	+-------+----------+----------+------------+-------+---------- … -+
//	| state | position | length   | deliveries | stamp | message      |
//	+-------+----------+----------+------------+-------+---------- … -+
//
//	state  63                    8 7     4  3       2        1   0
//	      +-----------------------+-------+---------+--------+-----+
//	      | position, or Owner    | -     | stamped | marked | kind|
//	      +-----------------------+-------+---------+--------+-----+
//
// The words beside State belong to whoever owns the slot, and to nobody else; they do
// not change while it is ready.
type QueueSlot struct {
	_        structs.HostLayout
	State    mem.Uint64
	Position mem.Uint64 // of the message that is, or was last, in the slot
	Meta     mem.Uint64 // deliveries<<32 | length in bytes; a delivery counts when it begins
	Stamp    mem.Uint64 // nanoseconds since 1970: when sent, if the state says so; while taken, since when
}

// Kinds of a slot's state, and its flags.
//
//	free      position<<8 | kind             may be claimed for that position and later ones
//	claimed   Owner | passed | kind          a producer fills it
//	ready     position<<8 | flags | kind     a message
//	taken     Owner | returning | kind       a consumer has it
const (
	QueueFree    = 0
	QueueClaimed = 1
	QueueReady   = 2
	QueueTaken   = 3
	QueueKind    = 3 // mask

	QueueMarked  = 1 << 2 // ready: its bit is set in the marks; it may stand before the head
	QueueStamped = 1 << 3 // ready: its stamp says when it was sent

	QueuePassed    = 1 << 2 // claimed: the head has passed it, or may have; it will be ready and marked
	QueueReturning = 1 << 2 // taken: it is being given back

	QueuePosition = 8 // shift
)

// QueueRow has the counters of one member slot, on a line of its own.
//
//	0      8       16      24       32            40                        128
//	+------+-------+-------+--------+-------------+------------------- … ---+
//	| sent | bytes | acked | nacked | redelivered | full blocked ...        |
//	+------+-------+-------+--------+-------------+------------------- … ---+
type QueueRow struct {
	_              structs.HostLayout
	Sent           mem.Uint64
	SentBytes      mem.Uint64 // of messages that have a length of their own
	Acked          mem.Uint64
	Nacked         mem.Uint64
	Redelivered    mem.Uint64 // deliveries that were not the message's first
	Full           mem.Uint64 // times that there was no free slot
	SendBlocked    mem.Uint64 // nanoseconds spent waiting for one
	ReceiveBlocked mem.Uint64 // nanoseconds spent asleep, waiting for a message
	Wakes          mem.Uint64 // times that somebody who sleeps was woken
	LostWakes      mem.Uint64 // sleeps that ended by time although there was something to do
	Returned       mem.Uint64 // messages taken back from members that died in this slot
	Freed          mem.Uint64 // claims taken back from them
	LastSent       mem.Uint64 // nanoseconds since 1970
	LastReceived   mem.Uint64
	_              [2]uint64
}

// Sizes in bytes.
const (
	QueueSize     = 10 * Line
	QueueRowSize  = Line
	QueueSlotSize = 32
)

// QueueMarks is how many words of marks n slots have: bit i%64 of word i/64 is that of
// slot i.
func QueueMarks(n int) int { return (n + 63) / 64 }

// QueueMarksOffset is where the marks stand in the body, after the rows of m members.
func QueueMarksOffset(m int) int { return QueueSize + m*QueueRowSize }

// QueueSlotsOffset is where slot 0 stands in the body, for m members and n slots.
func QueueSlotsOffset(m, n int) int {
	return (QueueMarksOffset(m) + 8*QueueMarks(n) + Line - 1) &^ (Line - 1)
}

const (
	_ = uint(unsafe.Sizeof(Queue{})-QueueSize) + uint(QueueSize-unsafe.Sizeof(Queue{}))
	_ = uint(unsafe.Offsetof(Queue{}.Tail)-Line) + uint(Line-unsafe.Offsetof(Queue{}.Tail))
	_ = uint(unsafe.Offsetof(Queue{}.Head)-2*Line) + uint(2*Line-unsafe.Offsetof(Queue{}.Head))
	_ = uint(unsafe.Offsetof(Queue{}.Skips)-3*Line) + uint(3*Line-unsafe.Offsetof(Queue{}.Skips))
	_ = uint(unsafe.Offsetof(Queue{}.Returned)-3*Line-8) + uint(3*Line+8-unsafe.Offsetof(Queue{}.Returned))
	_ = uint(unsafe.Offsetof(Queue{}.Items)-4*Line) + uint(4*Line-unsafe.Offsetof(Queue{}.Items))
	_ = uint(unsafe.Offsetof(Queue{}.Space)-5*Line) + uint(5*Line-unsafe.Offsetof(Queue{}.Space))
	_ = uint(unsafe.Offsetof(Queue{}.Full)-5*Line-4) + uint(5*Line+4-unsafe.Offsetof(Queue{}.Full))
	_ = uint(unsafe.Offsetof(Queue{}.HighWater)-5*Line-8) + uint(5*Line+8-unsafe.Offsetof(Queue{}.HighWater))
	_ = uint(unsafe.Offsetof(Queue{}.Latency)-6*Line) + uint(6*Line-unsafe.Offsetof(Queue{}.Latency))
	_ = uint(unsafe.Sizeof(QueueSlot{})-QueueSlotSize) + uint(QueueSlotSize-unsafe.Sizeof(QueueSlot{}))
	_ = uint(unsafe.Offsetof(QueueSlot{}.Position)-8) + uint(8-unsafe.Offsetof(QueueSlot{}.Position))
	_ = uint(unsafe.Offsetof(QueueSlot{}.Meta)-16) + uint(16-unsafe.Offsetof(QueueSlot{}.Meta))
	_ = uint(unsafe.Offsetof(QueueSlot{}.Stamp)-24) + uint(24-unsafe.Offsetof(QueueSlot{}.Stamp))
	_ = uint(unsafe.Sizeof(QueueRow{})-QueueRowSize) + uint(QueueRowSize-unsafe.Sizeof(QueueRow{}))
	_ = uint(unsafe.Offsetof(QueueRow{}.Full)-40) + uint(40-unsafe.Offsetof(QueueRow{}.Full))
	_ = uint(unsafe.Offsetof(QueueRow{}.LastReceived)-104) + uint(104-unsafe.Offsetof(QueueRow{}.LastReceived))
)
