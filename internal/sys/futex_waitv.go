//go:build linux && (amd64 || arm64)

package sys

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// FutexWaitvMax is how many words one [FutexWaitv] takes (FUTEX_WAITV_MAX).
const FutexWaitvMax = 128

// Flags of a futex in the calls that came after futex(2). Source:
// <linux/futex.h>, FUTEX2_SIZE_U32 and FUTEX2_PRIVATE.
const (
	futex2U32     = 2
	futex2Private = 128
)

// FutexWaiter is struct futex_waitv of <linux/futex.h>: a word, and the value
// that it must have for the sleep to begin. The zero value is not valid.
//
//	0     8       16      20         24
//	| val | uaddr | flags | reserved |
//
// The address is a pointer, so that it keeps words of the Go heap alive.
type FutexWaiter struct {
	val   uint64
	uaddr unsafe.Pointer
	flags uint32
	_     uint32
}

const (
	_ = uint(unsafe.Sizeof(FutexWaiter{}) - 24)
	_ = uint(24 - unsafe.Sizeof(FutexWaiter{}))
	_ = uint(unsafe.Offsetof(FutexWaiter{}.uaddr) - 8)
	_ = uint(8 - unsafe.Offsetof(FutexWaiter{}.uaddr))
	_ = uint(unsafe.Offsetof(FutexWaiter{}.flags) - 16)
	_ = uint(16 - unsafe.Offsetof(FutexWaiter{}.flags))
)

// Shared fills f for a word that processes share.
func (f *FutexWaiter) Shared(w *mem.Uint32, val uint32) {
	*f = FutexWaiter{val: uint64(val), uaddr: w.Pointer(), flags: futex2U32}
}

// Private fills f for a word of this process alone.
func (f *FutexWaiter) Private(w *atomic.Uint32, val uint32) {
	*f = FutexWaiter{val: uint64(val), uaddr: unsafe.Pointer(w), flags: futex2U32 | futex2Private}
}

// FutexWaitv is futex_waitv(2) (Linux 5.16): it sleeps until one of the words is
// woken, and returns the index of one that was. Others may have been woken at
// the same time: the kernel does not say. Deadline and errors are those of
// [FutexWait]; ENOSYS is an older kernel.
func FutexWaitv(waiters []FutexWaiter, deadline *unix.Timespec) (int, error) {
	r, _, errno := syscall.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(unsafe.SliceData(waiters))), uintptr(len(waiters)),
		0, uintptr(unsafe.Pointer(deadline)), unix.CLOCK_MONOTONIC, 0)
	return result(r, errno)
}
