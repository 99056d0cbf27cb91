package mem

import (
	"fmt"
	"unsafe"
)

// Strided is a row of T, each at the same distance from the one before, with bytes of
// something else in between. Its memory must stay mapped.
type Strided[T any] struct {
	first  unsafe.Pointer
	stride uintptr
	n      int
}

// StridedAt returns the n of them that begin at offset of b; see [At]. Each has room for
// stride bytes, all in b.
func StridedAt[T any](b []byte, offset, stride, n int) (s Strided[T], err error) {
	size, align := int(unsafe.Sizeof(*new(T))), int(unsafe.Alignof(*new(T)))
	if stride < size || stride%align != 0 {
		return s, fmt.Errorf("%d bytes from one to the next, each has %d and stands at a multiple of %d", stride, size, align)
	}
	if n < 1 || offset < 0 || offset > len(b) || n > (len(b)-offset)/stride {
		return s, fmt.Errorf("%d times %d bytes at offset %d lie outside of %d", n, stride, offset, len(b))
	}
	first, err := At[T](b, offset)
	if err != nil {
		return s, err
	}
	return Strided[T]{unsafe.Pointer(first), uintptr(stride), n}, nil
}

// Len returns how many there are.
func (s Strided[T]) Len() int { return s.n }

// At returns one of them.
// Preconditions: 0 <= i < s.Len(), which is not checked.
func (s Strided[T]) At(i int) *T { return (*T)(unsafe.Add(s.first, uintptr(i)*s.stride)) }
