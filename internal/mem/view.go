package mem

import (
	"fmt"
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/crash"
)

// View is a power of two of bytes, addressed by positions that count up for ever:
// position p stands at p modulo the size. What the methods give out is valid as
// long as the memory is mapped; nothing else is checked per call, so the cost is
// that of the access.
//
// A View is made over a mapping or, so that the race detector sees it, over the
// Go heap.
type View struct {
	base unsafe.Pointer
	mask uint64
}

// NewView returns the view of n bytes at offset of b. n is a power of two of at
// least 8; offset is a multiple of 8 and all of it lies in b.
func NewView(b []byte, offset int, n uint64) (View, error) {
	if n < 8 || n&(n-1) != 0 {
		return View{}, fmt.Errorf("%d bytes are no power of two", n)
	}
	if offset < 0 || uint64(len(b)) < n || uint64(offset) > uint64(len(b))-n {
		return View{}, fmt.Errorf("%d bytes at offset %d lie outside of %d", n, offset, len(b))
	}
	base := unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), offset)
	if uintptr(base)%8 != 0 {
		return View{}, fmt.Errorf("offset %d is not a multiple of 8", offset)
	}
	return View{base, n - 1}, nil
}

// Size returns the number of bytes.
func (v View) Size() uint64 { return v.mask + 1 }

// Offset returns where a position stands.
func (v View) Offset(pos uint64) uint64 { return pos & v.mask }

// Word returns the word at a position.
// Preconditions: pos is a multiple of 8.
func (v View) Word(pos uint64) *Uint64 { return (*Uint64)(unsafe.Add(v.base, pos&v.mask)) }

// Bytes returns the n bytes at a position, with no spare capacity.
// Preconditions: they do not reach over the end.
func (v View) Bytes(pos, n uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(v.base, pos&v.mask)), n)
}

// Put stores x at a position, as plain memory: other processes see it at some
// time, but not later than the next atomic store. It is followed by a kill point.
// Preconditions: pos is a multiple of 8.
func (v View) Put(pos, x uint64) {
	*(*uint64)(unsafe.Add(v.base, pos&v.mask)) = x
	crash.Point()
}

// Copy copies p to a position, as plain memory; see Put.
// Preconditions: it does not reach over the end, and is not longer than Long.
func (v View) Copy(pos uint64, p []byte) {
	if len(p) <= Short {
		copyWords(unsafe.Add(v.base, pos&v.mask), unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p)))
	} else {
		copy(v.Bytes(pos, uint64(len(p))), p)
	}
	crash.Point()
}

// Copy copies p to dst, which lies in shared memory, as plain memory; see
// [View.Put]. Both have the same length.
func Copy(dst, p []byte) {
	Move(dst, p)
	crash.Point()
}
