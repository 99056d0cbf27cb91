//go:build !race

package mem

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// membarrier(2)'s commands.
const (
	membarrierQuery                   = 0
	membarrierGlobalExpedited         = 1 << 1
	membarrierRegisterGlobalExpedited = 1 << 2
)

// What is known of this process.
const (
	notAsked = iota
	asking
	registered
	refused
)

var fences atomic.Uint32

// Fenceless reports whether this process may leave out fences for which somebody
// else, in this process or another, makes up by a [Barrier]. The first call begins
// to ask the kernel, on another goroutine, since that takes some 10 ms; until then,
// and where the kernel does not do it, the answer is no.
func Fenceless() bool { return fences.Load() == registered || ask() }

func ask() bool {
	if fences.CompareAndSwap(notAsked, asking) {
		go func() {
			if _, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierRegisterGlobalExpedited, 0, 0); errno != 0 || !CanBarrier() {
				fences.Store(refused)
				return
			}
			fences.Store(registered)
		}()
	}
	return false
}

// CanBarrier reports whether Barrier works here.
var CanBarrier = sync.OnceValue(func() bool {
	commands, _, errno := unix.RawSyscall(unix.SYS_MEMBARRIER, membarrierQuery, 0, 0)
	return errno == 0 && commands&membarrierGlobalExpedited != 0
})

// Barrier is a fence in all threads of all processes that are [Fenceless]. So after
// it we see what each of them stored before it, and what one loads after it is as
// new as what we stored before. A thread that does not run has passed a fence when
// it was taken off its processor.
//
// Cost: a system call, and an interrupt of every processor on which one runs: 1 to
// 20 µs. Preconditions: CanBarrier.
func Barrier() {
	unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobalExpedited, 0, 0)
}
