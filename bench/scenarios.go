//go:build linux && (amd64 || arm64)

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-247006a4/shoal/bench/role"
)

// A scenario is one thing to measure, of all that have it.
type scenario struct {
	name  string // group/..., the name in the results
	about string
	job   role.Job // what the two sides have in common; Wait may be left to the entrant
	unit  string   // of the value: ns, /s, bytes, threads
	halve bool     // a round trip counts as two ways

	near, far int  // how many processes of each side; 0 means one
	apart     bool // each on a processor of its own: nobody can spin

	limit    string // name of the scenario that is the limit
	entrants []entrant
}

// An entrant is a participant in a scenario.
type entrant struct {
	participant string
	wait        string // how it waits, if the scenario does not say
}

// enter makes entrants of words: "boost-spsc:spin" waits by spinning.
func enter(words string) (list []entrant) {
	for word := range strings.FieldsSeq(words) {
		name, wait, _ := strings.Cut(word, ":")
		list = append(list, entrant{name, wait})
	}
	return list
}

// sizes of records, by what they are called.
var sizes = []struct {
	name string
	n    int
}{{"64B", 64}, {"1KiB", 1 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}, {"4MiB", 4 << 20}}

// area is how many bytes of records of a size a transport may hold in a stream, and room if one record is under way at
// a time: what is gone round in is warm sooner.
func area(size int) int { return max(1<<20, 4*size) }
func room(size int) int { return max(64<<10, 4*size) }

