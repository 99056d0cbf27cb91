package layout

import (
	"structs"
	"unsafe"
)

// Ring is the body of a ring object; the lane's data follows at RingSize of it.
//
//	0       8                   128         768        896       1408      1536
//	+-------+-------------------+-----------+----------+---------+---------+--- …
//	| size  | -                 | lane      | cursor   | latency | -       | data
//	+-------+-------------------+-----------+----------+---------+---------+--- …
type Ring struct {
	_       structs.HostLayout
	Size    uint64 // bytes of data: a power of two
	_       [Line - 8]byte
	Lane    Lane
	Cursor  Cursor
	Latency Latency // of the reader
	_       [Line]byte
}

// RingSize is the size of a Ring, and the offset of its data; RingLane is the
// offset of its Lane.
const (
	RingSize = 12 * Line
	RingLane = Line
)

const (
	_ = uint(unsafe.Sizeof(Ring{})-RingSize) + uint(RingSize-unsafe.Sizeof(Ring{}))
	_ = uint(unsafe.Offsetof(Ring{}.Lane)-RingLane) + uint(RingLane-unsafe.Offsetof(Ring{}.Lane))
	_ = uint(unsafe.Offsetof(Ring{}.Cursor)-6*Line) + uint(6*Line-unsafe.Offsetof(Ring{}.Cursor))
	_ = uint(unsafe.Offsetof(Ring{}.Latency)-7*Line) + uint(7*Line-unsafe.Offsetof(Ring{}.Latency))
)
