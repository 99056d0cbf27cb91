//go:build linux && (amd64 || arm64)

package sys

import (
	"syscall"
	"unsafe"
)

// A thread that sleeps in semtimedop, msgsnd or msgrcv can be woken by another
// thread in one way only, a signal whose handler runs on it. The Go runtime
// handles SIGURG in every program (it preempts goroutines with it) and ignores
// one that it has not asked for, so SIGURG serves.

// InterruptSignal is the signal that [Interrupt] sends.
const InterruptSignal = syscall.SIGURG

// Gettid is gettid(2). The answer is only of use on a goroutine that has called
// [runtime.LockOSThread].
func Gettid() int { return syscall.Gettid() }

// Interrupt sends [InterruptSignal] to one thread of this process. If it sleeps
// in a System V call, that call returns EINTR.
func Interrupt(tid int) error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(syscall.Getpid()), uintptr(tid), uintptr(InterruptSignal))
	if errno != 0 {
		return errno
	}
	return nil
}

// kernelSigaction is struct sigaction as rt_sigaction sees it, the same on
// x86-64 and arm64. Only the first word is looked at.
type kernelSigaction struct {
	handler  uintptr // 0 default, 1 ignore
	flags    uint64
	restorer uintptr
	mask     uint64
}

const (
	_ = uint(unsafe.Sizeof(kernelSigaction{}) - 32)
	_ = uint(32 - unsafe.Sizeof(kernelSigaction{}))
)

// Interruptible reports whether [Interrupt] has an effect on the calling
// thread: the signal has a handler, and the thread does not block it. A Go
// program can lose either (os/signal.Ignore, or C code).
func Interruptible() bool {
	var act kernelSigaction
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RT_SIGACTION, uintptr(InterruptSignal), 0,
		uintptr(unsafe.Pointer(&act)), unsafe.Sizeof(act.mask), 0, 0)
	if errno != 0 || act.handler <= 1 {
		return false
	}
	var mask uint64
	_, _, errno = syscall.RawSyscall6(syscall.SYS_RT_SIGPROCMASK, 0, 0,
		uintptr(unsafe.Pointer(&mask)), unsafe.Sizeof(mask), 0, 0)
	return errno == 0 && mask&(1<<(InterruptSignal-1)) == 0
}
