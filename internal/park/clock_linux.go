//go:build linux && (amd64 || arm64)

package park

import (
	"time"

	"golang.org/x/sys/unix"
)

// start is an instant of this process, and monotonicStart the same one on
// CLOCK_MONOTONIC, which Go's monotonic clock is on Linux but does not show. With
// both, an absolute deadline for the kernel costs no system call.
var start, monotonicStart = func() (time.Time, time.Duration) {
	var ts unix.Timespec
	now := time.Now()
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic("park: CLOCK_MONOTONIC: " + err.Error()) // part of every Linux
	}
	return now, time.Duration(ts.Nano())
}()

// after returns the instant d from now on CLOCK_MONOTONIC.
func after(d time.Duration) unix.Timespec {
	return unix.NsecToTimespec(int64(monotonicStart + time.Since(start) + d))
}
