package layout

import (
	"structs"
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// A lane is a log of records that one writer appends to and any number of readers
// follow, in a power of two of bytes. Positions count its bytes and never wrap;
// position p stands at p modulo the size.
//
//	position, a multiple of 8
//	0        8                                    8+length, padded to 8
//	+--------+------------------------------------+--------+--- …
//	| header | payload                            | header |
//	+--------+------------------------------------+--------+--- …
//
//	header  63      62    61      32 31        0
//	       +-------+-----+----------+-----------+
//	       | there | pad | -        | length    |
//	       +-------+-----+----------+-----------+
//
// A header of 0 is the end: nothing has been committed there. The writer clears
// the header behind a record before it stores the header of the record, which is
// the commit. So a reader that waits polls the very word that comes with the data,
// and a writer that takes over from a dead one finds the end by walking.
//
// A record lies in one piece. What is left before the end of the lane is a pad: a
// header whose length is that of the rest. Several records can be committed by one
// store: then the header of the first one is stored last.
const (
	RecordThere  uint64 = 1 << 63
	RecordPad    uint64 = 1 << 62
	RecordLength uint64 = 1<<32 - 1
)

// RecordHeader is the size of a header in bytes.
const RecordHeader = 8

// RecordSize is the distance from a record of n bytes to the next.
func RecordSize(n uint64) uint64 { return (RecordHeader + n + 7) &^ 7 }

// Lane is the control block of a lane. The first line belongs to the writer.
//
//	  0       8      16      24                                          128
//	  +-------+------+-------+---------- counters ----------------------+
//	  | owner | tail | claim | messages bytes full blocked wakes ...    |
//	  +-------+------+-------+------------------------------------------+
//	128  +------+ data: raised when something was committed and a reader sleeps
//	256  +------+ space: raised when something was released and the writer sleeps
//
// Tail is a position up to which all is committed; the true end is found by
// walking from there. Whatever lies below claim minus the size may have been
// overwritten: a reader that nobody waits for looks at it after it has copied.
type Lane struct {
	_         structs.HostLayout
	Owner     mem.Uint64
	Tail      mem.Uint64
	Claim     mem.Uint64
	Messages  mem.Uint64
	Bytes     mem.Uint64 // of payload
	Full      mem.Uint64 // times that there was no room
	Blocked   mem.Uint64 // nanoseconds that the writer waited for room
	HighWater mem.Uint64 // most bytes that were in the lane
	Active    mem.Uint64 // last message, nanoseconds since 1970
	_         [7]uint64
	Data      eventCount
	_         [Line - 4]byte
	Space     eventCount
	_         [Line - 4]byte
}

// Cursor is where a reader is, on a line of its own.
//
//	0       8          16      24                                     128
//	+-------+----------+-------+---------- counters -----------------+
//	| owner | position | flags | messages bytes missed blocked ...   |
//	+-------+----------+-------+-------------------------------------+
type Cursor struct {
	_        structs.HostLayout
	Owner    mem.Uint64
	Position mem.Uint64 // all below has been released
	Flags    mem.Uint64
	Messages mem.Uint64
	Bytes    mem.Uint64 // of payload
	Missed   mem.Uint64 // messages that were overwritten before they were read
	Blocked  mem.Uint64 // nanoseconds that the reader waited
	Active   mem.Uint64 // last message, nanoseconds since 1970
	_        [8]uint64
}

// Sizes in bytes.
const (
	LaneSize   = 3 * Line
	CursorSize = Line
)

const (
	_ = uint(unsafe.Sizeof(Lane{})-LaneSize) + uint(LaneSize-unsafe.Sizeof(Lane{}))
	_ = uint(unsafe.Offsetof(Lane{}.Data)-Line) + uint(Line-unsafe.Offsetof(Lane{}.Data))
	_ = uint(unsafe.Offsetof(Lane{}.Space)-2*Line) + uint(2*Line-unsafe.Offsetof(Lane{}.Space))
	_ = uint(unsafe.Sizeof(Cursor{})-CursorSize) + uint(CursorSize-unsafe.Sizeof(Cursor{}))
)
