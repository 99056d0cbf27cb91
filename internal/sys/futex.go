//go:build linux && (amd64 || arm64)

package sys

import (
	"math"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// Operations and flags of futex(2). Source: <linux/futex.h>.
const (
	futexWake       = 1
	futexWaitBitset = 9
	futexWakeBitset = 10
	futexPrivate    = 128
	futexRealtime   = 256
)

// FutexAnyBit is the bit set of a sleeper without a group: every wake reaches
// it (FUTEX_BITSET_MATCH_ANY).
const FutexAnyBit = math.MaxUint32

// FutexAll as a number of sleepers to wake means all of them.
const FutexAll = math.MaxInt32

// FutexWait is futex(2) FUTEX_WAIT_BITSET on a word that processes share: it
// sleeps if the word is val, until a wake, a signal (EINTR) or the deadline
// (ETIMEDOUT), which is an instant of CLOCK_MONOTONIC; nil is none. EAGAIN says
// that the word was not val. It occupies a thread.
func FutexWait(w *mem.Uint32, val uint32, deadline *unix.Timespec) error {
	return futexWait(w.Pointer(), futexWaitBitset, val, deadline, FutexAnyBit)
}

// FutexWaitRealtime is [FutexWait] with a deadline of CLOCK_REALTIME.
func FutexWaitRealtime(w *mem.Uint32, val uint32, deadline *unix.Timespec) error {
	return futexWait(w.Pointer(), futexWaitBitset|futexRealtime, val, deadline, FutexAnyBit)
}

// FutexWaitBits is [FutexWait] in a group, which a [FutexWakeBits] with a bit
// in common reaches, as every plain wake does.
// Preconditions: bits is not 0.
func FutexWaitBits(w *mem.Uint32, val uint32, deadline *unix.Timespec, bits uint32) error {
	return futexWait(w.Pointer(), futexWaitBitset, val, deadline, bits)
}

// FutexWaitPrivate is [FutexWait] on a word of this process alone.
func FutexWaitPrivate(w *atomic.Uint32, val uint32, deadline *unix.Timespec) error {
	return futexWait(unsafe.Pointer(w), futexWaitBitset|futexPrivate, val, deadline, FutexAnyBit)
}

// FutexWake is futex(2) FUTEX_WAKE: it wakes at most n sleepers of a shared word
// and returns how many. It never sleeps, so it is a raw call; EFAULT, the only
// error to expect, says that the word is not mapped.
func FutexWake(w *mem.Uint32, n int) (int, error) {
	return futexWakeup(w.Pointer(), futexWake, n, 0)
}

// FutexWakeBits is [FutexWake] for those of its sleepers alone that have one of
// the bits.
// Preconditions: bits is not 0.
func FutexWakeBits(w *mem.Uint32, n int, bits uint32) (int, error) {
	return futexWakeup(w.Pointer(), futexWakeBitset, n, bits)
}

// FutexWakePrivate is [FutexWake] on a word of this process alone. It does not
// reach those who sleep in [FutexWait].
func FutexWakePrivate(w *atomic.Uint32, n int) (int, error) {
	return futexWakeup(unsafe.Pointer(w), futexWake|futexPrivate, n, 0)
}

func futexWait(w unsafe.Pointer, op uintptr, val uint32, deadline *unix.Timespec, bits uint32) error {
	_, _, errno := syscall.Syscall6(unix.SYS_FUTEX, uintptr(w), op, uintptr(val), uintptr(unsafe.Pointer(deadline)), 0, uintptr(bits))
	if errno != 0 {
		return errno
	}
	return nil
}

func futexWakeup(w unsafe.Pointer, op uintptr, n int, bits uint32) (int, error) {
	r, _, errno := syscall.RawSyscall6(unix.SYS_FUTEX, uintptr(w), op, uintptr(n), 0, 0, uintptr(bits))
	return result(r, errno)
}
