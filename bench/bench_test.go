//go:build linux && (amd64 || arm64)

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	shoalbench "github.com/seed-247006a4/shoal/internal/bench"
	"github.com/seed-247006a4/shoal/internal/isolate"

	"github.com/seed-247006a4/shoal/bench/result"
	"github.com/seed-247006a4/shoal/bench/role"
)

// TestMain plays roles, and lets the tests leave nothing behind.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "role" {
		if err := role.Play(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	isolate.Main(m)
}

func newBench(t *testing.T) *bench {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // where programs are built
	b, err := newBuilder(source(), t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	_, apart := shoalbench.Here()
	return &bench{builder: b, time: 10 * time.Millisecond, apart: apart, temp: t.TempDir()}
}

// measured are some of the participants that need no more than Go and C, in scenarios of every kind.
var measured = map[string][]string{
	"limit/line/64B":     {"limit-line"},
	"limit/futex/1KiB":   {"limit-futex"},
	"limit/memcpy/64B":   {"limit-memcpy"},
	"latency/spin/64B":   {"shoal-ring", "shoal-topic", "shoal-queue", "c-pipe"},
	"latency/spin/64KiB": {"shoal-ring", "c-unix"},
	"latency/call/1KiB":  {"shoal-ring"},
	"latency/block/64B":  {"shoal-ring", "c-unix", "go-pipe", "go-channel"},
	"latency/cold/64B":   {"shoal-topic"},
	"stream/64B/single":  {"shoal-ring", "go-unix", "go-channel"},
	"stream/64B/batch":   {"shoal-ring", "shoal-topic", "shoal-queue", "c-pipe"},
	"copy/1MiB":          {"shoal-ring"},
	"fan-out/publish/4":  {"shoal-topic"},
	"fan-out/deliver/4":  {"shoal-topic"},
	"fan-in/2":           {"shoal-topic"},
	"queue/4x4":          {"shoal-queue"},
	"latest/64B":         {"shoal-topic"},
	"waiting/10":         {"shoal-event", "go-pipe"},
	"attach":             {"shoal-ring", "shoal-mutex", "go-unix"},
	"memory":             {"shoal-mutex"},
	"death":              {"shoal-mutex", "shoal-queue", "go-unix"},
}

// Each of them gives a figure, and leaves nothing.
func TestMeasure(t *testing.T) {
	b := newBench(t)
	left := len(measured)
	for _, s := range scenarios() {
		who := measured[s.name]
		if len(who) > 0 {
			left--
		}
		for _, e := range s.entrants {
			if !slices.Contains(who, e.participant) {
				continue
			}
			who = slices.DeleteFunc(slices.Clone(who), func(name string) bool { return name == e.participant })
			r, err := b.measure(t.Context(), &s, e)
			switch {
			case err != nil:
				t.Errorf("%s, %s: %v", s.name, e.participant, err)
			case r.Value <= 0:
				t.Errorf("%s, %s: %+v", s.name, e.participant, r)
			}
			if left := objects(prefix(os.Getpid())); len(left) > 0 {
				t.Fatalf("%s, %s leaves %v", s.name, e.participant, left)
			}
		}
		if len(who) > 0 {
			t.Errorf("%s: nobody is called %q", s.name, who)
		}
	}
	if left > 0 {
		t.Errorf("%d scenarios have other names now", left)
	}
}

// Everybody in a scenario exists, once, and every limit is a scenario that comes before what is held against it.
func TestScenarios(t *testing.T) {
	var before []string
	for _, s := range scenarios() {
		if slices.Contains(before, s.name) {
			t.Errorf("%s is there twice", s.name)
		}
		if s.limit != "" && !slices.Contains(before, s.limit) {
			t.Errorf("%s is held against %s, which does not come before", s.name, s.limit)
		}
		before = append(before, s.name)
		seen := map[string]bool{}
		for _, e := range s.entrants {
			if byName(e.participant) == nil || seen[e.participant] {
				t.Errorf("%s: participant %q: none of that name, or twice", s.name, e.participant)
			}
			seen[e.participant] = true
		}
	}
	for _, name := range check {
		if !slices.Contains(before, name) {
			t.Errorf("%s is to be checked, and is no scenario", name)
		}
	}
}

// A participant that cannot be built, hangs or dies is an error that says so, and
// leaves nothing.
func TestFailure(t *testing.T) {
	b := newBench(t)
	s := scenario{name: "x", unit: "ns", job: role.Job{Measure: role.Ping, Size: 64, Area: 1 << 16}}
	play := func(ctx context.Context, command ...string) error {
		_, err := b.play(ctx, &s, &participant{name: "x"}, command, s.job)
		return err
	}
	for want, command := range map[string][]string{
		"no such file":         {"/nonexistent"},
		"instead of":           {"/bin/true"},
		"no memory error here": {"/bin/sh", "-c", "echo no memory error here >&2; exit 1"},
		"its result":           {"/bin/sh", "-c", "echo ready; read line"},
	} {
		if err := play(t.Context(), command...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v; want %q", command, err, want)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if err := play(ctx, "/bin/sh", "-c", "echo ready; exec sleep 1000"); err == nil || !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.Errorf("one that hangs: %v", err)
	}
	if err := b.once(t.Context(), ".", "it", []string{"/bin/sh", "-c", "echo first; echo error: second; exit 1"}); err == nil ||
		!strings.Contains(err.Error(), "it does not build") || !strings.Contains(err.Error(), "error: second") {
		t.Errorf("%v", err)
	}
	if err := b.once(t.Context(), ".", "that", []string{"no-such-compiler"}); err == nil || !strings.Contains(err.Error(), "there is no no-such-compiler") {
		t.Errorf("%v", err)
	}
}

// A side that fails is named, though the other one waits for it.
func TestFarFails(t *testing.T) {
	b := newBench(t)
	s := scenario{name: "x", unit: "ns", job: role.Job{Measure: role.Ping, Size: 64, Area: 1 << 16}}
	command := []string{"/bin/sh", "-c", `echo ready; read line; for a; do if [ "$a" = side=near ]; then exec sleep 1000; fi; done
		echo error: it has broken >&2; exit 1`, "sh"}
	began := time.Now()
	_, err := b.play(t.Context(), &s, &participant{name: "x"}, command, s.job)
	if err == nil || !strings.Contains(err.Error(), "far side: error: it has broken") || time.Since(began) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(began), err)
	}
}

