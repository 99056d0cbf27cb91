//go:build linux && (amd64 || arm64)

package bench

import (
	"math"
	"time"
)

// clockCost is what it costs to look at the clock.
var clockCost time.Duration

// epoch is when this process began: the monotonic clock is cheaper to read than
// both.
var epoch = time.Now()

func clock() time.Duration { return time.Since(epoch) }

// findClockCost finds it: the least of many, which was not interrupted.
func findClockCost() {
	clockCost = time.Duration(math.MaxInt64)
	for range 64 {
		begin := clock()
		for range 63 {
			clock()
		}
		clockCost = min(clockCost, (clock()-begin)/64)
	}
}
