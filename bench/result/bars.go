package result

import (
	"fmt"
	"strings"
)

// A Bar is what Shoal is to reach.
type Bar struct {
	What  string
	Want  string
	Got   string
	Met   bool
	Known bool // whether it was measured
}

// Bars tells which bars are reached.
func (r *Report) Bars() (bars []Bar) {
	value := func(scenario, who string) float64 {
		if x := r.find(scenario, who); x != nil {
			return x.Value
		}
		return 0
	}
	overLimit := func(scenario, who string) float64 {
		if x := r.find(scenario, who); x != nil {
			return x.Ratio
		}
		return 0
	}
	// ratio within rounds
	between := func(scenario, who, otherScenario, other string) float64 {
		a, b := r.find(scenario, who), r.find(otherScenario, other)
		if a == nil || b == nil {
			return 0
		}
		return ratio(a, b)
	}
	add := func(what, want string, got float64, format string, met bool) {
		b := Bar{What: what, Want: want, Got: "not measured", Known: got != 0}
		if b.Known {
			b.Got, b.Met = fmt.Sprintf(format, got), met
		}
		bars = append(bars, b)
	}
	atMost := func(what, want string, got, most float64) { add(what, want, got, "%.2f x", got <= most) }
	atLeast := func(what, want string, got, least float64) { add(what, want, got, "%.2f x", got >= least) }

	atMost("spinning, one way, p50, 64 B, ring, Peek", "≤ 1.25 x two cache lines", overLimit("latency/call/64B", "shoal-ring"), 1.25)
	atMost("the same, TryPeek in a loop", "≤ 1.25 x two cache lines", overLimit("latency/spin/64B", "shoal-ring"), 1.25)
	for _, scenario := range []string{"latency/call/64B", "latency/spin/64B"} {
		atMost(map[string]string{"latency/call/64B": "Peek", "latency/spin/64B": "TryPeek in a loop"}[scenario], "≤ 1 x iceoryx2",
			between(scenario, "shoal-ring", "latency/spin/64B", "iceoryx2"), 1)
	}
	atMost("sleeping, p50, 64 B, ring", "≤ 1.25 x two futexes", overLimit("latency/block/64B", "shoal-ring"), 1.25)
	for _, who := range []string{"c-unix", "c-pipe", "boost-mq", "iceoryx2"} {
		atMost("the same", "below "+who, between("latency/block/64B", "shoal-ring", "latency/block/64B", who), 1)
	}
	for _, c := range []struct {
		name string
		want float64
	}{{"single", 30e6}, {"batch", 100e6}} {
		scenario := "stream/64B/" + c.name
		rate := value(scenario, "shoal-ring")
		add("stream of 64 B, "+c.name+", ring", fmt.Sprintf("≥ %.0f M/s", c.want/1e6), rate/1e6, "%.1f M/s", rate >= c.want)
		best, whose := 0.0, "the best rival"
		for _, x := range r.Results {
			rival := !strings.HasPrefix(x.Participant, "shoal-") && x.Participant != "go-channel"
			if x.Scenario == scenario && rival && x.Value > best {
				best, whose = x.Value, "the best rival, "+x.Participant
			}
		}
		atLeast("the same", "≥ 5 x "+whose, between(scenario, "shoal-ring", scenario, strings.TrimPrefix(whose, "the best rival, ")), 5)
	}
	for _, size := range []string{"1MiB", "4MiB"} {
		atLeast(size+", written and read, ring", "≥ 0.95 x memcpy", overLimit("copy/"+size, "shoal-ring"), 0.95)
	}
	for _, who := range []string{"shoal-ring", "shoal-topic"} {
		atMost("4 MiB lent and received untouched, "+who, "≤ 1.2 x 64 B",
			between("latency/untouched/4MiB", who, "latency/untouched/64B", who), 1.2)
	}
	atMost("publish with 1,000 idle reliable subscribers", "≤ 1.1 x of 1 that pauses as long",
		between("fan-out/rested/1000", "shoal-topic", "fan-out/rested/1", "shoal-topic"), 1.1)
	atMost("the same", "≤ 1.1 x of 1 that does not pause", between("fan-out/publish/1000", "shoal-topic", "fan-out/publish/1", "shoal-topic"), 1.1)
	atLeast("work queue 4 x 4", "≥ 3 x Boost message_queue", between("queue/4x4", "shoal-queue", "queue/4x4", "boost-mq"), 3)
	for _, who := range []string{"ring", "topic", "queue"} {
		atMost("Go over the C header, 64 B, spinning, "+who, "≤ 1.1 x",
			between("latency/spin/64B", "shoal-"+who, "latency/spin/64B", "shoal-c-"+who), 1.1)
		atMost("the same, a stream, time for a record", "≤ 1.1 x",
			between("stream/64B/single", "shoal-c-"+who, "stream/64B/single", "shoal-"+who), 1.1)
	}
	for _, c := range []struct {
		who, with string
		most      float64
	}{{"shoal-event", "io_uring", 32}, {"shoal-event-waitv", "futex_waitv", 128}} {
		x, idle := r.find("waiting/10000", c.who), r.find("waiting/10000", "go-channel")
		what, want := "10,000 waiting goroutines, "+c.with, fmt.Sprintf("< %.0f threads", c.most)
		if x == nil || c.with == "io_uring" && x.Other["io_uring"] == 0 {
			add(what, want, 0, "", false) // or this machine does not allow it
			continue
		}
		add(what, want, x.Value, "%.0f threads", x.Value < c.most)
		if idle == nil {
			add("the same", noCPU, 0, "", false)
			continue
		}
		bars = append(bars, Bar{"the same", noCPU, fmt.Sprintf("%.2f %% of a processor, on channels %.2f %%", 100*x.CPUs, 100*idle.CPUs),
			x.CPUs < idle.CPUs+0.01, true})
	}
	return bars
}

// noCPU is what counts as none: a process in Go takes a little whatever it waits for, and so as many that wait on channels
// are held against it.
const noCPU = "0 CPU: < 1 % more than on Go channels"
