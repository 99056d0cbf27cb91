package port

import (
	"fmt"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

// Payload turns values of T into the bytes of a record and back. T is []byte, for
// records of any bytes, or a type without pointers, which lies in the record as it
// is in memory.
type Payload[T any] struct {
	// Length is how many bytes every record has; -1 if each has its own.
	Length int

	untyped bool // T is []byte
}

// PayloadOf returns that of an object whose records are of typ. If T is []byte that
// may be any type: then the bytes are those of its values.
func PayloadOf[T any](typ *schema.Schema) (p Payload[T], err error) {
	own, err := schema.Of[T]()
	if err != nil {
		return p, err
	}
	p = Payload[T]{Length: -1, untyped: own.Untyped()}
	if !typ.Untyped() {
		p.Length = typ.Size()
	}
	return p, nil
}

// Untyped reports whether T is []byte.
func (p Payload[T]) Untyped() bool { return p.untyped }

// Bytes returns the bytes of a value, in place.
func (p Payload[T]) Bytes(v *T) []byte {
	if p.untyped {
		return *mem.SliceIn(v)
	}
	return mem.BytesOf(v)
}

// Size is how many bytes all values have, which then lie one behind the other in a slice
// of them; 0 if each has its own, or none.
func (p Payload[T]) Size() int {
	if p.untyped {
		return 0
	}
	return p.Length
}

// All returns the bytes of several values, in place.
// Preconditions: T is not []byte.
func (p Payload[T]) All(vs []T) []byte { return mem.ValuesOf(vs) }

// Check reports bytes that are none of a value, at a position of the object.
func (p Payload[T]) Check(b []byte, pos uint64) error {
	if p.Length >= 0 && len(b) != p.Length {
		return p.wrong(len(b), pos)
	}
	return nil
}

func (p Payload[T]) wrong(n int, pos uint64) error {
	return fmt.Errorf("record of %d bytes at position %d, want %d: %w", n, pos, p.Length, shm.ErrCorrupt)
}

// Copy sets *v to a copy of the value in b, which has been checked.
func (p Payload[T]) Copy(v *T, b []byte) {
	if p.untyped {
		*mem.SliceIn(v) = mem.Clone(b)
		return
	}
	mem.Move(mem.BytesOf(v), b)
}

// InPlace returns the value in b, which has been checked. If T is []byte it is in
// *room that the slice is put.
func (p Payload[T]) InPlace(b []byte, room *T) *T {
	if p.untyped {
		*mem.SliceIn(room) = b
		return room
	}
	return mem.ValueIn[T](b)
}
