//go:build linux && (amd64 || arm64)

package crash

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// buildVictim builds this test binary with kill points.
func buildVictim(t *testing.T) string {
	t.Helper()
	victim := filepath.Join(t.TempDir(), "victim")
	if out, err := exec.Command("go", "test", "-c", "-tags", "shoalcrash", "-o", victim, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return victim
}

// matrix collects what was tried, for people.
type matrix struct {
	mu    sync.Mutex
	rows  map[string]string
	tried int
	lost  uint64
}

func (m *matrix) row(s scenario, format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rows == nil {
		m.rows = map[string]string{}
	}
	m.rows[s.name] = fmt.Sprintf("%-52s %-14s %s", s.name, s.role, fmt.Sprintf(format, args...))
}

func (m *matrix) count(lost uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tried++
	m.lost += lost
}

func (m *matrix) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-52s %-14s %s\n", "operation, situation", "role of victim", "points")
	for _, s := range scenarios() {
		if row, there := m.rows[s.name]; there {
			fmt.Fprintln(&b, row)
		}
	}
	return b.String()
}

// TestKill kills a process at every store to shared memory that an operation
// makes, for every operation in every situation: before the first store, after
// each of them, while it sleeps, and when it has been woken. The survivors must
// meet exactly what docs/CRASH.md says, within a bound.
func TestKill(t *testing.T) {
	victim, document := buildVictim(t), sectionsByName(t)
	var m matrix
	failed := 0
	t.Run("at", func(t *testing.T) {
		for _, s := range scenarios() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				defer func() {
					if t.Failed() {
						m.mu.Lock()
						failed++
						m.mu.Unlock()
					}
				}()
				killEverywhere(t, victim, s, document[s.name], &m)
			})
		}
	})
	t.Logf("the matrix:\n%s", &m)
	t.Logf("death to a survivor's going on: %v; sleeps that ended by time: %d", &latencies, m.lost)
	t.Logf("kill points: %d tried, %d failed", m.tried, failed)
}

// killEverywhere tries all points of one scenario.
func killEverywhere(t *testing.T, victim string, s scenario, d section, m *matrix) {
	points := []int{0}
	if s.blocked != nil && s.second == nil {
		points = append(points, asleep, woken)
	}
	for _, kill := range points {
		attemptAt(t, victim, s, d, kill, m)
		if t.Failed() {
			return
		}
	}
	for kill := 1; ; kill++ {
		a := attemptAt(t, victim, s, d, kill, m)
		if t.Failed() {
			return
		}
		if !a.ended {
			continue
		}
		if a.passed != kill-1 && d.stores == d.possible && a.lost == 0 {
			t.Errorf("it could be killed at %d stores, and has made %d", kill-1, a.passed)
		}
		if most := d.possible + int(a.lost); a.passed < d.stores || a.passed > most {
			t.Errorf("it makes %d stores; docs/CRASH.md lists %d to %d", a.passed, d.stores, most)
		}
		m.row(s, "%d", len(points)+kill-1)
		return
	}
}

// starved is how many attempts in a row may end by time. That some sleep does is
// no defect on a busy machine: package park looks for lost wake-ups after 60 ms, and
// a burial that takes so long comes too late. But it should not happen always.
const starved = 3

// attemptAt makes an attempt that shows whether the burial wakes those who sleep.
func attemptAt(t *testing.T, victim string, s scenario, d section, kill int, m *matrix) (a *attempt) {
	t.Helper()
	for range starved {
		if a = attemptOnce(t, victim, s, d, kill, m); a.lost == 0 || t.Failed() {
			return a
		}
		t.Logf("killed at %s: %d sleeps ended by time", pointName(kill), a.lost)
	}
	t.Errorf("killed at %s: in each of %d attempts survivors were found to sleep over something; no death should do that", pointName(kill), starved)
	return a
}

// attemptOnce makes one attempt and compares the outcome with the document's. A
// death after the last store is like one at it.
func attemptOnce(t *testing.T, victim string, s scenario, d section, kill int, m *matrix) *attempt {
	t.Helper()
	a := &attempt{T: t, scenario: s, kill: kill}
	row := pointName(kill)
	if kill > d.possible {
		row = pointName(d.possible)
	}
	a.want = d.outcomes[row]
	got := a.run(victim)
	if a.ended { // there was no such store
		row = pointName(min(a.passed, d.possible))
		a.want = d.outcomes[row]
	} else {
		m.count(a.lost)
	}
	if !slices.Contains(a.want, got) {
		t.Errorf("killed at %s: %s; docs/CRASH.md, row %s, promises %q", pointName(kill), got, row, a.want)
	}
	return a
}

// TestStop stops a process (SIGSTOP) at every store instead. Nobody takes
// anything from it, and when it goes on all is as if nothing had happened.
func TestStop(t *testing.T) {
	victim, document := buildVictim(t), sectionsByName(t)
	var m matrix
	t.Run("at", func(t *testing.T) {
		for _, s := range scenarios() {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				d := document[s.name]
				last := d.stores
				if s.between != nil {
					last = min(last, 1) // the scenario itself stops the victim there
				}
				for stop := 1; stop <= last && !t.Failed(); stop++ {
					a := &attempt{T: t, scenario: s, kill: never, stop: stop, long: stop == 1 && s.stopped != nil}
					a.want = d.outcomes[pointName(d.stores)]
					got := a.run(victim)
					m.count(a.lost)
					if !a.ended || !a.halted {
						t.Errorf("stopped at %d: %t; it came to its end: %t", stop, a.halted, a.ended)
					}
					if !slices.Contains(a.want, got) {
						t.Errorf("stopped at %d, and killed at the end: %s; docs/CRASH.md promises %q", stop, got, a.want)
					}
					m.row(s, "%d", stop)
				}
			})
		}
	})
	t.Logf("the matrix:\n%s", &m)
	t.Logf("points of stopping: %d tried", m.tried)
}
