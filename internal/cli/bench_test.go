package cli

import (
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/bench"
)

func TestTimeText(t *testing.T) {
	for ns, want := range map[float64]string{
		18.84: "18.8 ns", 5: "5.00 ns", 152.4: "152 ns", 999.4: "999 ns", 999.6: "1.00 µs", 15234: "15.2 µs",
		15.2e6: "15.2 ms", 2.5e9: "2.50 s",
	} {
		if got := timeText(ns); got != want {
			t.Errorf("%v: %q; want %q", ns, got, want)
		}
	}
	for n, want := range map[float64]string{5: "5.00", 378e3: "378 k", 31.44e6: "31.4 M", 2.5e9: "2.50 G"} {
		if got := rateText(n); got != want {
			t.Errorf("%v: %q; want %q", n, got, want)
		}
	}
}

// The tables say what was found, beside its limit and its bar.
func TestPrintBench(t *testing.T) {
	met, missed := true, false
	r := &bench.Report{
		Machine: bench.Machine{CPU: "A", Cores: "2", Frequency: "f", Kernel: "k", Go: "g", Pinning: "p", Method: "m", Limits: "C, by cc",
			Rounds: 5, Time: "120ms", Caveats: []string{"noisy"}},
		Results: []bench.Result{
			{Name: "x/latency", About: "one way", P50: 250, P99: 600, P999: 2500, Max: 1.5e6, Spread: 0.054,
				Limit: "limit/line", Ratio: 1.524, Bar: "at most 1.5 x", Met: &missed},
			{Name: "x/stream", About: "many", Rate: 31.44e6, Bytes: 64 * 31.44e6, Spread: 0.1, Bar: "at least 25 M/s", Met: &met},
			{Name: "limit/line", About: "lines", P50: 164, P99: 250, P999: 999, Max: 1e4, Language: "C"},
		},
	}
	var out strings.Builder
	c := &command{stdout: &out}
	if err := c.printBench(r); err != nil {
		t.Fatal(err)
	}
	const want = `MACHINE
cpu        A
cores      2
frequency  f
kernel     k
go         g
pinning    p
limits in  C, by cc
method     m
rounds     5 of 120ms each
caveat     noisy

TIME           P50     P99    P99.9      MAX  SPREAD  RATIO  LIMIT       BAR                    ABOUT
x/latency   250 ns  600 ns  2.50 µs  1.50 ms      5%   1.52  limit/line  at most 1.5 x: missed  one way
limit/line  164 ns  250 ns   999 ns  10.0 µs      0%      -  raw, C      -                      lines

RATE      RECORDS/S     EACH  PAYLOAD/S  SPREAD  RATIO  LIMIT  BAR                   ABOUT
x/stream     31.4 M  31.8 ns    1.9 GiB     10%      -  -      at least 25 M/s: met  many
`
	if out.String() != want {
		t.Errorf("got:\n%s\nwant:\n%s", out.String(), want)
	}
	out.Reset()
	if err := c.printBenchJSON(r); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], `{"machine":{"cpu":"A",`) ||
		!strings.HasPrefix(lines[1], `{"name":"x/latency","about":"one way","p50_ns":250,"p99_ns":600,"p99.9_ns":2500,"max_ns":1500000,`) ||
		!strings.Contains(lines[1], `"met":false`) || strings.Contains(lines[3], `"met"`) {
		t.Errorf("got:\n%s", out.String())
	}
}
