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
//	header  63      62    61      60      32 31        0
//	       +-------+-----+-------+----------+-----------+
//	       | there | pad | stamp | -        | length    |
//	       +-------+-----+-------+----------+-----------+
//
// A header of 0 is the end: nothing has been committed there. The writer clears
// the header behind a record before it stores the header of the record, which is
// the commit. So a reader that waits polls the very word that comes with the data,
// and a writer that takes over from a dead one finds the end by walking.
//
// A record lies in one piece. What is left before the end of the lane is a pad: a
// header whose length is that of the rest. Several records can be committed by one
// store: then the header of the first one is stored last.
//
// Now and then a record has a stamp: 8 more bytes behind its padded payload, the
// time at which it was written in nanoseconds since 1970, from which readers learn
// how long records take. 0 is no time.
const (
	RecordThere  uint64 = 1 << 63
	RecordPad    uint64 = 1 << 62
	RecordStamp  uint64 = 1 << 61
	RecordLength uint64 = 1<<32 - 1
)

// Sizes of a record's header and of its stamp in bytes.
const (
	RecordHeader    = 8
	RecordStampSize = 8
)

// RecordSize is the distance from a record of n bytes to the next, or to its stamp.
func RecordSize(n uint64) uint64 { return (RecordHeader + n + 7) &^ 7 }

// Lane is the control block of a lane. The first line, and the marks, belong to
// the writer.
//
//	  0       8       16       24                                        128
//	  +-------+-------+--------+---------- counters ---------------------+
//	  | owner | claim | marked | messages bytes full blocked wakes ...   |
//	  +-------+-------+--------+-----------------------------------------+
//	128  +----------+--------+----------+--- … ---+  16 marks
//	     | position | number | position |         |
//	     +----------+--------+----------+--- … ---+
//	384  +------+-------+
//	     | data | hurry |
//	     +------+-------+
//	512  +-------+
//	     | space |
//	     +-------+
//
// Data is raised when something was committed and a reader sleeps, space when
// something was released and the writer sleeps. While hurry is 1 a writer may store
// a commit and look at data without a fence in between: the reader makes one for it,
// membarrier(2), before it sleeps.
//
// Marks say where records begin, and the numbers they have, counted from 0: mark k
// stands at k modulo 16. The last is number Marked; the one behind it is being
// written, so 15 can be read. All below a mark is committed; the end is found by
// walking from the last one. Marks are about an eighth of the lane apart, so they
// reach back over all of it. A lane of zeros has mark 0, at position 0.
//
// Whatever lies below claim minus the size may have been overwritten. The last mark
// never lies there.
type Lane struct {
	_         structs.HostLayout
	Owner     mem.Uint64
	Claim     mem.Uint64
	Marked    mem.Uint64
	Messages  mem.Uint64
	Bytes     mem.Uint64 // of payload
	Full      mem.Uint64 // times that there was no room
	Blocked   mem.Uint64 // nanoseconds that the writer waited for room
	HighWater mem.Uint64 // most bytes that were in the lane
	Wakes     mem.Uint64 // times that sleeping readers were woken
	LostWakes mem.Uint64 // sleeps of the writer that ended by time although there was room
	Repairs   mem.Uint64 // times that it was taken over from a dead writer
	Active    mem.Uint64 // a time shortly before or after the last message, nanoseconds since 1970
	_         [4]uint64
	Marks     [Marks]Mark
	Data      eventCount
	Hurry     mem.Uint32 // the reader's
	_         [Line - 8]byte
	Space     eventCount
	_         [Line - 4]byte
}

// Mark is where a record begins, or the end, and how many records lie before it.
type Mark struct {
	_        structs.HostLayout
	Position mem.Uint64
	Number   mem.Uint64
}

// Marks is how many marks a lane has.
const Marks = 16

// Cursor is where a reader is, on a line of its own.
//
//	0       8          16      24                                     128
//	+-------+----------+-------+---------- counters -----------------+
//	| owner | position | flags | messages bytes missed blocked ...   |
//	+-------+----------+-------+-------------------------------------+
type Cursor struct {
	_         structs.HostLayout
	Owner     mem.Uint64
	Position  mem.Uint64 // all below has been released
	Flags     mem.Uint64 // of the structure's own
	Messages  mem.Uint64
	Bytes     mem.Uint64 // of payload
	Missed    mem.Uint64 // messages that were overwritten before they were read
	Lapped    mem.Uint64 // times that this happened
	Blocked   mem.Uint64 // nanoseconds that the reader waited asleep
	Wakes     mem.Uint64 // times that a sleeping writer was woken
	LostWakes mem.Uint64 // sleeps of the reader that ended by time although there was something
	Repairs   mem.Uint64 // times that it was taken over from a dead reader
	Active    mem.Uint64 // a time shortly before or after the last message, nanoseconds since 1970
	_         [4]uint64
}

// Latency counts how long records took from being written to being read, as the
// stamps have it, in buckets that grow with the time: four for each power of two.
//
//	bucket 4*i + j:  from (4+j) * 2^(i+3) nanoseconds; the first takes what is less
//	                 than 32 ns, too, the last all from 120 s
type Latency struct {
	_       structs.HostLayout
	Buckets [LatencyBuckets]mem.Uint32
}

// LatencyBuckets is how many buckets a Latency has.
const LatencyBuckets = 128

// Sizes in bytes.
const (
	LaneSize    = 5 * Line
	CursorSize  = Line
	LatencySize = 4 * LatencyBuckets
)

const (
	_ = uint(unsafe.Sizeof(Lane{})-LaneSize) + uint(LaneSize-unsafe.Sizeof(Lane{}))
	_ = uint(unsafe.Offsetof(Lane{}.Active)-88) + uint(88-unsafe.Offsetof(Lane{}.Active))
	_ = uint(unsafe.Offsetof(Lane{}.Marks)-Line) + uint(Line-unsafe.Offsetof(Lane{}.Marks))
	_ = uint(unsafe.Offsetof(Lane{}.Data)-3*Line) + uint(3*Line-unsafe.Offsetof(Lane{}.Data))
	_ = uint(unsafe.Offsetof(Lane{}.Hurry)-3*Line-4) + uint(3*Line+4-unsafe.Offsetof(Lane{}.Hurry))
	_ = uint(unsafe.Offsetof(Lane{}.Space)-4*Line) + uint(4*Line-unsafe.Offsetof(Lane{}.Space))
	_ = uint(unsafe.Sizeof(Mark{})-16) + uint(16-unsafe.Sizeof(Mark{}))
	_ = uint(unsafe.Sizeof(Cursor{})-CursorSize) + uint(CursorSize-unsafe.Sizeof(Cursor{}))
	_ = uint(unsafe.Offsetof(Cursor{}.Active)-88) + uint(88-unsafe.Offsetof(Cursor{}.Active))
	_ = uint(unsafe.Sizeof(Latency{})-LatencySize) + uint(LatencySize-unsafe.Sizeof(Latency{}))
)
