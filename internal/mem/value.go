package mem

import "unsafe"

// BytesOf returns the memory of *v. T holds no pointers (package schema).
func BytesOf[T any](v *T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v))
}

// ValueIn returns the T that lies at the start of b, in place.
// Preconditions: b is as large as a T, and aligned for it; T holds no pointers.
func ValueIn[T any](b []byte) *T { return (*T)(unsafe.Pointer(unsafe.SliceData(b))) }

// SliceIn returns *v as the slice that it is.
// Preconditions: T is []byte.
func SliceIn[T any](v *T) *[]byte { return (*[]byte)(unsafe.Pointer(v)) }

// ValuesOf returns the memory of all of vs. T holds no pointers.
func ValuesOf[T any](vs []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(vs))), uintptr(len(vs))*unsafe.Sizeof(*new(T)))
}

// SlicesIn returns vs as the slices that they are.
// Preconditions: T is []byte.
func SlicesIn[T any](vs []T) [][]byte {
	return unsafe.Slice((*[]byte)(unsafe.Pointer(unsafe.SliceData(vs))), len(vs))
}
