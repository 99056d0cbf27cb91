// Package result is what a run has found, and what is made of it: medians, spreads and
// ratios, a table, and a comparison with an earlier run.
package result

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/seed-247006a4/shoal/bench/role"
	"github.com/seed-247006a4/shoal/internal/bench"
)

// Report is all of a run.
type Report struct {
	Machine  bench.Machine     `json:"machine"`
	Date     string            `json:"date"`
	Versions map[string]string `json:"versions"` // of what was measured
	Results  []*Result         `json:"results"`
}

// Result is what was measured of a participant in a scenario. Times are in nanoseconds.
type Result struct {
	Scenario    string `json:"scenario"`
	Participant string `json:"participant"`
	// Unit is that of Value: ns (less is better), /s (more is better), or another.
	Unit  string  `json:"unit"`
	Value float64 `json:"value"` // the median of the rounds

	P50      float64            `json:"p50,omitempty"`
	P99      float64            `json:"p99,omitempty"`
	P999     float64            `json:"p999,omitempty"`
	Max      float64            `json:"max,omitempty"`
	Rate     float64            `json:"rate,omitempty"`             // of records, or of round trips
	Bytes    float64            `json:"bytes_per_second,omitempty"` // of payload
	CPUs     float64            `json:"cpus,omitempty"`             // processors in use, of all processes
	CPU      float64            `json:"cpu_seconds,omitempty"`      // of both sides, in all rounds
	Switches float64            `json:"switches,omitempty"`         // times that somebody went to sleep, for each record or round trip
	Spread   float64            `json:"spread"`                     // between the rounds, as a part of the median
	Limit    string             `json:"limit,omitempty"`            // that it is held against
	Ratio    float64            `json:"ratio,omitempty"`            // to the limit
	ToShoal  float64            `json:"to_shoal,omitempty"`         // to what Shoal has in this scenario
	Other    map[string]float64 `json:"other,omitempty"`
	Error    string             `json:"not_measured,omitempty"` // why there is no figure

	Rounds []Round `json:"rounds,omitempty"` // the raw data
}

// Round is one measurement.
type Round struct {
	Value float64 `json:"value"`
	role.Figures
	Sides []Side `json:"sides,omitempty"`
}

// Side is what one of the processes used.
type Side struct {
	Name     string `json:"name"`
	CPU      int64  `json:"cpu"`  // nanoseconds
	Took     int64  `json:"took"` // for that
	Switches int64  `json:"switches"`
}

// Median of some values; 0 of none.
func Median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	switch n := len(v); {
	case n == 0:
		return 0
	case n%2 == 0:
		return (v[n/2-1] + v[n/2]) / 2
	default:
		return v[n/2]
	}
}

// Spread is the distance between the least and the greatest as a part of the median.
func Spread(v []float64) float64 {
	m := Median(v)
	if m == 0 {
		return 0
	}
	return (slices.Max(v) - slices.Min(v)) / m
}

// over collects a figure of all rounds.
func over(rounds []Round, f func(*Round) float64) (v []float64) {
	for i := range rounds {
		v = append(v, f(&rounds[i]))
	}
	return v
}

// Settle makes the figures of all results from their rounds. records says whether a
// scenario's values are rates of records of so many bytes.
func (r *Report) Settle(size func(scenario string) int, ours func(participant string) bool) {
	for _, x := range r.Results {
		if len(x.Rounds) == 0 {
			continue
		}
		x.settle(size(x.Scenario))
	}
	for _, x := range r.Results {
		x.ToShoal, x.Ratio = 0, 0
		if limit := r.find(x.Limit, ""); limit != nil && limit != x {
			x.Ratio = ratio(x, limit)
		}
		if first := r.first(x.Scenario, ours); first != nil && first != x && x.Scenario != x.Limit {
			x.ToShoal = ratio(x, first)
		}
	}
}