// Sides that do not agree on what was sent fail.
func TestDisagree(t *testing.T) {
	b := newBench(t)
	s := scenario{name: "x", unit: "/s", job: role.Job{Measure: role.Stream, Size: 64, Area: 1 << 16}}
	say := `echo ready; read line; echo "{\"sent\":{\"records\":5,\"sum\":$SUM},\"received\":{\"records\":0,\"sum\":0}}"`
	hear := `echo ready; read line; echo '{"sent":{"records":0,"sum":0},"received":{"records":5,"sum":17},"count":5,"took":100}'`
	for sum, ok := range map[string]bool{"17": true, "18": false} {
		t.Setenv("SUM", sum)
		command := []string{"/bin/sh", "-c", `for a; do if [ "$a" = side=near ]; then ` + say + `; exit; fi; done; ` + hear, "sh"}
		_, err := b.play(t.Context(), &s, &participant{name: "x"}, command, s.job)
		if (err == nil) != ok {
			t.Errorf("%s: %v", sum, err)
		}
	}
}

// A run that is interrupted, or killed, leaves no process and writes nothing; what one
// that was killed has left in shared memory the next one removes.
func TestInterrupt(t *testing.T) {
	for _, killed := range []bool{false, true} {
		out := filepath.Join(t.TempDir(), "out")
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestDirector$")
		cmd.Env = append(os.Environ(), "SHOAL_BENCH_DIRECTOR="+out)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		await(t, "an object", func() bool { return len(objects(prefix(cmd.Process.Pid))) > 0 })
		if killed {
			_ = cmd.Process.Kill()
		} else {
			_ = cmd.Process.Signal(os.Interrupt)
		}
		_ = cmd.Wait()
		await(t, "the end of both sides", func() bool { return !playing(cmd.Process.Pid) })
		if killed {
			removeStale()
		}
		left := objects(prefix(cmd.Process.Pid))
		if _, err := os.Stat(filepath.Join(os.TempDir(), prefix(cmd.Process.Pid))); err == nil {
			left = append(left, "its directory")
		}
		if _, err := os.Stat(out); err == nil {
			left = append(left, "results")
		}
		if len(left) > 0 {
			t.Errorf("killed %v: it leaves %v", killed, left)
		}
	}
}

// TestDirector is a run that takes long, in a process of its own.
func TestDirector(t *testing.T) {
	out, ok := os.LookupEnv("SHOAL_BENCH_DIRECTOR")
	if !ok {
		return
	}
	os.Args = []string{"bench", "-time", "1m", "-only", "fan-in/2", "-who", "shoal-topic", "-out", out}
	main()
}

// playing reports whether processes play a role in a run.
func playing(pid int) bool {
	found, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	return slices.ContainsFunc(found, func(path string) bool {
		text, _ := os.ReadFile(path)
		return strings.Contains(string(text), "there="+prefix(pid))
	})
}

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there never was %s", what)
		}
	}
}

// Results are written whole.
func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	r := &result.Report{Results: []*result.Result{
		{Scenario: "latency/spin/64B", Participant: "shoal-ring", Unit: "ns", Rounds: []result.Round{{Value: 150}}},
		{Scenario: "latency/spin/1KiB", Participant: "shoal-ring", Unit: "ns", Rounds: []result.Round{{Value: 550}}}}}
	r.Settle(func(string) int { return 64 }, func(string) bool { return true })
	if err := write(dir, r); err != nil {
		t.Fatal(err)
	}
	got, err := result.Read(filepath.Join(dir, "results.json"))
	if err != nil || len(got.Results) != 2 || got.Results[0].Value != 150 {
		t.Errorf("%+v, %v", got, err)
	}
	var names []string
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if want := []string{"README.md", "latency.svg", "results.json", "spin.svg"}; !slices.Equal(names, want) {
		t.Errorf("%v; want %v", names, want)
	}
}

// Words choose scenarios with their limits.
func TestChoose(t *testing.T) {
	list, err := choose([]string{"latency/spin/1KiB"}, []string{"shoal-ring"}, false)
	if err != nil || len(list) != 2 || list[0].name != "limit/line/1KiB" || len(list[1].entrants) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := choose([]string{"nothing"}, nil, false); err == nil {
		t.Error("there is a scenario of that name")
	}
	quick, err := choose(nil, []string{"shoal-"}, true)
	if err != nil || len(quick) != len(check) {
		t.Errorf("%d scenarios to check, %v; want %d", len(quick), err, len(check))
	}
}

// What is worse is measured again, with its limit, and nothing else.
func TestSuspects(t *testing.T) {
	chosen, err := choose(nil, []string{"shoal-"}, true)
	if err != nil {
		t.Fatal(err)
	}
	again := suspects(chosen, []result.Worse{{Scenario: "latency/spin/64B", Participant: "shoal-topic"}})
	if len(again) != 2 || again[0].name != "limit/line/64B" || again[1].name != "latency/spin/64B" ||
		len(again[1].entrants) != 1 || again[1].entrants[0].participant != "shoal-topic" {
		t.Errorf("%+v", again)
	}
}