// scenarios returns all of them, in the order of the report: the limits come first.
func scenarios() (list []scenario) {
	add := func(s scenario) { list = append(list, s) }
	for _, s := range sizes {
		add(scenario{name: "limit/line/" + s.name, about: "two cache lines, and the payload written and read, in C",
			job: role.Job{Measure: "line", Size: s.n, Area: s.n}, unit: "ns", entrants: enter("limit-line"), apart: true})
	}
	for _, s := range sizes {
		add(scenario{name: "limit/futex/" + s.name, about: "two futexes, and the payload written and read, in C", halve: true,
			job: role.Job{Measure: "futex", Size: s.n, Area: s.n}, unit: "ns", entrants: enter("limit-futex"), apart: true})
	}
	for _, s := range sizes {
		add(scenario{name: "limit/memcpy/" + s.name, about: "in and out of shared memory, one process, in C",
			job: role.Job{Measure: "memcpy", Size: s.n, Area: max(1<<20, 8*s.n)}, unit: "/s", entrants: enter("limit-memcpy"), apart: true})
	}

	for _, s := range sizes {
		who := "shoal-ring shoal-topic c-pipe c-unix c-mqueue boost-mq boost-spsc iceoryx2 aeron"
		if s.n <= 1<<10 {
			who = "shoal-ring shoal-topic shoal-queue shoal-c-ring shoal-c-topic shoal-c-queue shoal-py-ring c-pipe c-unix c-mqueue boost-mq boost-spsc iceoryx2 aeron"
		}
		add(scenario{name: "latency/spin/" + s.name, about: "one way, both sides look without a pause", halve: true,
			job: role.Job{Measure: role.Ping, Wait: role.Spin, Size: s.n, Area: room(s.n)}, unit: "ns",
			limit: "limit/line/" + s.name, entrants: enter(who)})
	}
	for _, s := range sizes[:2] {
		add(scenario{name: "latency/call/" + s.name, about: "one way, the call that waits: it spins, then sleeps", halve: true,
			job: role.Job{Measure: role.Ping, Wait: role.Adaptive, Size: s.n, Area: room(s.n)}, unit: "ns",
			limit: "limit/line/" + s.name, entrants: enter("shoal-ring shoal-topic shoal-queue")})
	}
	for _, s := range sizes {
		who := "shoal-ring shoal-topic c-pipe c-unix c-mqueue boost-mq iceoryx2 go-pipe go-unix redis nats"
		if s.n == 64 {
			who = "shoal-ring shoal-topic shoal-queue shoal-c-ring shoal-c-topic shoal-c-queue shoal-py-ring c-pipe c-unix c-mqueue boost-mq iceoryx2 go-pipe go-unix go-channel redis nats"
		}
		add(scenario{name: "latency/block/" + s.name, about: "one way, both sides sleep", halve: true,
			job: role.Job{Measure: role.Ping, Wait: role.Block, Size: s.n, Area: room(s.n)}, unit: "ns", apart: true,
			limit: "limit/futex/" + s.name, entrants: enter(who)})
	}
	add(scenario{name: "latency/cold/64B", about: "one way, both sides sleep, and a millisecond passes before each round trip",
		halve: true, job: role.Job{Measure: role.Ping, Wait: role.Cold, Size: 64, Area: room(64)}, unit: "ns", apart: true,
		limit:    "limit/futex/64B",
		entrants: enter("shoal-ring shoal-topic shoal-queue shoal-c-ring shoal-c-topic shoal-c-queue shoal-py-ring c-pipe c-unix c-mqueue boost-mq iceoryx2 go-pipe go-unix redis nats")})
	add(scenario{name: "latency/untouched/64B", about: "one way, lent and received where it lies, not written, not read",
		halve: true, job: role.Job{Measure: role.Ping, Wait: role.Spin, Size: 64, Area: room(64), Untouched: true}, unit: "ns",
		limit: "limit/line/64B", entrants: enter("shoal-ring shoal-topic iceoryx2")})
	add(scenario{name: "latency/untouched/4MiB", about: "one way, lent and received where it lies, not written, not read",
		halve: true, job: role.Job{Measure: role.Ping, Wait: role.Spin, Size: 4 << 20, Area: 32 * 4 << 20, Untouched: true}, unit: "ns",
		limit: "limit/line/64B", entrants: enter("shoal-ring shoal-topic iceoryx2")})

	add(scenario{name: "latency/threads/64B", about: "one way, two threads of one process, not written, not read: iceoryx2's own method",
		halve: true, job: role.Job{Measure: "threads", Wait: role.Spin, Size: 64, Area: room(64), Untouched: true}, unit: "ns",
		limit: "limit/line/64B", entrants: enter("iceoryx2-threads")})

	streams := "shoal-ring shoal-topic c-pipe c-unix c-mqueue boost-mq boost-spsc:spin iceoryx2:spin aeron:spin go-pipe go-unix redis nats"
	for _, s := range sizes[:3] {
		limit, who := "limit/memcpy/"+s.name, streams
		if s.n == 64 {
			who = strings.Replace(who, "shoal-topic", "shoal-topic shoal-queue shoal-c-ring shoal-c-topic shoal-c-queue shoal-py-ring", 1) + " go-channel"
		}
		add(scenario{name: "stream/" + s.name + "/single", about: "records a second, each sent with a call of its own",
			job: role.Job{Measure: role.Stream, Size: s.n, Area: area(s.n)}, unit: "/s", limit: limit, entrants: enter(who)})
		who = "shoal-ring shoal-topic c-pipe c-unix boost-spsc:spin go-pipe go-unix redis"
		if s.n == 64 {
			who = strings.Replace(who, "shoal-topic", "shoal-topic shoal-queue shoal-c-ring shoal-c-topic", 1)
		}
		add(scenario{name: "stream/" + s.name + "/batch", about: fmt.Sprintf("records a second, %d sent with a call", batch(s.n)),
			job:  role.Job{Measure: role.Stream, Size: s.n, Area: area(s.n), Batch: batch(s.n)},
			unit: "/s", limit: limit, entrants: enter(who)})
	}
	for _, s := range sizes[3:] {
		add(scenario{name: "copy/" + s.name, about: "records a second, copied in by one side and out by the other",
			job: role.Job{Measure: role.Stream, Size: s.n, Area: 8 * s.n, Copy: true}, unit: "/s",
			limit: "limit/memcpy/" + s.name, entrants: enter(streams)})
	}

	for _, n := range []int{1, 2, 4, 16, 64, 256, 1000} {
		add(scenario{name: fmt.Sprintf("fan-out/publish/%d", n), about: "what publishing costs, subscribers do not look",
			job: role.Job{Measure: role.Publish, Size: 64, Area: 1 << 20, Count: n}, unit: "ns",
			entrants: enter("shoal-topic iceoryx2 redis nats")})
	}
	for _, n := range []int{1, 1000} {
		add(scenario{name: fmt.Sprintf("fan-out/rested/%d", n), about: "the same, and the lane has been left alone for 25 ms, as a thousand take to read",
			job: role.Job{Measure: role.Publish, Wait: role.Cold, Size: 64, Area: 1 << 20, Count: n}, unit: "ns",
			entrants: enter("shoal-topic")})
	}
	for _, n := range []int{1, 2, 4, 16, 64, 256, 1000} {
		add(scenario{name: fmt.Sprintf("fan-out/deliver/%d", n), about: "deliveries a second, all subscribers in one process",
			job: role.Job{Measure: role.Stream, Size: 64, Area: 1 << 17, Count: n, Ends: n}, unit: "/s",
			entrants: enter("shoal-topic iceoryx2:spin redis nats")})
	}
	for _, n := range []int{1, 2, 4} {
		add(scenario{name: fmt.Sprintf("fan-in/%d", n), about: "records a second, so many publishers, one subscriber",
			job: role.Job{Measure: role.Stream, Size: 64, Area: 1 << 20, Ends: n, Count: 1}, unit: "/s", near: n,
			entrants: enter("shoal-topic c-mqueue boost-mq iceoryx2:spin redis nats")})
	}
	for _, n := range []int{1, 4} {
		add(scenario{name: fmt.Sprintf("queue/%dx%d", n, n), about: "messages a second, each to one consumer, acknowledged where that exists",
			job: role.Job{Measure: role.Stream, Size: 64, Area: 1 << 16, Ends: 1, Shared: true}, unit: "/s", near: n, far: n,
			entrants: enter("shoal-queue shoal-c-queue boost-mq c-mqueue redis")})
	}
	add(scenario{name: "latest/64B", about: "to get the latest of ten values",
		job: role.Job{Measure: role.Latest, Size: 64, Area: 1 << 16, Count: 1}, unit: "ns", entrants: enter("shoal-topic iceoryx2")})

	for _, n := range []int{1, 10, 100, 1000, 10_000} {
		add(scenario{name: fmt.Sprintf("waiting/%d", n), about: "threads of a process with so many goroutines that wait",
			job: role.Job{Measure: role.Sleep, Count: n, Size: 64}, unit: "threads", entrants: enter("shoal-event shoal-event-waitv go-pipe go-channel")})
	}
	add(scenario{name: "attach", about: "to open what is there, be able to receive, and close it",
		job: role.Job{Measure: role.Attach, Size: 64, Area: 1 << 20}, unit: "ns",
		entrants: enter("shoal-ring shoal-topic shoal-mutex go-unix iceoryx2 redis nats")})
	add(scenario{name: "memory", about: "size in shared memory of an object for 1 MiB of records of 64 bytes, open at both ends",
		job: role.Job{Measure: role.Hold, Size: 64, Area: 1 << 20}, unit: "bytes",
		entrants: enter("shoal-ring shoal-topic shoal-queue shoal-mutex boost-mq boost-spsc:spin iceoryx2:spin aeron:spin")})
	add(scenario{name: "death", about: "from SIGKILL to what the survivor does about it",
		job: role.Job{Measure: role.Death, Size: 64}, unit: "ns",
		entrants: enter("shoal-mutex shoal-queue go-pipe go-unix")})
	return list
}