func (x *Result) settle(size int) {
	values := over(x.Rounds, func(r *Round) float64 { return r.Value })
	x.Value, x.Spread = Median(values), Spread(values)
	x.P50 = Median(over(x.Rounds, func(r *Round) float64 { return r.P50 }))
	x.P99 = Median(over(x.Rounds, func(r *Round) float64 { return r.P99 }))
	x.P999 = Median(over(x.Rounds, func(r *Round) float64 { return r.P999 }))
	x.Max = slices.Max(over(x.Rounds, func(r *Round) float64 { return r.Max }))
	x.CPUs = Median(over(x.Rounds, func(r *Round) (cpus float64) {
		for _, s := range r.Sides {
			cpus += float64(s.CPU) / float64(max(s.Took, 1))
		}
		return cpus
	}))
	x.CPU = 0
	for _, r := range x.Rounds {
		for _, s := range r.Sides {
			x.CPU += float64(s.CPU) / 1e9
		}
	}
	x.Switches = Median(over(x.Rounds, func(r *Round) float64 {
		total := int64(0)
		for _, s := range r.Sides {
			total += s.Switches
		}
		return float64(total) / float64(max(r.Count, 1))
	}))
	switch {
	case x.Unit == "/s":
		x.Rate, x.Bytes = x.Value, x.Value*float64(size)
	case strings.HasPrefix(x.Scenario, "latency/"):
		x.Rate = Median(over(x.Rounds, func(r *Round) float64 { return float64(r.Count) / float64(max(r.Took, 1)) * 1e9 }))
	}
	x.Other = nil
	for name := range x.Rounds[0].Other {
		if x.Other == nil {
			x.Other = map[string]float64{}
		}
		x.Other[name] = Median(over(x.Rounds, func(r *Round) float64 { return r.Other[name] }))
	}
}

// ratio is the median of the ratios within rounds.
func ratio(x, to *Result) float64 {
	var v []float64
	for i := range min(len(x.Rounds), len(to.Rounds)) {
		if d := to.Rounds[i].Value; d > 0 {
			v = append(v, x.Rounds[i].Value/d)
		}
	}
	return Median(v)
}

// find returns the result of a scenario and, if it is not empty, a participant.
func (r *Report) find(scenario, participant string) *Result {
	for _, x := range r.Results {
		if x.Scenario == scenario && (participant == "" || x.Participant == participant) && x.Error == "" {
			return x
		}
	}
	return nil
}

// first returns the first result of Shoal in a scenario.
func (r *Report) first(scenario string, ours func(string) bool) *Result {
	for _, x := range r.Results {
		if x.Scenario == scenario && ours(x.Participant) && x.Error == "" {
			return x
		}
	}
	return nil
}

// Noisy is the spread from which a result is not to be trusted.
const Noisy = 0.3

// Noise says how many results have a spread above that; "" if there is none.
func (r *Report) Noise() string {
	n, of := 0, 0
	for _, x := range r.Results {
		if x.Error != "" || len(x.Rounds) < 2 {
			continue
		}
		of++
		if x.Spread > Noisy {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("noisy: the rounds of %d of %d results differ by more than %d %%; they are marked ~", n, of, int(Noisy*100))
}

// Read reads a report from a file.
func Read(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Tolerance is how much a ratio to a limit may worsen.
const Tolerance = 0.25

// Worse is a ratio that has worsened.
type Worse struct{ Scenario, Participant, Why string }

// String says all of it.
func (w Worse) String() string { return fmt.Sprintf("%s, %s: %s", w.Scenario, w.Participant, w.Why) }

// Compare returns the ratios to limits that are worse than in an earlier run by more
// than Tolerance, and how many there were to compare. Only Shoal's are looked at.
func Compare(before, now *Report, ours func(participant string) bool) (worse []Worse, compared int) {
	is := func(x *Result, format string, args ...any) {
		worse = append(worse, Worse{x.Scenario, x.Participant, fmt.Sprintf(format, args...)})
	}
	for _, x := range now.Results {
		if !ours(x.Participant) || x.Limit == "" {
			continue
		}
		old := before.find(x.Scenario, x.Participant)
		if old == nil || old.Ratio == 0 {
			continue
		}
		compared++
		if x.Error != "" {
			is(x, "not measured: %s", x.Error)
			continue
		}
		if x.Ratio == 0 {
			is(x, "nothing to hold it against: %s was not measured", x.Limit)
			continue
		}
		by := x.Ratio/old.Ratio - 1
		if x.Unit == "/s" {
			by = old.Ratio/x.Ratio - 1
		}
		if by > Tolerance {
			is(x, "%.2f of %s, and it was %.2f: worse by %.0f %%", x.Ratio, x.Limit, old.Ratio, by*100)
		}
	}
	return worse, compared
}
