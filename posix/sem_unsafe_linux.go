//go:build linux && (amd64 || arm64)

package posix

import (
	"structs"
	"unsafe" // unsafe.Sizeof and Offsetof alone, to assert the format at compile time

	"github.com/seed-247006a4/shoal/internal/mem"
)

// semWords is a sem_t of glibc on 64-bit machines (struct new_sem), and all that
// the file of a named one holds.
//
//	0        4         8         12    16           32
//	+--------+---------+---------+-----+------------+
//	| value  | waiters | private | pad | unused     |
//	+--------+---------+---------+-----+------------+
//
// value and waiters are one word for the processor; value is the futex. private
// is semShared or, in a semaphore for one process, 0. A named semaphore has zeros
// in the rest; sem_init leaves there what it finds.
type semWords struct {
	_       structs.HostLayout
	data    mem.Uint64
	private mem.Uint32
	pad     mem.Uint32
	unused  [2]mem.Uint64
}

// semShared is what private is if processes share the semaphore. Source: glibc
// (FUTEX_SHARED is LLL_SHARED, which is FUTEX_PRIVATE_FLAG: to be inverted).
const semShared = 0x80

// oneWaiter is 1 in the upper half of the data word, and semValue the lower half.
const (
	oneWaiter = 1 << 32
	semValue  = oneWaiter - 1
)

const (
	_ = uint(unsafe.Sizeof(semWords{}) - SemSize)
	_ = uint(SemSize - unsafe.Sizeof(semWords{}))
	_ = uint(unsafe.Offsetof(semWords{}.private)-8) + uint(8-unsafe.Offsetof(semWords{}.private))
	_ = uint(unsafe.Offsetof(semWords{}.unused)-16) + uint(16-unsafe.Offsetof(semWords{}.unused))
)