// batch is how many records of a size are sent with one call.
func batch(size int) int { return max(min(64, 64<<10/size), 2) }

// check are the scenarios of "make bench-check", of Shoal and of the limits.
var check = []string{"limit/line/64B", "limit/futex/64B", "limit/memcpy/64B", "limit/memcpy/1KiB", "limit/memcpy/1MiB",
	"latency/spin/64B", "latency/call/64B", "latency/block/64B", "stream/64B/single", "stream/64B/batch", "stream/1KiB/single", "copy/1MiB"}

// choose returns the scenarios that are meant by words, parts of their names, and their
// limits; and of them the entrants that are meant.
func choose(words, who []string, quick bool) (list []scenario, err error) {
	all := scenarios()
	wanted := map[string]bool{}
	for _, s := range all {
		if len(words) == 0 || slices.ContainsFunc(words, func(w string) bool { return strings.Contains(s.name, w) }) {
			wanted[s.name], wanted[s.limit] = true, true
		}
	}
	for _, s := range all {
		if quick {
			wanted[s.name] = slices.Contains(check, s.name)
		}
		if !wanted[s.name] {
			continue
		}
		if !strings.HasPrefix(s.name, "limit/") {
			s.entrants = slices.DeleteFunc(s.entrants, func(e entrant) bool {
				return len(who) > 0 && !slices.ContainsFunc(who, func(w string) bool { return strings.Contains(e.participant, w) })
			})
		}
		if len(s.entrants) > 0 {
			list = append(list, s)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("no scenario and participant are of these names: see -list")
	}
	return list, nil
}
