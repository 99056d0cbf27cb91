package ring

import (
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/schema"
)

// batch is n values as bytes: one behind the other, each of the same size, or, if
// size is negative, each a slice of its own.
type batch struct {
	n      int
	size   int
	values []byte
	slices [][]byte
}

// batchOf returns vs in place.
func batchOf[T any](untyped bool, vs []T) batch {
	if untyped {
		return batch{n: len(vs), size: -1, slices: mem.SlicesIn(vs)}
	}
	return batch{n: len(vs), size: len(mem.BytesOf(new(T))), values: mem.ValuesOf(vs)}
}

// at returns the bytes of value i.
func (b *batch) at(i int) []byte {
	if b.size < 0 {
		return b.slices[i]
	}
	return b.values[i*b.size:][:b.size]
}

// put sets value i to a copy of p, whose length is right.
func (b *batch) put(i int, p []byte) {
	if b.size < 0 {
		b.slices[i] = mem.Clone(p)
		return
	}
	mem.Move(b.at(i), p)
}

// bytesOf returns the bytes of a value, in place.
func bytesOf[T any](untyped bool, v *T) []byte {
	if untyped {
		return *mem.SliceIn(v)
	}
	return mem.BytesOf(v)
}

// inPlace returns the value in p. A slice is put in *room.
func inPlace[T any](untyped bool, p []byte, room *T) *T {
	if untyped {
		*mem.SliceIn(room) = p
		return room
	}
	return mem.ValueIn[T](p)
}

// untyped reports whether T is []byte.
func untyped[T any]() (bool, error) {
	typ, err := schema.Of[T]()
	return err == nil && typ.Untyped(), err
}
