//go:build linux && (amd64 || arm64)

package bench

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	for _, c := range []struct {
		words []string
		want  []string
	}{
		{[]string{"parked"}, []string{"ring/parked/64B", "limit/futex"}},
		{[]string{"ring/copy/1MiB", "copy"}, []string{"ring/copy/1MiB", "limit/memcpy/1MiB"}},
		{[]string{"stream/64B"}, []string{"ring/stream/64B/single", "ring/stream/64B/batch"}},
		{[]string{"limit/futex"}, []string{"limit/futex"}},
	} {
		chosen, err := plan(c.words)
		var got []string
		for _, s := range chosen {
			got = append(got, s.Name)
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%q: %q, %v; want %q", c.words, got, err, c.want)
		}
	}
	if all, err := plan(nil); err != nil || len(all) != len(Scenarios()) {
		t.Errorf("nothing said: %d of %d, %v", len(all), len(Scenarios()), err)
	}
	for _, word := range []string{"64", "rin", "latencies", "ring/64B"} {
		if chosen, err := plan([]string{"latency", word}); !errors.As(err, new(*UnknownError)) || !strings.Contains(err.Error(), word) {
			t.Errorf("%q: %d chosen, %v", word, len(chosen), err)
		}
	}
}

// Each scenario has a limit that there is, and names are used once.
func TestScenarios(t *testing.T) {
	seen := map[string]Scenario{}
	for _, s := range Scenarios() {
		if _, twice := seen[s.Name]; twice || s.About == "" {
			t.Errorf("%s: twice %t, %q", s.Name, twice, s.About)
		}
		seen[s.Name] = s
	}
	for _, s := range seen {
		if s.limit == "" {
			continue
		}
		l, there := seen[s.limit]
		if !there || l.size > 0 && (l.size != s.size || s.area > 0 && l.area != s.area) {
			t.Errorf("%s: its limit %s is there %t, with other sizes", s.Name, s.limit, there)
		}
	}
}

func TestResult(t *testing.T) {
	s := Scenario{Name: "x", measure: latency, limit: "l", bar: bar{atMost: 1.5}}
	r := s.result([]figures{{P50: 300, Max: 5}, {P50: 100, Max: 9}, {P50: 200, Max: 7}},
		[]figures{{P50: 100}, {P50: 100}, {P50: 250}})
	if r.P50 != 200 || r.Max != 9 || r.Spread != 1 || r.Ratio != 1 || r.Met == nil || !*r.Met || r.Rate != 0 {
		t.Errorf("%+v", r) // the ratios are 3, 1 and 0.8
	}
	s = Scenario{Name: "x", measure: stream, size: 64, bar: bar{rate: 25e6}}
	r = s.result([]figures{{Rate: 20e6}, {Rate: 26e6}}, nil)
	if r.Rate != 23e6 || r.Bytes != 64*23e6 || math.Abs(r.Spread-6./23) > 1e-9 || r.Ratio != 0 || r.Met == nil || *r.Met {
		t.Errorf("%+v", r)
	}
	s = Scenario{Name: "x", measure: copied, bar: bar{atLeast: 0.8}}
	if r = s.result([]figures{{Rate: 9}}, []figures{{Rate: 10}}); !*r.Met || r.Ratio != 0.9 {
		t.Errorf("%+v", r)
	}
	if r = (Scenario{measure: copied}).result([]figures{{Rate: 9}}, []figures{{Rate: 0}}); r.Met != nil || r.Ratio != 0 {
		t.Errorf("%+v", r)
	}
}

func TestPercentiles(t *testing.T) {
	clockCost = 10
	defer func() { clockCost = 0 }()
	var s samples
	for i := range time.Duration(1000) {
		s.add(2*(999-i) + 10)
	}
	s.add(5) // less than the clock costs
	s.add(time.Hour)
	var f figures
	s.percentiles(&f, 2)
	if f.P50 != 500 || f.P99 != 990 || f.P999 != 999 || f.Max != float64(math.MaxUint32)/2 || f.Count != 1002 {
		t.Errorf("%+v", f)
	}
	f = figures{}
	samples(nil).percentiles(&f, 1)
	if f != (figures{}) {
		t.Errorf("of nothing: %+v", f)
	}
}

// Every word of a record counts, and both ways to sum a payload notice a change
// where they look.
func TestSums(t *testing.T) {
	v := record{1, 1, 1, 1, 1, 1, 1, 1}
	if sum := v.fill(7, end); sum != v.sum() || v != (record{7, end, 7, 7, 7, 7, 7, 7}) {
		t.Errorf("%d: %d", v, sum)
	}
	p := pattern(4096 * 3)
	whole, pages := sumWords(p), sumPages(p)
	mark(p, 100, 11)
	if sumWords(p) != whole+111 || sumPages(p) != pages+111 {
		t.Error("the head is left out")
	}
	mark(p, 0, 0)
	for at := 0; at < len(p); at += 8 {
		p[at]++
		if sumWords(p) == whole {
			t.Errorf("a change at %d is not noticed", at)
		}
		if edge := at%4096 == 0 || at%4096 == 4088 || at == 8; (sumPages(p) == pages) == edge {
			t.Errorf("a change at %d: pages sum to the same: %t", at, !edge)
		}
		p[at]--
	}
	for size := 16; size < 200; size += 8 {
		var sum uint64
		p := pattern(size)
		for at := 0; at < size; at += 8 {
			sum += sumWords(p[at : at+8])
		}
		if sum != sumWords(p) {
			t.Errorf("%d bytes", size)
		}
	}
	if _, _, err := heads(make([]byte, 15)); err == nil {
		t.Error("a record without a head passes")
	}
}
