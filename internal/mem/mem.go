// Package mem is the only place where pointers into shared memory are computed,
// and the only way to store to it.
package mem

import (
	"fmt"
	"unsafe"
)

// Offset returns how far addr lies behind the first byte of b, and whether it
// lies within b at all (up to its capacity). Cost: two comparisons.
func Offset(b []byte, addr uintptr) (offset int, inside bool) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	if addr < start || addr-start >= uintptr(cap(b)) {
		return 0, false
	}
	return int(addr - start), true
}

// At returns the T that lies at offset of b. T holds no Go pointers. The error
// says which bounds or alignment the offset breaks: shared content may lead
// here, so it is no panic. The result is valid as long as b's memory is mapped.
func At[T any](b []byte, offset int) (*T, error) {
	size, align := unsafe.Sizeof(*new(T)), unsafe.Alignof(*new(T))
	if offset < 0 || uintptr(len(b)) < size || uintptr(offset) > uintptr(len(b))-size {
		return nil, fmt.Errorf("%d bytes at offset %d lie outside of %d", size, offset, len(b))
	}
	p := unsafe.Add(unsafe.Pointer(unsafe.SliceData(b)), offset)
	if uintptr(p)%align != 0 {
		return nil, fmt.Errorf("offset %d is not a multiple of %d", offset, align)
	}
	return (*T)(p), nil
}

// Array returns the n consecutive T that begin at offset of b; see [At].
func Array[T any](b []byte, offset, n int) ([]T, error) {
	size := int(unsafe.Sizeof(*new(T)))
	if n < 0 || n > len(b)/max(size, 1) {
		return nil, fmt.Errorf("%d times %d bytes at offset %d lie outside of %d", n, size, offset, len(b))
	}
	if n == 0 {
		return nil, nil
	}
	if offset < 0 || offset > len(b)-n*size {
		return nil, fmt.Errorf("%d times %d bytes at offset %d lie outside of %d", n, size, offset, len(b))
	}
	first, err := At[T](b, offset)
	if err != nil {
		return nil, err
	}
	return unsafe.Slice(first, n), nil
}

// Low returns the low half of a 64-bit word as a word of its own, for the
// kernel to wait on: futexes have 32 bits. Shared structures are little-endian,
// as both of our architectures are.
func Low(w *Uint64) *Uint32 { return (*Uint32)(unsafe.Pointer(w)) }

// Pointer returns the word's address for a system call.
func (w *Uint32) Pointer() unsafe.Pointer { return unsafe.Pointer(w) }

const (
	_ = uint(unsafe.Sizeof(Uint32{}) - 4)
	_ = uint(4 - unsafe.Sizeof(Uint32{}))
	_ = uint(unsafe.Sizeof(Uint64{}) - 8)
	_ = uint(8 - unsafe.Sizeof(Uint64{}))
)
