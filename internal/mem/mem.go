// Package mem is the only place where pointers into shared memory are computed.
package mem

import "unsafe"

// Offset returns how far addr lies behind the first byte of b, and whether it
// lies within b at all (up to its capacity). Cost: two comparisons.
func Offset(b []byte, addr uintptr) (offset int, inside bool) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	if addr < start || addr-start >= uintptr(cap(b)) {
		return 0, false
	}
	return int(addr - start), true
}
