// Package bench measures the structures of Shoal beside the raw limits of the
// machine: it is what "shoal bench" runs.
//
// # What is measured
//
// Two real processes, each on a core of its own where there are two, exchange
// records. Every record is written by the one and read by the other: each word of
// it is summed there, or it is copied out where the scenario says so, and the sums
// of both sides are compared in the end. A scenario that lost or tore a record
// fails.
//
//	latency   half a round trip: a record there, a record of the same size back, each
//	          side spins. The clock of one process alone is read, once a round trip,
//	          and what a reading costs is taken off. No two clocks are compared.
//	parked    a whole round trip, and both sides sleep each time: their processes may
//	          use one processor, so nobody spins. The switches are counted.
//	stream    records a second, one way, as the reader counts them in the middle of
//	          the flow, by its own clock.
//	copy      a stream of large records, each copied in and copied out.
//
// The limits are measured in the same way: the ping-pong of two cache lines, with
// a payload of the same size written and summed if the records are longer than a
// line; the ping-pong of two futexes; and memcpy, one process that copies in and
// out of as much shared memory. They are C programs, compiled for the occasion,
// or, without a compiler, the same in Go, which the result says.
//
// # How
//
// A run has rounds. In each one every scenario and every limit is measured once, in
// new processes, so that what disturbs the machine for a while disturbs all of
// them. A result is the median of the rounds, its spread is the distance between
// the best and the worst round as a part of that, and a ratio is the median of the
// ratios within rounds.
//
// The processes are this very executable again: an environment variable tells them
// their role, and [Role], which main calls first, plays it.
//
// # Another structure
//
// A structure is a file, like ring_linux.go, with a function that opens its two
// ports as a sender and a receiver; a line each in the tables structures and
// removers (role_linux.go); and its scenarios, like those in ring.go, in a list
// that [Scenarios] joins.
package bench

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Options say what is measured, and for how long. The zero value measures all, in
// about 20 seconds.
type Options struct {
	Only     []string      // names, or parts of names: "latency", "ring/stream"; none means all
	Time     time.Duration // of each measurement in each round, and a fifth of it to warm up; 0 means 120 ms
	Rounds   int           // 0 means 5
	Compiler string        // the C compiler; "" means $CC, cc, gcc or clang, "none" means the limits in Go

	// Progress, if not nil, is called before each measurement: how many of how many
	// are done, and what is next.
	Progress func(done, of int, next string)
	// Stderr gets what processes say that fail; nil means nobody.
	Stderr io.Writer
}

// Defaults of [Options].
const (
	DefaultTime   = 120 * time.Millisecond
	DefaultRounds = 5
)

// Report is what a run has found.
type Report struct {
	Machine Machine
	Results []Result // of the scenarios, then of the limits
}

// Machine is where it was measured.
type Machine struct {
	CPU       string   `json:"cpu"`
	Cores     string   `json:"cores"`     // how many, and whether they are hardware threads of fewer
	Pinning   string   `json:"pinning"`   // what the processes were pinned to
	Method    string   `json:"method"`    // how latencies are measured
	Frequency string   `json:"frequency"` // whether it changes
	Kernel    string   `json:"kernel"`
	Go        string   `json:"go"`
	Limits    string   `json:"limits"` // which language they were measured in
	Rounds    int      `json:"rounds"`
	Time      string   `json:"time"`    // of a measurement
	Caveats   []string `json:"caveats"` // what makes the figures worse than they should be
}

// Result is what was measured for one scenario or limit. Times are in nanoseconds.
type Result struct {
	Name  string `json:"name"`
	About string `json:"about"`

	P50  float64 `json:"p50_ns,omitempty"`
	P99  float64 `json:"p99_ns,omitempty"`
	P999 float64 `json:"p99.9_ns,omitempty"`
	Max  float64 `json:"max_ns,omitempty"` // of all rounds

	Rate  float64 `json:"records_per_second,omitempty"`
	Bytes float64 `json:"bytes_per_second,omitempty"` // of payload

	Spread float64 `json:"spread"` // between the rounds, as a part of the median

	Limit string  `json:"limit,omitempty"` // that it is held against
	Ratio float64 `json:"ratio,omitempty"` // to the limit: of times, or of rates
	Bar   string  `json:"bar,omitempty"`   // what it should reach
	Met   *bool   `json:"met,omitempty"`   // whether it does; nil without a bar

	CPU      float64 `json:"cpus,omitempty"`     // processors in use, of both sides
	Switches float64 `json:"switches,omitempty"` // times that a side went to sleep, for each record or round trip
	Language string  `json:"language,omitempty"` // of a limit
}

