//go:build linux && (amd64 || arm64)

package posix

import (
	"structs"
	"unsafe" // unsafe.Sizeof and Offsetof alone, to assert the format at compile time

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

// pthreadMutex is what glibc has in a pthread_mutex_t (struct
// __pthread_mutex_s). On arm64, 8 bytes follow that nobody uses.
//
//	0      4       8       12       16     20      24       32       40
//	+------+-------+-------+--------+------+-------+--------+--------+
//	| lock | count | owner | nusers | kind | spins | prev   | next   |
//	+------+-------+-------+--------+------+-------+--------+--------+
//	                                                robust list
//
// lock is the futex word: the owner's thread id and the bits of
// sys.FUTEX_WAITERS and sys.FUTEX_OWNER_DIED, 0 when free. count is 1 from the
// first lock on. owner is the thread id once more, 0 when free, or one of the
// values below. nusers counts owners. prev serves the list of a C owner, who has
// to remove entries without a walk; here it stays 0.
type pthreadMutex struct {
	_      structs.HostLayout
	lock   mem.Uint32
	count  mem.Uint32
	owner  mem.Uint32
	nusers mem.Uint32
	kind   mem.Uint32
	spins  mem.Uint32
	prev   mem.Uint64
	next   sys.RobustEntry
}

// Values of owner that are no thread id. Source: glibc nptl/pthreadP.h.
const (
	ownerInconsistent   = 0x7fffffff // PTHREAD_MUTEX_INCONSISTENT: locked by somebody who was told of a death
	ownerNotRecoverable = 0x7ffffffe // PTHREAD_MUTEX_NOTRECOVERABLE: final
)

// The bits of kind beside the type. Source: glibc nptl/pthreadP.h.
const (
	kindType      = 0x03 // 0 normal, 1 recursive, 2 error-checking, 3 adaptive
	kindRobust    = 0x10
	kindInherit   = 0x20 // PTHREAD_PRIO_INHERIT
	kindProtect   = 0x40 // PTHREAD_PRIO_PROTECT
	kindShared    = 0x80
	kindElision   = 0x300 // elision on, elision off: of no meaning here, but any settype of PTHREAD_MUTEX_NORMAL sets one
	kindRecursive = 1
)

const (
	_ = uint(unsafe.Sizeof(pthreadMutex{}) - 40)
	_ = uint(40 - unsafe.Sizeof(pthreadMutex{}))
	_ = uint(unsafe.Offsetof(pthreadMutex{}.owner)-8) + uint(8-unsafe.Offsetof(pthreadMutex{}.owner))
	_ = uint(unsafe.Offsetof(pthreadMutex{}.nusers)-12) + uint(12-unsafe.Offsetof(pthreadMutex{}.nusers))
	_ = uint(unsafe.Offsetof(pthreadMutex{}.kind)-16) + uint(16-unsafe.Offsetof(pthreadMutex{}.kind))
	_ = uint(unsafe.Offsetof(pthreadMutex{}.prev)-24) + uint(24-unsafe.Offsetof(pthreadMutex{}.prev))
	_ = uint(unsafe.Offsetof(pthreadMutex{}.next)-32) + uint(32-unsafe.Offsetof(pthreadMutex{}.next))
	// The whole of it: 40 bytes on x86-64, where __SIZEOF_PTHREAD_MUTEX_T is 40,
	// and 48 on arm64.
	_ = uint(MutexSize - unsafe.Sizeof(pthreadMutex{}))
)
