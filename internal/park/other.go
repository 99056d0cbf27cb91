//go:build !(linux && (amd64 || arm64))

package park

import (
	"context"
	"errors"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// Without Linux there is no shared object to wait in: opening one fails, and so
// nothing of this is called.

// EventCount is a word at which goroutines wait.
type EventCount mem.Uint32

// Notify does nothing.
func (*EventCount) Notify() {}

// NotifyAll does nothing.
func (*EventCount) NotifyAll() {}

// Await fails.
func (*EventCount) Await(context.Context, func() bool) (lost bool, err error) {
	return false, errors.ErrUnsupported
}

// Spinner looks a while before somebody sleeps.
type Spinner struct{}

// Spin looks once.
func (*Spinner) Spin(ready func() bool) bool { return ready() }

// Follower looks a while before somebody who follows a stream sleeps.
type Follower struct{}

// Spin looks once.
func (*Follower) Spin(_ uint64, ready func() bool) bool { return ready() }

// Dense reports nothing.
func (*Follower) Dense() bool { return false }

// Tight reports nothing.
func (*Follower) Tight(uint64) bool { return false }

// KeepOff does nothing.
func (*Follower) KeepOff(_, _ uint64, _ func() uint64) {}

// Wait fails.
func Wait(context.Context, *mem.Uint32, uint32) (lost bool, err error) {
	return false, errors.ErrUnsupported
}

// WaitDue fails.
func WaitDue(context.Context, *mem.Uint32, uint32, func(word uint32) bool) (lost bool, err error) {
	return false, errors.ErrUnsupported
}

// Wake wakes nobody.
func Wake(*mem.Uint32, int) (woken int) { return 0 }

// WakeAll wakes nobody.
func WakeAll(*mem.Uint32) (woken int) { return 0 }

// Watch is a word that is watched.
type Watch struct{}

// NewWatch watches nothing.
func NewWatch(*mem.Uint32, uint32, func()) *Watch { return new(Watch) }

// Stop does nothing.
func (*Watch) Stop() bool { return true }

// Lost reports nothing.
func (*Watch) Lost() bool { return false }

// Backend returns what the shared waiter stands on: nothing.
func Backend() (name, why string) { return "", errors.ErrUnsupported.Error() }
