// Package plot draws bars and lines as SVG, in colours that are readable on white and
// on black, at the width of a README.
package plot

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Width of all plots in pixels.
const Width = 860

// Bar is a bar of [Bars].
type Bar struct {
	Label string
	Value float64 // 0: there is none
	Note  string  // behind it
	Kind  Kind
}

// Kind is what something stands for, which its colour shows.
type Kind int

// The kinds.
const (
	Other Kind = iota
	Ours
	Limit
)

func (k Kind) colour() string { return [...]string{"#8b95a5", "#e4572e", "#2e86ab"}[k] }

// Group is bars under a heading.
type Group struct {
	Title string
	Bars  []Bar
}

const font = `font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"`

// open begins a drawing with a background of its own, so that it is readable anywhere.
func open(b *strings.Builder, height int, title, sub string) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s" %s>`+"\n",
		Width, height, Width, height, escape(title), font)
	fmt.Fprintf(b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", Width, height)
	text(b, 20, 32, 18, "start", "#1b1f27", "600", title)
	text(b, 20, 52, 13, "start", "#5a6472", "400", sub)
}

func text(b *strings.Builder, x, y float64, size int, anchor, colour, weight, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="%d" text-anchor="%s" fill="%s" font-weight="%s">%s</text>`+"\n",
		x, y, size, anchor, colour, weight, escape(s))
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

// scale is a logarithmic axis.
type scale struct{ low, high, from, to float64 }

// newScale covers values with whole decades, from pixel to pixel.
func newScale(values []float64, from, to float64) scale {
	low, high := math.Inf(1), math.Inf(-1)
	for _, v := range values {
		if v > 0 {
			low, high = min(low, v), max(high, v)
		}
	}
	if math.IsInf(low, 1) {
		low, high = 1, 10
	}
	low = math.Pow(10, math.Floor(math.Log10(low)))
	high = math.Pow(10, math.Ceil(math.Log10(high*1.0001)))
	return scale{low, high, from, to}
}

func (s scale) at(v float64) float64 {
	return s.from + (s.to-s.from)*math.Log10(v/s.low)/math.Log10(s.high/s.low)
}

// decades are the powers of ten on the axis.
func (s scale) decades() (v []float64) {
	for d := s.low; d <= s.high*1.001; d *= 10 {
		v = append(v, d)
	}
	return v
}

// Bars draws groups of bars on one logarithmic axis; unit writes a value.
func Bars(title, sub string, groups []Group, unit func(float64) string) string {
	const left, right, top, row, head = 250, 130, 72, 21, 30
	height, values := top+36, []float64(nil)
	for _, g := range groups {
		height += head + row*len(g.Bars)
		for _, bar := range g.Bars {
			values = append(values, bar.Value)
		}
	}
	s := newScale(values, left, Width-right)
	s.low /= 2 // so that the shortest bar is one
	var b strings.Builder
	open(&b, height, title, sub)
	first := s.low * 2
	for d := first; d <= s.high*1.001; d *= 10 {
		x := s.at(d)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="#e3e7ed"/>`+"\n", x, top-6, x, height-30)
		text(&b, x, float64(height-12), 12, "middle", "#5a6472", "400", unit(d))
	}
	y := float64(top)
	for _, g := range groups {
		text(&b, 20, y+14, 14, "start", "#1b1f27", "600", g.Title)
		y += head - 6
		for _, bar := range g.Bars {
			colour, weight := "#1b1f27", "400"
			if bar.Kind == Ours {
				weight = "600"
			}
			text(&b, left-8, y+13, 13, "end", colour, weight, bar.Label)
			if bar.Value > 0 {
				fmt.Fprintf(&b, `<rect x="%d" y="%.1f" width="%.1f" height="15" rx="2" fill="%s"/>`+"\n",
					left, y+1, max(s.at(bar.Value)-left, 1), bar.Kind.colour())
				text(&b, s.at(bar.Value)+6, y+13, 12, "start", colour, weight, strings.TrimSpace(unit(bar.Value)+" "+bar.Note))
			} else {
				text(&b, left+6, y+13, 12, "start", "#5a6472", "400", "not measured")
			}
			y += row
		}
		y += 6
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// Line is a line of [Lines].
type Line struct {
	Label string
	X, Y  []float64
	Kind  Kind
}

// palette tells lines of one kind apart.
var palette = map[Kind][]string{
	Ours:  {"#e4572e", "#f3a712", "#a8201a"},
	Limit: {"#2e86ab", "#0b4f6c"},
	Other: {"#5b8c5a", "#7b6d8d", "#8b95a5", "#a47148", "#4d9078", "#b5838d", "#6c757d", "#588157", "#9d8189", "#457b9d", "#2b2d42", "#c08497"},
}

// Lines draws lines on two logarithmic axes.
func Lines(title, sub, xTitle string, lines []Line, xUnit, yUnit func(float64) string) string {
	const left, right, top, bottom, height = 80, 230, 76, 56, 470
	var xs, ys []float64
	for _, l := range lines {
		xs, ys = append(xs, l.X...), append(ys, l.Y...)
	}
	slices.Sort(xs)
	xs = slices.Compact(xs)
	x, y := newScale(xs, left, Width-right), newScale(ys, height-bottom, top)
	if n := len(xs); n > 1 {
		x.low, x.high = xs[0], xs[n-1]
	}
	var b strings.Builder
	open(&b, height, title, sub)
	for _, d := range y.decades() {
		fmt.Fprintf(&b, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="#e3e7ed"/>`+"\n", left, y.at(d), Width-right, y.at(d))
		text(&b, left-8, y.at(d)+4, 12, "end", "#5a6472", "400", yUnit(d))
	}
	for _, v := range xs {
		text(&b, x.at(v), height-bottom+20, 12, "middle", "#5a6472", "400", xUnit(v))
	}
	text(&b, (left+Width-right)/2, height-14, 12, "middle", "#5a6472", "400", xTitle)
	used := map[Kind]int{}
	type end struct {
		y             float64
		label, colour string
		weight        string
	}
	var ends []end
	for _, l := range lines {
		colours := palette[l.Kind]
		colour := colours[used[l.Kind]%len(colours)]
		used[l.Kind]++
		width, dash, weight := 1.6, "", "400"
		switch l.Kind {
		case Ours:
			width, weight = 3, "600"
		case Limit:
			dash = ` stroke-dasharray="6 4"`
		}
		var points []string
		for i := range l.X {
			if l.Y[i] > 0 {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x.at(l.X[i]), y.at(l.Y[i])))
			}
		}
		if len(points) == 0 {
			continue
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="%g"%s/>`+"\n", strings.Join(points, " "), colour, width, dash)
		for _, p := range points {
			px, py, _ := strings.Cut(p, ",")
			fmt.Fprintf(&b, `<circle cx="%s" cy="%s" r="3" fill="%s"/>`+"\n", px, py, colour)
		}
		ends = append(ends, end{y.at(l.Y[len(l.Y)-1]), l.Label, colour, weight})
	}
	// Labels beside the ends, moved apart.
	for i := range ends {
		for k := i; k > 0 && ends[k-1].y > ends[k].y; k-- {
			ends[k-1], ends[k] = ends[k], ends[k-1]
		}
	}
	const step = 16
	for i := 1; i < len(ends); i++ {
		ends[i].y = max(ends[i].y, ends[i-1].y+step)
	}
	for i, lowest := len(ends)-1, float64(height-bottom); i >= 0; i, lowest = i-1, lowest-step {
		ends[i].y = min(ends[i].y, lowest)
	}
	for _, e := range ends {
		text(&b, Width-right+12, e.y+4, 13, "start", e.colour, e.weight, e.label)
	}
	b.WriteString("</svg>\n")
	return b.String()
}
