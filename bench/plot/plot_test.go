package plot

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"
)

// wellFormed reads a drawing as XML, and returns how many elements of a name it has.
func wellFormed(t *testing.T, svg string) map[string]int {
	t.Helper()
	found := map[string]int{}
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		token, err := d.Token()
		if err == io.EOF {
			return found
		}
		if err != nil {
			t.Fatalf("%v in %s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			found[e.Name.Local]++
			for _, a := range e.Attr {
				if strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "Inf") || strings.HasPrefix(a.Value, "-") {
					t.Errorf("%s %s=%q", e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
}

func plain(v float64) string { return fmt.Sprint(v) }

func TestBars(t *testing.T) {
	svg := Bars("a < b & \"c\"", "", []Group{{"one", []Bar{{"ring", 10, "", Ours}, {"pipe", 1000, "", Other}, {"none", 0, "", Other}}},
		{"two", []Bar{{"line", 3, "", Limit}}}}, plain)
	found := wellFormed(t, svg)
	if found["rect"] != 1+3 {
		t.Errorf("%d rectangles; want a background and three bars", found["rect"])
	}
	if n := strings.Count(svg, "not measured"); n != 1 {
		t.Errorf("%d are said not to be measured; want 1", n)
	}
	wellFormed(t, Bars("nothing", "", []Group{{"one", []Bar{{"x", 0, "", Other}}}}, plain))
}

func TestLines(t *testing.T) {
	svg := Lines("t", "s", "x", []Line{{"ring", []float64{1, 10, 100}, []float64{5, 6, 7}, Ours},
		{"pipe", []float64{1, 10}, []float64{5, 5000}, Other}, {"none", nil, nil, Other}}, plain, plain)
	found := wellFormed(t, svg)
	if found["polyline"] != 2 || found["circle"] != 5 {
		t.Errorf("%d lines with %d points; want 2 with 5", found["polyline"], found["circle"])
	}
	wellFormed(t, Lines("t", "s", "x", nil, plain, plain))
}

// The scale has whole decades, and longer is more.
// What is drawn twice is the same: drawings are kept beside their data.
func TestSame(t *testing.T) {
	many := []Line{{Label: "a", X: []float64{1, 2, 4, 8, 16, 32}, Y: []float64{1, 2, 3, 4, 5, 6}}, {Label: "b", X: []float64{2, 64}, Y: []float64{1, 2}}}
	want := Lines("t", "", "x", many, plain, plain)
	for range 10 {
		if got := Lines("t", "", "x", many, plain, plain); got != want {
			t.Fatalf("first %s\nthen %s", want, got)
		}
	}
}

func TestScale(t *testing.T) {
	s := newScale([]float64{25, 0, 3000}, 100, 400)
	if s.low != 10 || s.high != 10000 {
		t.Errorf("from %g to %g", s.low, s.high)
	}
	if a, b, c := s.at(10), s.at(100), s.at(10000); a != 100 || b != 200 || c != 400 {
		t.Errorf("%g, %g, %g; want 100, 200, 400", a, b, c)
	}
}
