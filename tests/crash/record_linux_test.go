//go:build linux && (amd64 || arm64)

package crash

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// record is a set of times.
type record struct {
	mu    sync.Mutex
	times []time.Duration
}

func (r *record) add(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, d)
}

// String returns the distribution.
func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.times) == 0 {
		return "none"
	}
	slices.Sort(r.times)
	at := func(p float64) time.Duration { return r.times[int(p*float64(len(r.times)-1))].Round(time.Microsecond) }
	return fmt.Sprintf("%d: p50 %v, p90 %v, p99 %v, max %v", len(r.times), at(.5), at(.9), at(.99), at(1))
}
