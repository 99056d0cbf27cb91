// Package role plays the roles of a measurement, for the participants in Go.
//
// A measurement is made by processes that play a role each. A process is told its
// [Job] in its arguments, NAME=VALUE; it opens what it needs, says "ready" on
// standard output, waits for a line on standard input, measures, and prints its
// [Outcome], a line of JSON. Those in C, C++, Rust and Java do the same, in the same
// way (../c/roles.h, ../iceoryx2, ../aeron): the same payloads, the same clock, the
// same warm-up.
//
// # Payloads
//
// A record is of 8-byte words. The first is its number, the second what it tells the
// other side, [End] for the last one. In a record of 64 bytes the others hold the
// number too; in longer ones a pattern that stays. The sender has it in memory of its
// own, and hands it, all of it, to what is measured. The receiver adds all the words
// where they lie, or, where the job says so, copies the record into memory of its own.
// The sums of all sides must agree in the end.
package role

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Job is what a process is to do.
type Job struct {
	Participant string        // which; a program that is but one may ignore it
	Side        string        // Near or Far, or the name of another part
	Measure     string        // what is measured
	Wait        string        // how one waits for the other
	Size        int           // bytes of a record
	Batch       int           // records that are sent with one call
	Area        int           // bytes that the transport may hold
	There, Back string        // names of what leads from the near to the far side, and back; "" if there is none
	Server      string        // where the server is, if there is one
	Dir         string        // a directory for what needs one
	Time        time.Duration // of the measurement; a fifth more to warm up
	Ends        int           // records that tell the end, after which a receiver ends
	Count       int           // of subscribers and the like, in this process
	Number      int           // of this process among those of its side
	Shared      bool          // each record goes to one of the receivers
	Copy        bool          // records are taken out by copying them
	Untouched   bool          // records are neither written nor read, but for their first words
}

// Sides of a measurement. The near one begins, and measures round trips.
const (
	Near = "near"
	Far  = "far"
)

// What is measured.
const (
	Ping    = "ping"    // round trips
	Stream  = "stream"  // records that the far side receives
	Publish = "publish" // what it costs to send, while nobody reads
	Hold    = "hold"    // nothing: both sides have opened what they need
	Attach  = "attach"  // how long it takes to open what is there
	Death   = "death"   // how long until the near side learns that the far one has died
	Sleep   = "sleep"   // what it takes to wait
	Latest  = "latest"  // how fast the latest of many is had
)

// How one waits.
const (
	Spin     = "spin"     // by looking again and again
	Block    = "block"    // by sleeping
	Adaptive = "adaptive" // by spinning a while, then sleeping
	Cold     = "cold"     // by sleeping, and a millisecond passes between two round trips
)

// Args are the arguments that tell a process its job.
func (j Job) Args() (args []string) {
	v := reflect.ValueOf(j)
	for i := range v.NumField() {
		name := strings.ToLower(v.Type().Field(i).Name)
		var text string
		switch value := v.Field(i).Interface().(type) {
		case string:
			text = value
		case int:
			text = strconv.Itoa(value)
		case bool:
			text = strconv.Itoa(map[bool]int{true: 1}[value])
		case time.Duration:
			name, text = "seconds", strconv.FormatFloat(value.Seconds(), 'g', -1, 64)
		}
		args = append(args, name+"="+text)
	}
	return args
}

// ParseJob reads what Args has made.
func ParseJob(args []string) (j Job, err error) {
	v := reflect.ValueOf(&j).Elem()
	for _, arg := range args {
		name, text, ok := strings.Cut(arg, "=")
		if !ok {
			return j, fmt.Errorf("argument %q: want NAME=VALUE", arg)
		}
		if name == "seconds" {
			s, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return j, fmt.Errorf("argument %q: %w", arg, err)
			}
			j.Time = time.Duration(s * 1e9)
			continue
		}
		f := v.FieldByNameFunc(func(field string) bool { return strings.ToLower(field) == name })
		switch {
		case !f.IsValid():
			return j, fmt.Errorf("argument %q: there is none of that name", arg)
		case f.Kind() == reflect.String:
			f.SetString(text)
		default:
			n, err := strconv.Atoi(text)
			if err != nil {
				return j, fmt.Errorf("argument %q: %w", arg, err)
			}
			if f.Kind() == reflect.Bool {
				f.SetBool(n != 0)
			} else {
				f.SetInt(int64(n))
			}
		}
	}
	return j, nil
}

// Tally is what a side has sent or received.
type Tally struct {
	Records uint64 `json:"records"`
	Sum     uint64 `json:"sum"` // of all words, modulo 2^64
}

// Outcome is what a process has found. Times are in nanoseconds.
type Outcome struct {
	Sent     Tally `json:"sent"`
	Received Tally `json:"received"`
	Figures
}

// Figures are those that stay in the results.
type Figures struct {
	P50      float64            `json:"p50,omitempty"`
	P99      float64            `json:"p99,omitempty"`
	P999     float64            `json:"p999,omitempty"`
	Max      float64            `json:"max,omitempty"`
	Count    uint64             `json:"count,omitempty"`    // of what has been measured
	Took     int64              `json:"took,omitempty"`     // for them
	CPU      int64              `json:"cpu,omitempty"`      // time of processors that was used meanwhile
	Switches int64              `json:"switches,omitempty"` // how often threads went to sleep meanwhile
	Other    map[string]float64 `json:"other,omitempty"`    // what else was measured, by name
}