// A Scenario is one thing to measure.
type Scenario struct {
	Name  string // structure/measure/size
	About string

	structure string
	measure   measure
	size      int // of a record in bytes
	batch     int // records that are sent with one call
	polled    bool
	area      int    // bytes of the structure
	limit     string // name of the limit that it is held against
	bar       bar
}

type measure string

const (
	latency measure = "latency"
	parked  measure = "parked"
	stream  measure = "stream"
	copied  measure = "copy"
	line    measure = "line"   // a limit
	futex   measure = "futex"  // a limit
	memcpy  measure = "memcpy" // a limit
)

// bar is what a scenario should reach: at most a ratio of times, at least a ratio
// of rates, or at least a rate. 0 is none.
type bar struct {
	atMost, atLeast float64
	rate            float64 // records a second
}

func (b bar) String() string {
	switch {
	case b.atMost > 0:
		return fmt.Sprintf("at most %g x", b.atMost)
	case b.atLeast > 0:
		return fmt.Sprintf("at least %g x", b.atLeast)
	case b.rate > 0:
		return fmt.Sprintf("at least %g M/s", b.rate/1e6)
	}
	return ""
}

// limits are the raw limits of the machine.
var limits = []Scenario{
	{Name: "limit/line", About: "two cache lines, half a round trip", measure: line},
	{Name: "limit/line/1KiB", About: "and 1 KiB written and summed", measure: line, size: 1 << 10, area: 1 << 20},
	{Name: "limit/line/64KiB", About: "and 64 KiB written and summed", measure: line, size: 64 << 10, area: 1 << 20},
	{Name: "limit/line/1MiB", About: "and 1 MiB written and summed", measure: line, size: 1 << 20, area: 8 << 20},
	{Name: "limit/futex", About: "two futexes, a round trip", measure: futex},
	{Name: "limit/memcpy/1KiB", About: "in and out of 1 MiB shared, one process",
		measure: memcpy, size: 1 << 10, area: 1 << 20},
	{Name: "limit/memcpy/64KiB", About: "in and out of 1 MiB shared, one process",
		measure: memcpy, size: 64 << 10, area: 1 << 20},
	{Name: "limit/memcpy/1MiB", About: "in and out of 8 MiB shared, one process",
		measure: memcpy, size: 1 << 20, area: 8 << 20},
}

// Scenarios returns all that can be measured, the limits last.
func Scenarios() []Scenario { return slices.Concat(ringScenarios, limits) }

// matches reports whether a scenario is meant by a word: its name, or some parts of
// it that follow each other.
func (s Scenario) matches(word string) bool {
	return strings.Contains("/"+s.Name+"/", "/"+strings.Trim(word, "/")+"/")
}

// plan returns what is to be measured: what the words mean, and the limits that
// this is held against.
func plan(words []string) (chosen []Scenario, err error) {
	all := Scenarios()
	wanted := map[string]bool{}
	for _, word := range words {
		found := false
		for _, s := range all {
			if s.matches(word) {
				found, wanted[s.Name] = true, true
			}
		}
		if !found {
			return nil, &UnknownError{word}
		}
	}
	for _, s := range all {
		if len(words) == 0 {
			wanted[s.Name] = true
		}
		if wanted[s.Name] && s.limit != "" {
			wanted[s.limit] = true
		}
	}
	for _, s := range all {
		if wanted[s.Name] {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// UnknownError: there is no scenario of that name.
type UnknownError struct{ Word string }

// Error names it.
func (e *UnknownError) Error() string {
	return fmt.Sprintf("nothing to measure is called %q", e.Word)
}

// Run measures, and returns what it found. When it returns, its processes have
// ended, and its objects and files are gone: also when ctx is done, whose error it
// then returns, or the error is an [UnknownError], or that of a process that
// failed. Elsewhere than on Linux it is errors.ErrUnsupported. The program must
// call [Role] first thing in main.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Time == 0 {
		o.Time = DefaultTime
	}
	if o.Rounds == 0 {
		o.Rounds = DefaultRounds
	}
	chosen, err := plan(o.Only)
	if err != nil {
		return nil, err
	}
	return run(ctx, o, chosen)
}

// Role plays the role that this process was started for by [Run], and ends the
// process. In any other process it does nothing.
func Role() { role() }
