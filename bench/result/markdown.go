package result

import (
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Markdown writes the report for people: what images there are, the bars, the machine, and a table for each scenario.
// about says what the participants are.
func (r *Report) Markdown(about map[string]string, images string) string {
	var b strings.Builder
	b.WriteString("# Shoal beside what one would use instead\n\n")
	b.WriteString("Made by `make bench`, which measures all of this in one run; [results.json](results.json) has the raw data. " +
		"Ratios count: times depend on the machine, and on who else uses it.\n\n")
	b.WriteString(images)
	r.bars(&b)
	r.missing(&b)
	r.machine(&b)
	b.WriteString(notes)
	r.summary(&b, about)
	r.tables(&b, about)
	return b.String()
}

// Terminal writes the same for a terminal, without what is long, and the bars last.
func (r *Report) Terminal(about map[string]string) string {
	var b strings.Builder
	r.machine(&b)
	r.summary(&b, about)
	r.missing(&b)
	r.bars(&b)
	return b.String()
}

func (r *Report) machine(b *strings.Builder) {
	m := r.Machine
	b.WriteString("## Where and how\n\n| | |\n|---|---|\n")
	for _, row := range [][2]string{{"date", r.Date}, {"cpu", m.CPU}, {"cores", m.Cores}, {"frequency", m.Frequency},
		{"kernel", m.Kernel}, {"go", m.Go}, {"pinning", m.Pinning}, {"method", m.Method},
		{"rounds", fmt.Sprintf("%d, each measurement %s", m.Rounds, m.Time)}} {
		fmt.Fprintf(b, "| %s | %s |\n", row[0], cell(row[1]))
	}
	for _, name := range slices.Sorted(maps.Keys(r.Versions)) {
		fmt.Fprintf(b, "| %s | %s |\n", name, cell(r.Versions[name]))
	}
	for _, c := range m.Caveats {
		fmt.Fprintf(b, "| **caveat** | **%s** |\n", cell(c))
	}
	b.WriteString("\n")
}

// cell makes text fit for a table.
func cell(s string) string { return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s) }

// notes says what one should know before one believes the figures.
//
//go:embed notes.md
var notes string

