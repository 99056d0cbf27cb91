package schema_test

import "unsafe"

// memory returns the bytes of *v. Unsafe, because these bytes, as the compiler lays them out, are what the package claims
// to know.
func memory[T any](v *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(v)), unsafe.Sizeof(*v)) }

// memoryAt returns the n bytes at p, which comes from reflect.Value.UnsafePointer.
func memoryAt(p unsafe.Pointer, n uintptr) []byte { return unsafe.Slice((*byte)(p), n) }
