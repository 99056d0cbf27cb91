//go:build !shoalcrash || !linux

package crash

// Enabled tells whether this build has kill points.
const Enabled = false

// Point is a kill point: nothing, in this build.
func Point() {}

// Woken is the kill point of sleepers: nothing, in this build.
func Woken() {}
