//go:build shoalcrash && linux

package crash

import (
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
)

// Enabled tells whether this build has kill points.
const Enabled = true

var (
	passed atomic.Int64 // points since Arm
	killAt atomic.Int64 // the point that kills; 0 for none
	stopAt atomic.Int64 // the point that stops; 0 for none
	awake  atomic.Bool  // whether waking kills
)

// Arm makes the n-th point from now kill the process, n counting from 1. With
// n = 0 nothing is killed, and the points are only counted.
func Arm(n int) {
	killAt.Store(0)
	stopAt.Store(0)
	awake.Store(false)
	passed.Store(0)
	killAt.Store(int64(n))
}

// Stop makes the n-th point since [Arm] stop the process (SIGSTOP) until somebody
// lets it go on (SIGCONT). With n = 0 nothing is stopped.
func Stop(n int) { stopAt.Store(int64(n)) }

// ArmWoken makes the next sleep the last thing that the process does: woken, it
// dies before it can act on that.
func ArmWoken() { awake.Store(true) }

// Passed returns how many points were passed since [Arm].
func Passed() int { return int(passed.Load()) }

// Point is a kill point.
func Point() {
	switch n := passed.Add(1); n {
	case killAt.Load():
		die()
	case stopAt.Load():
		// To this thread, which so stops before it returns; the others stop with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		syscall.RawSyscall(syscall.SYS_TGKILL, uintptr(os.Getpid()), uintptr(syscall.Gettid()), uintptr(syscall.SIGSTOP))
	}
}

// Woken is the kill point of sleepers: package park passes it when a sleep has
// ended.
func Woken() {
	if awake.Load() {
		die()
	}
}

func die() {
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	for { // the signal may take a moment to arrive; nothing may be stored meanwhile
	}
}
