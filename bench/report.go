//go:build linux && (amd64 || arm64)

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-247006a4/shoal/bench/plot"
	"github.com/seed-247006a4/shoal/bench/result"
)

// write writes the results to a directory: each file whole, the raw data last.
func write(dir string, r *result.Report) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	raw, err := encode(r)
	if err != nil {
		return err
	}
	type file struct {
		name string
		text []byte
	}
	var files []file
	var images strings.Builder
	for _, p := range plots(r) {
		files = append(files, file{p.name, []byte(p.svg)})
		fmt.Fprintf(&images, "![%s](%s)\n\n", p.title, p.name)
	}
	files = append(files, file{"README.md", []byte(r.Markdown(describe(), images.String()))},
		file{"results.json", raw})
	for _, f := range files {
		if e := os.WriteFile(filepath.Join(dir, "."+f.name), f.text, 0o644); e != nil {
			err = errors.Join(err, e)
		}
	}
	for _, f := range files {
		from := filepath.Join(dir, "."+f.name)
		if err != nil {
			os.Remove(from)
			continue
		}
		err = os.Rename(from, filepath.Join(dir, f.name))
	}
	return err
}

// encode writes a report as JSON, each result on a line of its own.
func encode(r *result.Report) ([]byte, error) {
	var b bytes.Buffer
	results := r.Results
	head := *r
	head.Results = nil
	text, err := json.MarshalIndent(head, "", "  ")
	if err != nil {
		return nil, err
	}
	before, _, ok := bytes.Cut(text, []byte(`"results": null`))
	if !ok {
		return nil, errors.New("a report without results")
	}
	b.Write(before)
	b.WriteString(`"results": [`)
	for i, x := range results {
		line, err := json.Marshal(x)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("\n    ")
		b.Write(line)
	}
	b.WriteString("\n  ]\n}\n")
	return b.Bytes(), nil
}

type picture struct{ name, title, svg string }

// plots draws what there is to draw.
func plots(r *result.Report) (list []picture) {
	for _, p := range []struct {
		name, title, sub string
		scenarios        [][2]string
		unit             func(float64) string
	}{
		{"latency.svg", "One way, 64 bytes, p50: less is better",
			"two processes, written and read, half a round trip; blue is the raw limit in C",
			[][2]string{{"latency/spin/64B", "both sides spin"}, {"latency/block/64B", "both sides sleep"}}, result.Nanoseconds},
		{"throughput.svg", "Records of 64 bytes a second: more is better",
			"from one process to another, written and read",
			[][2]string{{"stream/64B/single", "one by one"}, {"stream/64B/batch", "64 with a call"}}, result.Rate},
	} {
		var groups []plot.Group
		for _, s := range p.scenarios {
			if g := bars(r, s[0], s[1]); len(g.Bars) > 0 {
				groups = append(groups, g)
			}
		}
		if len(groups) > 0 {
			list = append(list, picture{p.name, p.title, plot.Bars(p.title, p.sub, groups, p.unit)})
		}
	}
	size := func(v float64) string { return result.Bytes(v) }
	count := func(v float64) string { return strconv.Itoa(int(v)) }
	for _, p := range []struct {
		name, title, sub, axis, prefix string
		x, y                           func(float64) string
	}{
		{"spin.svg", "One way, both sides spin, p50: less is better", "dashed: two cache lines and as much payload, in C",
			"bytes of a record, all written and read", "latency/spin/", size, result.Nanoseconds},
		{"block.svg", "One way, both sides sleep, p50: less is better", "dashed: two futexes and as much payload, in C",
			"bytes of a record, all written and read", "latency/block/", size, result.Nanoseconds},
		{"fan-out.svg", "What publishing costs, p50: less is better", "64 bytes; subscribers are there, and do not look",
			"subscribers", "fan-out/publish/", count, result.Nanoseconds},
	} {
		if lines := lines(r, p.prefix); len(lines) > 0 {
			list = append(list, picture{p.name, p.title, plot.Lines(p.title, p.sub, p.axis, lines, p.x, p.y)})
		}
	}
	return list
}

func kind(name string) plot.Kind {
	switch p := byName(name); {
	case p == nil:
		return plot.Other
	case p.ours():
		return plot.Ours
	case p.limit():
		return plot.Limit
	}
	return plot.Other
}

// label is what a participant is called beside a bar or a line.
func label(name string) string {
	text := byName(name).about
	if before, _, ok := strings.Cut(text, " in shared memory"); ok {
		text = before + ", C++"
	}
	return strings.NewReplacer("package ", "", ", its media driver a process of its own", "", " over TCP on loopback, Go client", "",
		"memcpy in and out of shared memory", "memcpy in and out", "Boost.Interprocess", "Boost", "Boost.Lockfree", "Boost", "channel between goroutines of one process", "channel in one process",
		"unix stream socket", "unix socket", "ping-pong of ", "").Replace(text)
}

// bars are those of a scenario, the best first, with the limit.
func bars(r *result.Report, scenario, title string) plot.Group {
	g := plot.Group{Title: title}
	limit, more := "", false
	for _, x := range r.Results {
		if x.Scenario == scenario {
			limit, more = x.Limit, x.Unit == "/s"
			g.Bars = append(g.Bars, plot.Bar{Label: label(x.Participant), Value: x.Value, Kind: kind(x.Participant)})
		}
	}
	for _, x := range r.Results {
		if x.Scenario == limit && limit != "" {
			g.Bars = append(g.Bars, plot.Bar{Label: label(x.Participant), Value: x.Value, Kind: plot.Limit})
		}
	}
	slices.SortStableFunc(g.Bars, func(a, b plot.Bar) int {
		switch {
		case a.Value == b.Value:
			return 0
		case b.Value == 0, a.Value != 0 && (a.Value < b.Value) != more:
			return -1
		}
		return 1
	})
	return g
}

// lines are those of participants over the scenarios whose names begin alike and end in
// a size or a number.
func lines(r *result.Report, prefix string) (list []plot.Line) {
	at := map[string]int{}
	add := func(x *result.Result, v float64) {
		i, ok := at[x.Participant]
		if !ok {
			i = len(list)
			at[x.Participant] = i
			list = append(list, plot.Line{Label: label(x.Participant), Kind: kind(x.Participant)})
		}
		list[i].X, list[i].Y = append(list[i].X, v), append(list[i].Y, x.Value)
	}
	limits := map[string]float64{}
	for _, x := range r.Results {
		if rest, ok := strings.CutPrefix(x.Scenario, prefix); ok {
			limits[x.Limit] = number(rest)
			if x.Error == "" {
				add(x, number(rest))
			}
		}
	}
	for _, x := range r.Results {
		if v, ok := limits[x.Scenario]; ok && x.Error == "" {
			add(x, v)
		}
	}
	return list
}

// number is that of a size or count at the end of a scenario's name.
func number(name string) float64 {
	for _, s := range sizes {
		if s.name == name {
			return float64(s.n)
		}
	}
	n, _ := strconv.Atoi(name)
	return float64(n)
}