func (r *Report) bars(b *strings.Builder) {
	b.WriteString("## What it should reach\n\n| scenario | bar | here | |\n|---|---|---:|---|\n")
	for _, bar := range r.Bars() {
		met := "missed"
		switch {
		case !bar.Known:
			met = ""
		case bar.Met:
			met = "met"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", cell(bar.What), cell(bar.Want), bar.Got, met)
	}
	b.WriteString("\n")
}

// Missing names what was not measured, and why.
func (r *Report) Missing() string {
	var b strings.Builder
	r.missing(&b)
	return b.String()
}

// missing names what was not measured, and why.
func (r *Report) missing(b *strings.Builder) {
	var order []string
	where := map[string][]string{}
	for _, x := range r.Results {
		if x.Error == "" {
			continue
		}
		key := x.Participant + ": " + x.Error
		if where[key] == nil {
			order = append(order, key)
		}
		where[key] = append(where[key], x.Scenario)
	}
	if len(order) == 0 {
		return
	}
	b.WriteString("## Not measured\n\n")
	for _, key := range order {
		fmt.Fprintf(b, "- %s (%s)\n", strings.Join(strings.Fields(key), " "), strings.Join(where[key], ", "))
	}
	b.WriteString("\n")
}

// A matrix is scenarios side by side, participants below each other.
var matrices = []struct {
	title     string
	scenarios []string
	names     []string
}{
	{"One way, both sides spin (p50)",
		[]string{"latency/spin/64B", "latency/spin/1KiB", "latency/spin/64KiB", "latency/spin/1MiB", "latency/spin/4MiB"},
		[]string{"64 B", "1 KiB", "64 KiB", "1 MiB", "4 MiB"}},
	{"One way, both sides sleep (p50)",
		[]string{"latency/block/64B", "latency/block/1KiB", "latency/block/64KiB", "latency/block/1MiB", "latency/block/4MiB", "latency/cold/64B"},
		[]string{"64 B", "1 KiB", "64 KiB", "1 MiB", "4 MiB", "64 B, at 1 kHz"}},
	{"One way, other ways (p50)",
		[]string{"latency/call/64B", "latency/call/1KiB", "latency/untouched/64B", "latency/untouched/4MiB", "latency/threads/64B"},
		[]string{"64 B, the call that waits", "1 KiB", "64 B, untouched", "4 MiB, untouched", "two threads, untouched"}},
	{"Records a second",
		[]string{"stream/64B/single", "stream/64B/batch", "stream/1KiB/single", "stream/1KiB/batch", "stream/64KiB/single", "copy/1MiB", "copy/4MiB"},
		[]string{"64 B", "64 B, batch", "1 KiB", "1 KiB, batch", "64 KiB", "1 MiB, copied", "4 MiB, copied"}},
	{"Fan-out: cost of publishing, by number of subscribers",
		[]string{"fan-out/publish/1", "fan-out/publish/4", "fan-out/publish/16", "fan-out/publish/64", "fan-out/publish/256", "fan-out/publish/1000",
			"fan-out/rested/1", "fan-out/rested/1000"},
		[]string{"1", "4", "16", "64", "256", "1000", "1, rested", "1000, rested"}},
	{"Fan-out: deliveries a second, by number of subscribers",
		[]string{"fan-out/deliver/1", "fan-out/deliver/4", "fan-out/deliver/16", "fan-out/deliver/64", "fan-out/deliver/256", "fan-out/deliver/1000"},
		[]string{"1", "4", "16", "64", "256", "1000"}},
	{"Fan-in and work queue, records a second",
		[]string{"fan-in/1", "fan-in/2", "fan-in/4", "queue/1x1", "queue/4x4"},
		[]string{"1 to 1", "2 to 1", "4 to 1", "queue 1 x 1", "queue 4 x 4"}},
	{"The rest", []string{"attach", "memory", "death", "latest/64B", "waiting/1000", "waiting/10000"},
		[]string{"attach", "memory", "death notice", "latest value", "threads, 1,000 wait", "threads, 10,000 wait"}},
}

func (r *Report) summary(b *strings.Builder, about map[string]string) {
	for _, m := range matrices {
		var who, limits []string
		for _, name := range m.scenarios {
			for _, x := range r.Results {
				if x.Scenario == name && !slices.Contains(who, x.Participant) {
					who = append(who, x.Participant)
				}
				if x.Scenario == name && x.Limit != "" && !slices.Contains(limits, x.Limit) {
					limits = append(limits, x.Limit)
				}
			}
		}
		if len(who) == 0 {
			continue
		}
		fmt.Fprintf(b, "## %s\n\n| | %s |\n|---%s|\n", m.title, strings.Join(m.names, " | "), strings.Repeat("|---:", len(m.names)))
		if len(limits) > 0 {
			fmt.Fprintf(b, "| *the limit* |")
			for _, name := range m.scenarios {
				text := ""
				if x := r.first(name, func(string) bool { return true }); x != nil {
					if l := r.find(x.Limit, ""); l != nil && x.Limit != "" {
						text = "*" + Text(l.Value, l.Unit) + "*"
					}
				}
				fmt.Fprintf(b, " %s |", text)
			}
			b.WriteString("\n")
		}
		for _, p := range who {
			label := about[p]
			if label == "" {
				label = p
			}
			if strings.HasPrefix(p, "shoal-") {
				label = "**" + label + "**"
			}
			fmt.Fprintf(b, "| %s |", cell(label))
			for _, name := range m.scenarios {
				text := ""
				if x := r.find(name, p); x != nil {
					text = Text(x.Value, x.Unit)
					if x.Spread > Noisy {
						text = "~" + text
					}
				}
				fmt.Fprintf(b, " %s |", text)
			}
			b.WriteString("\n")
		}
		b.WriteString("\n")
	}
}

// tables has all figures.
func (r *Report) tables(b *strings.Builder, about map[string]string) {
	b.WriteString("## All figures\n\nTimes are medians of the rounds, max that of all of them. *rate* is of records, and of round trips " +
		"where there are any; *limit* and *Shoal* are ratios to the limit and to the first of Shoal's; *CPU s* the processor time of " +
		"all processes in all rounds, *CPUs* how many they use; *sleeps* how often somebody went to sleep, for each record or round trip.\n")
	last := ""
	for _, x := range r.Results {
		if x.Error != "" {
			continue
		}
		timed := x.Unit == "ns" && x.P50 != 0
		if x.Scenario != last {
			last = x.Scenario
			head := "p50 | p99 | p99.9 | max"
			if !timed {
				head = "value | payload/s | |"
			}
			fmt.Fprintf(b, "\n| %s | %s | rate | spread | limit | Shoal | CPU s | CPUs | sleeps |\n|---%s|\n", last, head, strings.Repeat("|---:", 11))
		}
		figures := fmt.Sprintf("%s | %s | %s | %s", Nanoseconds(x.P50), Nanoseconds(x.P99), Nanoseconds(x.P999), Nanoseconds(x.Max))
		if timed && x.P99 == 0 {
			figures = Nanoseconds(x.P50) + " | | |" // of many at once, by the time for all of them
		}
		if !timed {
			figures = fmt.Sprintf("%s | %s | |", Text(x.Value, x.Unit), optional(x.Bytes, Bytes))
		}
		spread, cpu, cpus, sleeps := "", "", "", ""
		if len(x.Rounds) > 1 {
			spread = fmt.Sprintf("%.0f %%", x.Spread*100)
		}
		if len(x.Rounds) > 0 && len(x.Rounds[0].Sides) > 0 {
			cpu, cpus, sleeps = fmt.Sprintf("%.2f", x.CPU), fmt.Sprintf("%.2f", x.CPUs), fmt.Sprintf("%.2f", x.Switches)
		}
		two := func(v float64) string { return fmt.Sprintf("%.2f", v) }
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", x.Participant, figures, optional(x.Rate, Rate), spread,
			optional(x.Ratio, two), optional(x.ToShoal, two), cpu, cpus, sleeps)
	}
	b.WriteString("\nParticipants:\n\n")
	for _, name := range slices.Sorted(maps.Keys(about)) {
		fmt.Fprintf(b, "- `%s`: %s\n", name, about[name])
	}
}

// optional is a figure, or nothing.
func optional(v float64, format func(float64) string) string {
	if v == 0 {
		return ""
	}
	return format(v)
}
