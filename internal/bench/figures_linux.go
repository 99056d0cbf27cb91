//go:build linux && (amd64 || arm64)

package bench

import (
	"slices"
	"time"
)

// figures are what one measurement found.
type figures struct {
	P50, P99, P999, Max float64       // nanoseconds
	Rate                float64       // records a second
	Count               uint64        // records or round trips that were measured
	Took                time.Duration // for them
	CPU                 time.Duration // of both processes meanwhile
	Switches            uint64        // voluntary ones, of both processes meanwhile
}

// timed reports whether it is times that are measured, not rates.
func (m measure) timed() bool { return m != stream && m != copied && m != memcpy }

// headline is the figure that ratios are made of.
func (f *figures) headline(m measure) float64 {
	if m.timed() {
		return f.P50
	}
	return f.Rate
}

// samples are times in nanoseconds, in memory that is there from the start.
type samples []uint32

// maxSamples is when a measurement ends, if not by time.
const maxSamples = 1 << 20

func newSamples() samples {
	s := make(samples, maxSamples)
	for i := range s {
		s[i] = 1 // in place, too
	}
	return s[:0]
}

// add notes a time, from which the cost of looking at the clock is taken off.
// Preconditions: there is room.
func (s *samples) add(d time.Duration) {
	*s = append(*s, uint32(min(max(d-clockCost, 0), 1<<32-1)))
}

// percentiles sorts the samples, divides them, and reads off what people ask for.
func (s samples) percentiles(f *figures, divisor float64) {
	if len(s) == 0 {
		return
	}
	slices.Sort(s)
	at := func(thousandth int) float64 { return float64(s[min(len(s)*thousandth/1000, len(s)-1)]) / divisor }
	f.P50, f.P99, f.P999, f.Max = at(500), at(990), at(999), at(1000)
	f.Count = uint64(len(s))
}

// median of some values, which it sorts; 0 of none.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// spread is the distance between the least and the greatest as a part of the
// median.
func spread(v []float64) float64 {
	m := median(v)
	if m == 0 {
		return 0
	}
	return (v[len(v)-1] - v[0]) / m
}

// result makes a result of the rounds of a scenario and those of its limit.
func (s Scenario) result(rounds, limit []figures) Result {
	r := Result{Name: s.Name, About: s.About, Limit: s.limit, Bar: s.bar.String()}
	over := func(f func(*figures) float64) (v []float64) {
		for i := range rounds {
			v = append(v, f(&rounds[i]))
		}
		return v
	}
	r.Spread = spread(over(func(f *figures) float64 { return f.headline(s.measure) }))
	if s.measure.timed() {
		r.P50 = median(over(func(f *figures) float64 { return f.P50 }))
		r.P99 = median(over(func(f *figures) float64 { return f.P99 }))
		r.P999 = median(over(func(f *figures) float64 { return f.P999 }))
		r.Max = slices.Max(over(func(f *figures) float64 { return f.Max }))
	} else {
		r.Rate = median(over(func(f *figures) float64 { return f.Rate }))
		r.Bytes = r.Rate * float64(s.size)
	}
	r.CPU = median(over(func(f *figures) float64 { return float64(f.CPU) / float64(max(f.Took, 1)) }))
	r.Switches = median(over(func(f *figures) float64 { return float64(f.Switches) / float64(max(f.Count, 1)) }))
	if len(limit) == len(rounds) {
		var ratios []float64
		for i := range rounds {
			if l := limit[i].headline(s.measure); l > 0 {
				ratios = append(ratios, rounds[i].headline(s.measure)/l)
			}
		}
		r.Ratio = median(ratios)
	}
	r.Met = s.bar.met(&r)
	return r
}

// met reports whether a result reaches the bar.
func (b bar) met(r *Result) *bool {
	var met bool
	switch {
	case b.atMost > 0:
		met = r.Ratio <= b.atMost
	case b.atLeast > 0:
		met = r.Ratio >= b.atLeast
	case b.rate > 0:
		met = r.Rate >= b.rate
	default:
		return nil
	}
	return &met
}
