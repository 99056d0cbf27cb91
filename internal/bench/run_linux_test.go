//go:build linux && (amd64 || arm64)

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/internal/isolate"
)

// short is a run of one short round.
var short = Options{Time: 50 * time.Millisecond, Rounds: 1, Compiler: "none"}

// compiler skips where there is none.
func compiler(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Skip("needs a C compiler")
	}
}

// nothingLeft looks for objects, and files in the temporary directory.
func nothingLeft(t *testing.T) {
	t.Helper()
	if isolate.Isolated() {
		s, err := inspect.Take()
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range s.Objects {
			t.Errorf("left behind: %s", o.Address)
		}
	}
	if found, _ := filepath.Glob(filepath.Join(os.TempDir(), "shoal-bench-*")); len(found) > 0 {
		t.Errorf("left behind: %q", found)
	}
}

// Everything is measured, with figures that are possible, and nothing is left.
func TestRun(t *testing.T) {
	for _, language := range []string{"C", "Go"} {
		t.Run(language, func(t *testing.T) {
			t.Setenv("TMPDIR", t.TempDir())
			o := short
			if language == "C" {
				compiler(t)
				o.Compiler = "cc"
			} else {
				o.Only = []string{"limit"}
			}
			steps := 0
			o.Progress = func(done, of int, next string) {
				if done != steps || next == "" {
					t.Errorf("step %d: %d of %d, %q", steps, done, of, next)
				}
				steps++
			}
			r, err := Run(context.Background(), o)
			if err != nil {
				t.Fatal(err)
			}
			chosen, _ := plan(o.Only)
			if len(r.Results) != len(chosen) || steps != len(chosen) {
				t.Fatalf("%d results in %d steps; want %d", len(r.Results), steps, len(chosen))
			}
			for i, s := range chosen {
				check(t, s, r.Results[i], language)
			}
			m := r.Machine
			if m.CPU == "" || m.Kernel == "" || m.Cores == "" || m.Pinning == "" || m.Frequency == "" || !strings.HasPrefix(m.Limits, language) {
				t.Errorf("%+v", m)
			}
			if told := strings.Contains(strings.Join(m.Caveats, "\n"), "of Go programs"); told != (language == "Go") {
				t.Errorf("caveats: %q", m.Caveats)
			}
			nothingLeft(t)
		})
	}
}

// check wants a result that a machine can have: no slower than a second, and no
// faster than light.
func check(t *testing.T, s Scenario, r Result, language string) {
	t.Helper()
	if r.Name != s.Name || r.About != s.About {
		t.Errorf("%+v; want %s", r, s.Name)
	}
	if s.measure.timed() {
		if r.P50 < 5 || r.P50 > r.P99 || r.P99 > r.P999 || r.P999 > r.Max || r.Max > 5e9 || r.Rate != 0 {
			t.Errorf("%s: times %v %v %v %v, rate %v", r.Name, r.P50, r.P99, r.P999, r.Max, r.Rate)
		}
	} else if r.Rate < 10 || r.Rate > 1e9 || r.Bytes != r.Rate*float64(s.size) {
		t.Errorf("%s: %v records, %v bytes a second", r.Name, r.Rate, r.Bytes)
	}
	if (r.Ratio > 0) != (s.limit != "") || (r.Met == nil) != (s.bar == bar{}) || r.Limit != s.limit {
		t.Errorf("%s: ratio %v to %q, bar %q met: %v", r.Name, r.Ratio, r.Limit, r.Bar, r.Met)
	}
	if isLimit := !s.measure.structural(); (r.Language == language) != isLimit {
		t.Errorf("%s: language %q", r.Name, r.Language)
	}
	// Each side sleeps once for a round trip, or it is not what it says.
	if s.measure == parked && r.Switches < 1.8 {
		t.Errorf("%s: %.2f switches each", r.Name, r.Switches)
	}
	if s.measure.structural() && r.CPU <= 0 {
		t.Errorf("%s: no processor was used", r.Name)
	}
}

// Who interrupts it finds nothing left, and gets the context's error.
func TestInterrupt(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, name := range []string{"ring/stream/1KiB", "limit/line", "ring/parked"} {
		for _, when := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond} {
			ctx, cancel := context.WithCancel(context.Background())
			o := Options{Only: []string{name}, Time: time.Minute, Compiler: "none"}
			o.Progress = func(int, int, string) { time.AfterFunc(when, cancel) }
			began := time.Now()
			if r, err := Run(ctx, o); r != nil || !errors.Is(err, context.Canceled) {
				t.Errorf("%s, after %v: %v, %v", name, when, r, err)
			}
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("%s, after %v: it went on for %v", name, when, took)
			}
			nothingLeft(t)
		}
	}
}

