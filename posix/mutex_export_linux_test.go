//go:build linux && (amd64 || arm64)

package posix

import "time"

// Nobody looks again of his own accord during the tests: a lost wake-up hangs.
func init() { recheck = time.Hour }
