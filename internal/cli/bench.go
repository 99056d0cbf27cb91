package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/spf13/cobra"

	"github.com/seed-247006a4/shoal/internal/bench"
)

func (c *command) benchCommand() *cobra.Command {
	o := bench.Options{Time: bench.DefaultTime, Rounds: bench.DefaultRounds}
	var quick, list bool
	cmd := &cobra.Command{
		Use:   "bench [NAME...] [--quick] [--time D] [--rounds N]",
		Short: "Measure how fast processes exchange records here",
		Long: `Two real processes exchange records, each on a core of its own where there are
two. Every record is written by the one and summed, or copied out, by the other.
In the same rounds the raw limits of the machine are measured, by C programs
where there is a compiler, else in Go: RATIO is how a result compares to its
LIMIT, BAR what it should reach. It takes about 20 seconds, and leaves nothing.

  latency  half a round trip, like the limit's, by the clock of one process
           whose own cost is taken off; both sides spin
  parked   a whole round trip; both sides sleep each time
  stream   records a second, one way
  copy     large records, copied in by one process and out by the other at
           the same time; the limit is one process that does both

A result is the median of the rounds, and SPREAD how far they lie apart, as a
part of it. Ratios are what counts: times depend on the machine, and on who else
uses it.

NAME is a part of what is in the table's first column: latency, stream/64B. With
CC in the environment that compiler is used.`,
		Example: indented(
			"shoal bench",
			"shoal bench latency stream",
			"shoal bench stream/64B --time 1s",
			"shoal bench --quick --json | jq 'select(.met == false) | .name'"),
		ValidArgsFunction: completeBench,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Time <= 0 || o.Rounds <= 0 {
				return usageError{fmt.Errorf("%d rounds of %v: want some of both", o.Rounds, o.Time)}
			}
			if quick {
				o = quicker(o, cmd.Flags().Changed)
			}
			if list {
				return c.listScenarios()
			}
			o.Only = args
			return c.bench(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&quick, "quick", false, "less of everything: three rounds of 40ms")
	f.BoolVar(&list, "list", false, "tell what can be measured, and measure nothing")
	f.DurationVar(&o.Time, "time", o.Time, "time of each measurement in each round")
	numberVar(cmd, &o.Rounds, "rounds", o.Rounds, 1, "how often each is measured")
	f.StringVar(&o.Compiler, "cc", "", "the C `compiler`; none: the limits in Go")
	noCompletion(cmd, "time", "rounds")
	return cmd
}

// quicker makes o quick, but for what was asked for.
func quicker(o bench.Options, asked func(flag string) bool) bench.Options {
	if !asked("time") {
		o.Time = 40 * time.Millisecond
	}
	if !asked("rounds") {
		o.Rounds = 3
	}
	return o
}

// completeBench completes names of scenarios and the parts that stand for many.
func completeBench(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	found := candidates{given: args, begun: begun}
	for _, word := range []string{"ring", "latency", "parked", "stream", "copy", "limit"} {
		found.add(word, "")
	}
	if strings.Contains(begun, "/") {
		for _, s := range bench.Scenarios() {
			found.add(s.Name, s.About)
		}
	}
	return found.answer()
}

func (c *command) listScenarios() error {
	for _, s := range bench.Scenarios() {
		if c.json {
			if err := c.printJSON(map[string]string{"name": s.Name, "about": s.About}); err != nil {
				return err
			}
			continue
		}
		if _, err := fmt.Fprintln(c.stdout, s.Name); err != nil {
			return err
		}
	}
	return nil
}

// bench measures, and prints what was found.
func (c *command) bench(ctx context.Context, o bench.Options) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	line := status{w: c.stderr, columns: terminalWidth(c.stderr)}
	o.Progress = func(done, of int, next string) {
		if line.columns == 0 && done == 0 {
			c.say("measuring %d scenarios and limits in %s of %v each", of/o.Rounds, count(int64(o.Rounds), "round"), o.Time)
		}
		line.show(fmt.Sprintf("measuring %d of %d: %s", done+1, of, next))
	}
	r, err := bench.Run(ctx, o)
	line.clear()
	if unknown := (*bench.UnknownError)(nil); errors.As(err, &unknown) {
		return usageError{fmt.Errorf("%w: shoal bench --list tells the names", err)}
	}
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted: nothing is left behind")
	}
	if err != nil {
		return err
	}
	if c.json {
		return c.printBenchJSON(r)
	}
	return c.printBench(r)
}

// printBenchJSON prints the machine, and then each result.
func (c *command) printBenchJSON(r *bench.Report) error {
	if err := c.printJSON(map[string]bench.Machine{"machine": r.Machine}); err != nil {
		return err
	}
	for _, result := range r.Results {
		if err := c.printJSON(result); err != nil {
			return err
		}
	}
	return nil
}

