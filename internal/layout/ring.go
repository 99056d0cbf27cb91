package layout

import (
	"structs"
	"unsafe"
)

// Ring is the body of a ring object; the lane's data follows at DataOffset of it.
//
//	0       8                   128         512        640        1024
//	+-------+-------------------+-----------+----------+----------+--- …
//	| size  | -                 | lane      | cursor   | -        | data
//	+-------+-------------------+-----------+----------+----------+--- …
type Ring struct {
	_      structs.HostLayout
	Size   uint64 // bytes of data: a power of two
	_      [Line - 8]byte
	Lane   Lane
	Cursor Cursor
	_      [3 * Line]byte
}

// RingSize is the size of a Ring, and the offset of its data; RingLane is the
// offset of its Lane.
const (
	RingSize = 8 * Line
	RingLane = Line
)

const (
	_ = uint(unsafe.Sizeof(Ring{})-RingSize) + uint(RingSize-unsafe.Sizeof(Ring{}))
	_ = uint(unsafe.Offsetof(Ring{}.Lane)-RingLane) + uint(RingLane-unsafe.Offsetof(Ring{}.Lane))
	_ = uint(unsafe.Offsetof(Ring{}.Cursor)-4*Line) + uint(4*Line-unsafe.Offsetof(Ring{}.Cursor))
)
