//go:build linux && (amd64 || arm64)

package sysv

import (
	"context"
	"runtime"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/sys"
)

// Waiting with a context. The kernel can end a sleep in semtimedop, msgsnd or
// msgrcv early for a signal only, and it has a time-out for the first alone. So:
//
//	try once without sleeping
//	       |  would have to wait
//	lock the goroutine to its thread; arrange that ctx's end interrupts the thread
//	       |
//	  +--> ctx done? --yes--> its error
//	  |    sleep in the kernel
//	  +--- EINTR
//	       |  anything else
//	     result
//
// A signal that arrives between the look at ctx and the sleep does nothing, and
// so the interrupter repeats it until the waiter says that it is back.

// interruptible is replaced by tests.
var interruptible = sys.Interruptible

const (
	signalPauseMin = 50 * time.Microsecond // between signals to a waiter that has not come back yet
	signalPauseMax = 10 * time.Millisecond
	pollPauseMin   = 50 * time.Microsecond // between tries where signals do not work
	pollPauseMax   = 50 * time.Millisecond
)

// operation is a System V call that may sleep.
type operation struct {
	// call performs it. call(false) must not sleep, and returns busy if it would
	// have to; call(true) sleeps, and returns EINTR after a signal.
	call func(sleep bool) error
	busy syscall.Errno
	// nap performs it too, sleeping for at most d, and reports whether that was
	// too short. It is for threads that signals do not reach.
	nap func(d time.Duration) (again bool, err error)
}

// wait performs an operation unless ctx is done before it can. The operation
// took place if and only if wait returns nil.
func (op operation) wait(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if ctx.Done() == nil {
		return retry(func() error { return op.call(true) })
	}
	if err := retry(func() error { return op.call(false) }); err != op.busy {
		return err
	}

	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if !interruptible() {
		return op.poll(ctx)
	}
	defer interruptOn(ctx)()
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := op.call(true); err != syscall.EINTR {
			return err
		}
	}
}

// poll performs the operation by naps until ctx is done.
func (op operation) poll(ctx context.Context) error {
	for pause := pollPauseMin; ; pause = min(2*pause, pollPauseMax) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if again, err := op.nap(pause); !again {
			return err
		}
	}
}

// retry repeats call while a signal interrupts it.
func retry(call func() error) error {
	for {
		if err := call(); err != syscall.EINTR {
			return err
		}
	}
}

// interruptOn arranges that the calling thread is interrupted, again and again,
// once ctx is done. The function that it returns ends that.
// Preconditions: the goroutine is locked to its thread until then.
func interruptOn(ctx context.Context) (stop func()) {
	thread := sys.Gettid()
	back, ended := make(chan struct{}), make(chan struct{})
	cancel := context.AfterFunc(ctx, func() {
		defer close(ended)
		for pause := signalPauseMin; ; pause = min(2*pause, signalPauseMax) {
			// It cannot fail: the thread exists, as it waits for ended.
			_ = sys.Interrupt(thread)
			select {
			case <-back:
				return
			case <-time.After(pause):
			}
		}
	})
	return func() {
		if !cancel() { // too late, it runs
			close(back)
			<-ended
		}
	}
}