// A side that dies, or does not agree with the other, fails the run by name.
func TestFailure(t *testing.T) {
	s := Scenario{Name: "x", measure: latency}
	one, other := tally{1, 2}, tally{1, 3}
	for _, c := range []struct {
		far, near outcome
		ok        bool
	}{
		{outcome{Sent: one, Received: other}, outcome{Sent: other, Received: one}, true},
		{outcome{Sent: one, Received: other}, outcome{Sent: one, Received: one}, false},
		{outcome{Sent: one, Received: other}, outcome{Sent: other, Received: other}, false},
	} {
		_, err := combine(s, []outcome{c.far, c.near})
		if (err == nil) != c.ok || err != nil && !strings.HasPrefix(err.Error(), "x: ") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	s = Scenario{Name: "nothing/latency", structure: "nothing", measure: latency, size: 64}
	removers["nothing"] = func(string) error { return nil }
	defer delete(removers, "nothing")
	_, err := pair(context.Background(), s, short, &place{})
	if err == nil || !strings.Contains(err.Error(), `nothing/latency, far side: structure "nothing"`) {
		t.Errorf("%v", err)
	}
	nothingLeft(t)
}

// A compiler that does not work means limits in Go, and says so; one that was asked
// for and is not there is an error.
func TestCompiler(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	t.Setenv("CC", "false -x")
	l, err := newLimiter(context.Background(), "")
	if err != nil || l.language() != "Go" || !strings.Contains(l.found, "false -x does not compile") {
		t.Errorf("%+v, %v", l, err)
	}
	if _, err := newLimiter(context.Background(), "no-such-compiler"); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("%v", err)
	}
	t.Setenv("CC", "")
	t.Setenv("PATH", t.TempDir())
	if l, err := newLimiter(context.Background(), ""); err != nil || l.found != "Go, as there is no C compiler" {
		t.Errorf("%+v, %v", l, err)
	}
	nothingLeft(t)
}

// The two sides have two processors where there are two.
func TestPlace(t *testing.T) {
	p := findPlace()
	if p.usable < 1 || len(p.apart) == 1 || (p.usable > 1) != (len(p.apart) == 2) {
		t.Fatalf("%+v", p)
	}
	if len(p.apart) == 2 && p.apart[0] == p.apart[1] {
		t.Errorf("%+v", p)
	}
	if len(p.apart) < 2 {
		return
	}
	for i, cpu := range p.apart {
		if got := p.cpus(parked, i); !slices.Equal(got, []int{cpu}) {
			t.Errorf("who sleeps is on %v; want %d", got, cpu)
		}
		if got := p.cpus(latency, i); !slices.Equal(got, p.apart) {
			t.Errorf("who spins is on %v; want %v", got, p.apart)
		}
	}
}

// directorVariable makes this test binary measure for a long time.
const directorVariable = "SHOAL_BENCH_TEST_DIRECTOR"

func director() {
	name, ok := os.LookupEnv(directorVariable)
	if !ok {
		return
	}
	_, err := Run(context.Background(), Options{Only: []string{name}, Time: time.Minute, Rounds: 1, Compiler: "none"})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Who is killed in the middle of a measurement takes its processes along, and leaves
// no object: there are no names any more.
func TestKilled(t *testing.T) {
	isolate.Require(t)
	for _, name := range []string{"ring/latency/64B/polled", "ring/stream/64KiB", "limit/futex"} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), directorVariable+"="+name)
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		var pair []string
		await(t, name+": both sides at work, without names", func() bool {
			pair = childrenOf(cmd.Process.Pid)
			s, err := inspect.Take()
			named := func(o inspect.Object) bool { return o.State != inspect.Removed }
			return len(pair) == 2 && busy(pair) && err == nil && !slices.ContainsFunc(s.Objects, named)
		})
		cmd.Process.Kill()
		cmd.Wait()
		await(t, name+": the end of both sides", func() bool {
			return !slices.ContainsFunc(pair, alive)
		})
		nothingLeft(t)
	}
}

// await waits for something that another process does.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("there never was %s", what)
		}
	}
}

// alive reports whether a process has not ended; who has ended may not have been
// waited for.
func alive(pid string) bool {
	_, after, found := strings.Cut(read("/proc/"+pid+"/stat"), ") ")
	return found && !strings.HasPrefix(after, "Z")
}

func childrenOf(pid int) (children []string) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		children = append(children, strings.Fields(read(list))...)
	}
	return children
}

// busy reports whether processes have been told to go: they map what they share,
// whose name is gone.
func busy(pids []string) bool {
	for _, pid := range pids {
		if maps := read("/proc/" + pid + "/maps"); !strings.Contains(maps, "/dev/shm/") || !strings.Contains(maps, "(deleted)") {
			return false
		}
	}
	return true
}
