//go:build linux && (amd64 || arm64)

// Bench measures Shoal beside what one would use instead of it, and beside the raw
// limits of the machine, in one run: the same payloads, the same processors, the same
// clock.
//
// Usage, in the directory bench:
//
//	go run . [-time 100ms] [-rounds 3] [-only WORD,...] [-who WORD,...] [-out DIR]
//	go run . -check ../docs/bench/results.json
//	go run . -list
//	go run . -build
//
// A run writes results.json, with the raw data, README.md, a table, and plots to the
// directory, all of them in the end, or nothing. "make bench" and "make bench-check"
// call it. What it builds lies in shoal-bench in the user's directory for caches.
//
// # How
//
// Every side of a measurement is a process of its own, which is told its job as package
// role describes. In each round all scenarios are measured once, and in a scenario all
// participants after each other, so that what disturbs the machine for a while disturbs
// all of them. A result is the median of the rounds, its spread the distance between
// the best and the worst as a part of that; ratios are medians of ratios within rounds.
//
// Who spins is confined to two processors together with the other side; who is to sleep
// is pinned to one of them, and the other side to the other one. Where there is a
// server, it is a third process, on the same two.
//
// A participant that cannot be built, or fails, is named with the reason, and the others
// go on. A run that is interrupted leaves nothing. One that is killed takes its
// processes with it; what it leaves in shared memory the next run removes.
//
// The clients of Redis and NATS need modules that nothing else does. They are built
// with the tag "servers", so that all the rest does without the network.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	shoalbench "github.com/seed-247006a4/shoal/internal/bench"

	"github.com/seed-247006a4/shoal/bench/result"
	"github.com/seed-247006a4/shoal/bench/role"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "role" {
		if err := role.Play(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	time      time.Duration
	rounds    int
	only, who []string
	out       string
	check     string
	list      bool
	build     bool
}

func parse() (o options) {
	words := func(s *[]string) func(string) error {
		return func(text string) error {
			*s = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
			return nil
		}
	}
	flag.DurationVar(&o.time, "time", 100*time.Millisecond, "of each measurement in each round; a fifth more to warm up")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each is measured")
	flag.Func("only", "scenarios whose names have one of these parts", words(&o.only))
	flag.Func("who", "participants whose names have one of these parts", words(&o.who))
	flag.StringVar(&o.out, "out", "", "a directory for the results; none: the table goes to standard output alone")
	flag.StringVar(&o.check, "check", "", "measure Shoal and the limits quickly, and fail if a ratio is worse than in this file")
	flag.BoolVar(&o.build, "build", false, "build what is measured, tell what is not to be had, and measure nothing")
	flag.BoolVar(&o.list, "list", false, "tell what is measured, and measure nothing")
	flag.Parse()
	return o
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func run() error {
	o := parse()
	if flag.NArg() > 0 || o.time <= 0 || o.rounds <= 0 {
		return errors.New("want some time, some rounds, and no arguments: see -help")
	}
	var before *result.Report
	if o.check != "" {
		var err error
		if before, err = result.Read(o.check); err != nil {
			return fmt.Errorf("there is nothing to compare with, \"make bench\" makes it: %w", err)
		}
		o.who = []string{"shoal-"}
	}
	chosen, err := choose(o.only, o.who, o.check != "")
	if err != nil {
		return err
	}
	if o.list {
		for _, s := range chosen {
			fmt.Printf("%-24s %s\n", s.name, s.about)
			for _, e := range s.entrants {
				fmt.Printf("  %s\n", e.participant)
			}
		}
		return nil
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	report, err := measureAll(ctx, o, chosen)
	if err != nil {
		return err
	}
	if o.build {
		fmt.Print(report.Missing())
		return nil
	}
	if before != nil {
		return compare(ctx, o, chosen, before, report)
	}
	if o.out != "" {
		if err := write(o.out, report); err != nil {
			return err
		}
	}
	if o.out != "" {
		say("all figures and plots are in %s", o.out)
	}
	_, err = fmt.Print(report.Terminal(describe()))
	return err
}

// measureAll measures everything, round after round.
func measureAll(ctx context.Context, o options, chosen []scenario) (*result.Report, error) {
	// Processes die with the thread that has started them: this goroutine keeps it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	removeStale()
	builder, err := newBuilder(source(), say)
	if err != nil {
		return nil, err
	}
	b := &bench{builder: builder, time: o.time, temp: filepath.Join(os.TempDir(), prefix(os.Getpid()))}
	if err := os.Mkdir(b.temp, 0o700); err != nil {
		return nil, err
	}
	defer os.RemoveAll(b.temp)
	report := &result.Report{Date: time.Now().UTC().Format(time.DateOnly), Versions: versions(ctx, b.dir)}
	report.Machine, b.apart = shoalbench.Here()
	results := map[string]*result.Result{}
	count := 0
	for i := range chosen {
		s := &chosen[i]
		for _, e := range s.entrants {
			x := &result.Result{Scenario: s.name, Participant: e.participant, Unit: s.unit, Limit: s.limit}
			results[s.name+" "+e.participant] = x
			report.Results = append(report.Results, x)
			count++
		}
	}
	// What is to be built is built before anything is measured.
	for i := range chosen {
		for _, e := range chosen[i].entrants {
			j := chosen[i].job
			if _, err := byName(e.participant).program(ctx, builder, &j); err != nil && ctx.Err() == nil {
				results[chosen[i].name+" "+e.participant].Error = err.Error()
			}
		}
	}
	if o.build {
		return report, nil
	}
	n, began := 0, time.Now()
	for range o.rounds {
		for i := range chosen {
			s := &chosen[i]
			for _, e := range s.entrants {
				x := results[s.name+" "+e.participant]
				n++
				if x.Error != "" {
					continue
				}
				progress(e.participant == s.entrants[0].participant, "%d of %d, %v: %s, %s",
					n, count*o.rounds, time.Since(began).Round(time.Second), s.name, e.participant)
				round, err := b.measure(ctx, s, e)
				if ctx.Err() != nil {
					return nil, errors.New("interrupted: nothing is left behind, nothing has been written")
				}
				if err != nil {
					x.Error, x.Rounds = err.Error(), nil
					say("%s, %s: not measured: %v", s.name, e.participant, err)
					continue
				}
				x.Rounds = append(x.Rounds, round)
			}
		}
	}
	progress(false, "")
	report.Settle(func(name string) int {
		return chosen[slices.IndexFunc(chosen, func(s scenario) bool { return s.name == name })].job.Size
	}, func(name string) bool { return byName(name).ours() })
	m := &report.Machine
	m.Rounds, m.Time = o.rounds, o.time.String()
	m.Limits = "C"
	m.Method = "latency is half a round trip, by the clock of one process, whose cost is taken off; " +
		"rates are those of the receiver; every word is written and read"
	switch {
	case len(b.apart) == 2:
		m.Pinning = fmt.Sprintf("who spins, and streams: both sides confined to CPUs %d and %d; who sleeps, and limits: one side on each",
			b.apart[0], b.apart[1])
	default:
		m.Pinning = "none"
	}
	if o.rounds == 1 {
		m.Caveats = append(m.Caveats, "one round: nothing is known of how much the figures vary")
	}
	if noise := report.Noise(); noise != "" {
		m.Caveats = append(m.Caveats, noise)
	}
	return report, nil
}

// progress says what is going on, in one line on a terminal; elsewhere only if it is a new scenario.
func progress(fresh bool, format string, args ...any) {
	terminal := false
	if info, err := os.Stderr.Stat(); err == nil {
		terminal = info.Mode()&os.ModeCharDevice != 0
	}
	switch text := fmt.Sprintf(format, args...); {
	case terminal:
		fmt.Fprintf(os.Stderr, "\r%.100s\x1b[K", text)
	case fresh:
		fmt.Fprintln(os.Stderr, text)
	}
}

// compare fails if a ratio has worsened. What seems to have is measured again first, for longer: a machine that others use has
// moods, which a defect has not.
func compare(ctx context.Context, o options, chosen []scenario, before, now *result.Report) error {
	ours := func(name string) bool { return byName(name).ours() }
	worse, compared := result.Compare(before, now, ours)
	if compared == 0 {
		return errors.New("there is no ratio to compare")
	}
	for _, x := range now.Results {
		if x.Ratio > 0 {
			fmt.Printf("%-20s %-14s %6.2f of %s\n", x.Scenario, x.Participant, x.Ratio, x.Limit)
		}
	}
	if len(worse) > 0 {
		again := suspects(chosen, worse)
		say("measured again, since it is worse than before:")
		for _, w := range worse {
			say("  %v", w)
		}
		o.rounds *= 2
		second, err := measureAll(ctx, o, again)
		if err != nil {
			return err
		}
		worse, _ = result.Compare(before, second, ours)
	}
	if len(worse) > 0 {
		var lines []string
		for _, w := range worse {
			lines = append(lines, w.String())
		}
		return fmt.Errorf("worse than before:\n  %s", strings.Join(lines, "\n  "))
	}
	fmt.Printf("%d ratios, none worse by more than %.0f %%\n", compared, 100*result.Tolerance)
	return nil
}

// suspects are the scenarios in which something is worse, with that alone, and their limits.
func suspects(chosen []scenario, worse []result.Worse) (again []scenario) {
	limits := map[string]bool{}
	for _, s := range slices.Backward(chosen) { // limits come first
		if !strings.HasPrefix(s.name, "limit/") {
			s.entrants = slices.DeleteFunc(slices.Clone(s.entrants), func(e entrant) bool {
				return !slices.ContainsFunc(worse, func(w result.Worse) bool {
					return w.Scenario == s.name && w.Participant == e.participant
				})
			})
			limits[s.limit] = limits[s.limit] || len(s.entrants) > 0
		} else if !limits[s.name] {
			continue
		}
		if len(s.entrants) > 0 {
			again = append(again, s)
		}
	}
	slices.Reverse(again)
	return again
}

// describe says what the participants are.
func describe() map[string]string {
	about := map[string]string{}
	for _, p := range participants {
		about[p.name] = p.about
	}
	return about
}
