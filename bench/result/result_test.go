package result

import (
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/bench/role"
)

func ours(name string) bool { return strings.HasPrefix(name, "shoal-") }

func rounds(values ...float64) (r []Round) {
	for _, v := range values {
		r = append(r, Round{Value: v, Figures: role.Figures{P50: v, Max: 2 * v, Count: 10, Other: map[string]float64{"x": v}},
			Sides: []Side{{"near", 500, 1000, 5}, {"far", 250, 1000, 15}}})
	}
	return r
}

func report(unit string, values ...[]float64) *Report {
	r := &Report{Results: []*Result{
		{Scenario: "limit/line", Participant: "limit-line", Unit: unit, Rounds: rounds(values[0]...)},
		{Scenario: "latency", Participant: "pipe", Unit: unit, Limit: "limit/line", Rounds: rounds(values[1]...)},
		{Scenario: "latency", Participant: "shoal-ring", Unit: unit, Limit: "limit/line", Rounds: rounds(values[2]...)},
		{Scenario: "latency", Participant: "broken", Unit: unit, Limit: "limit/line", Error: "it does not build"},
	}}
	r.Settle(func(string) int { return 64 }, ours)
	return r
}

// Ratios are those within rounds: here they are the same in all of them, though the
// rounds differ.
func TestSettle(t *testing.T) {
	r := report("ns", []float64{100, 400, 200}, []float64{400, 1600, 800}, []float64{150, 600, 300})
	pipe, ring := r.Results[1], r.Results[2]
	if pipe.Value != 800 || pipe.Spread != 1.5 || pipe.Max != 3200 || pipe.Other["x"] != 800 {
		t.Errorf("%+v", pipe)
	}
	if pipe.Ratio != 4 || pipe.ToShoal != 400.0/150 || ring.Ratio != 1.5 || ring.ToShoal != 0 {
		t.Errorf("pipe %g of the limit, %g of Shoal; ring %g, %g", pipe.Ratio, pipe.ToShoal, ring.Ratio, ring.ToShoal)
	}
	if pipe.CPUs != 0.75 || pipe.Switches != 2 || pipe.CPU != 3*750e-9 {
		t.Errorf("%g processors, %g sleeps, %g s", pipe.CPUs, pipe.Switches, pipe.CPU)
	}
	if noise := r.Noise(); !strings.Contains(noise, "3 of 3") {
		t.Errorf("%q", noise)
	}
	if noise := report("ns", []float64{1, 1}, []float64{1, 1.1}, []float64{1, 1}).Noise(); noise != "" {
		t.Errorf("%q", noise)
	}
	if rate := report("/s", []float64{1}, []float64{5}, []float64{7}).Results[1]; rate.Bytes != 5*64 {
		t.Errorf("%g bytes", rate.Bytes)
	}
}

// A ratio of times is worse if it is larger, one of rates if it is smaller; a quarter
// is tolerated, and what rivals do does not matter.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		unit  string
		now   float64
		worse bool
	}{{"ns", 124, false}, {"ns", 126, true}, {"ns", 10, false}, {"/s", 81, false}, {"/s", 79, true}, {"/s", 1000, false}} {
		before := report(c.unit, []float64{100}, []float64{1}, []float64{100})
		now := report(c.unit, []float64{100}, []float64{5000}, []float64{c.now})
		worse, compared := Compare(before, now, ours)
		if compared != 1 || (len(worse) == 1) != c.worse {
			t.Errorf("%g %s: %q, %d compared", c.now, c.unit, worse, compared)
		}
	}
	before, now := report("ns", []float64{1}, []float64{1}, []float64{1}), report("ns", []float64{1}, []float64{1}, []float64{1})
	now.Results[2].Error = "it hangs"
	if worse, _ := Compare(before, now, ours); len(worse) != 1 || !strings.Contains(worse[0].String(), "latency, shoal-ring: not measured: it hangs") {
		t.Errorf("%q", worse)
	}
	now.Results[2].Error, now.Results[2].Ratio = "", 0
	if worse, _ := Compare(before, now, ours); len(worse) != 1 || !strings.Contains(worse[0].Why, "limit/line was not measured") {
		t.Errorf("%q", worse)
	}
	before.Results[2].Scenario = "another"
	if worse, compared := Compare(before, now, ours); len(worse) != 0 || compared != 0 {
		t.Errorf("%q, %d compared", worse, compared)
	}
}

// The table names what was not measured, and marks what is noisy.
func TestMarkdown(t *testing.T) {
	text := report("ns", []float64{100, 400}, []float64{400, 1600}, []float64{150, 150}).Markdown(map[string]string{"pipe": "a|b"}, "")
	for _, want := range []string{"- broken: it does not build (latency)", "| pipe | 1 µs |", "150 ns"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%s", want, text)
		}
	}
}

func TestUnits(t *testing.T) {
	for want, got := range map[string]string{"152 ns": Nanoseconds(152.3), "1.52 µs": Nanoseconds(1523), "1.50 s": Nanoseconds(1.5e9),
		"31.4 M/s": Rate(31.4e6), "5/s": Rate(5), "4 MiB": Bytes(4 << 20), "64 B": Bytes(64), "15": Text(15, "threads")} {
		if want != got {
			t.Errorf("%q; want %q", got, want)
		}
	}
}
