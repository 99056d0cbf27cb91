package lane

import (
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// bytesOf is aligned memory of the Go heap; unsafe because make([]byte) promises
// no alignment.
func bytesOf(words []mem.Uint64) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), len(words)*8)
}

func addressOf(p []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(p))) }