func (c *command) printBench(r *bench.Report) error {
	p := newPalette(c.stdout)
	columns := terminalWidth(c.stdout)
	machine := table{columns: []column{{title: "MACHINE"}, {wrap: true}}}
	for _, row := range [][2]string{
		{"cpu", r.Machine.CPU}, {"cores", r.Machine.Cores}, {"frequency", r.Machine.Frequency}, {"kernel", r.Machine.Kernel},
		{"go", r.Machine.Go}, {"pinning", r.Machine.Pinning}, {"limits in", r.Machine.Limits},
		{"method", r.Machine.Method},
		{"rounds", fmt.Sprintf("%d of %s each", r.Machine.Rounds, r.Machine.Time)},
	} {
		machine.add(cell{row[0], p.faint}, cell{printable(row[1]), p.plain})
	}
	for _, caveat := range r.Machine.Caveats {
		machine.add(cell{"caveat", p.warn}, cell{printable(caveat), p.warn})
	}
	if err := machine.print(c.stdout, columns, p.head); err != nil {
		return err
	}
	timed := func(r bench.Result) bool { return r.Rate == 0 }
	for _, t := range []struct {
		want  bool
		table table
	}{{true, timesTable(r, p)}, {false, ratesTable(r, p)}} {
		if !slices.ContainsFunc(r.Results, func(r bench.Result) bool { return timed(r) == t.want }) {
			continue
		}
		if _, err := fmt.Fprintln(c.stdout); err != nil {
			return err
		}
		if err := t.table.print(c.stdout, columns, p.head); err != nil {
			return err
		}
	}
	return nil
}

// timesTable has what is measured in times.
func timesTable(r *bench.Report, p palette) table {
	t := table{columns: append([]column{
		{title: "TIME"}, {title: "P50", right: true}, {title: "P99", right: true}, {title: "P99.9", right: true, missing: 3},
		{title: "MAX", right: true, missing: 4}}, comparison...)}
	for _, r := range r.Results {
		if r.Rate == 0 {
			t.add(append([]cell{{r.Name, p.plain}, {timeText(r.P50), p.plain}, {timeText(r.P99), p.plain},
				{timeText(r.P999), p.plain}, {timeText(r.Max), p.plain}}, compared(r, p)...)...)
		}
	}
	return t
}

// ratesTable has what is measured in rates.
func ratesTable(r *bench.Report, p palette) table {
	t := table{columns: append([]column{
		{title: "RATE"}, {title: "RECORDS/S", right: true}, {title: "EACH", right: true, missing: 3},
		{title: "PAYLOAD/S", right: true, missing: 4}}, comparison...)}
	for _, r := range r.Results {
		if r.Rate != 0 {
			t.add(append([]cell{{r.Name, p.plain}, {rateText(r.Rate), p.plain}, {timeText(1e9 / r.Rate), p.plain},
				{bytesText(int64(r.Bytes)), p.plain}}, compared(r, p)...)...)
		}
	}
	return t
}

// comparison is the columns that both tables end with.
var comparison = []column{
	{title: "SPREAD", right: true, missing: 5}, {title: "RATIO", right: true}, {title: "LIMIT", missing: 2},
	{title: "BAR"}, {title: "ABOUT", missing: 6, cut: 10},
}

func compared(r bench.Result, p palette) []cell {
	ratio, limit, bar := cell{"-", p.faint}, cell{"-", p.faint}, cell{"-", p.faint}
	if r.Ratio > 0 {
		ratio, limit = cell{fmt.Sprintf("%.2f", r.Ratio), p.plain}, cell{r.Limit, p.faint}
	}
	about := r.About
	if r.Language != "" {
		limit.text, about = "raw, "+r.Language, r.About
	}
	if r.Met != nil {
		bar = cell{r.Bar + ": met", p.good}
		if !*r.Met {
			bar = cell{r.Bar + ": missed", p.bad}
		}
	}
	return []cell{{fmt.Sprintf("%.0f%%", r.Spread*100), p.plain}, ratio, limit, bar, {about, p.faint}}
}

// timeText writes nanoseconds with three digits: "152 ns", "1.52 µs", "15.2 ms".
func timeText(ns float64) string {
	for _, unit := range []string{"ns", "µs", "ms"} {
		if ns < 999.5 {
			return digits(ns) + " " + unit
		}
		ns /= 1000
	}
	return digits(ns) + " s"
}

// rateText writes a rate with three digits: "31.4 M".
func rateText(n float64) string {
	for _, unit := range []string{"", " k", " M"} {
		if n < 999.5 {
			return digits(n) + unit
		}
		n /= 1000
	}
	return digits(n) + " G"
}

// digits writes a number with three digits, or more before the point.
func digits(n float64) string {
	switch {
	case n < 9.995:
		return fmt.Sprintf("%.2f", n)
	case n < 99.95:
		return fmt.Sprintf("%.1f", n)
	}
	return fmt.Sprintf("%.0f", n)
}

// status is a line on a terminal that says what is going on; elsewhere there is
// none.
type status struct {
	w       io.Writer
	columns int // 0: no terminal
}

func (s *status) show(text string) {
	if s.columns > 0 {
		fmt.Fprintf(s.w, "\r%s\x1b[K", ansi.Truncate(text, s.columns-1, "…"))
	}
}

func (s *status) clear() {
	if s.columns > 0 {
		fmt.Fprint(s.w, "\r\x1b[K")
	}
}
