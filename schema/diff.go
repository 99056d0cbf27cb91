package schema

import (
	"fmt"
	"strings"
)

// maxDiff is how many differences Diff shows: more make a reader no wiser.
const maxDiff = 20

// Diff says how got, which was found, differs from want, which was expected: one line for each difference, without a
// newline at the end; "" if there is none. Fields are matched by name, and those left over by offset.
//
//	Levels[].Size: want uint32 at 8, found uint64 at 8
//	Venue: want uint16 at 8, found nothing
//	want 56 bytes, found 64
func Diff(want, got *Schema) string {
	if want.text == got.text {
		return ""
	}
	var d differ
	if w, g := want.root.outline(), got.root.outline(); w != g {
		d.add("", w, g)
	}
	if want.root != nil && got.root != nil {
		d.within("", want.root, got.root)
	}
	if more := len(d.lines) - maxDiff; more > 1 {
		d.lines = append(d.lines[:maxDiff], fmt.Sprintf("and %d more differences", more))
	}
	return strings.Join(d.lines, "\n")
}

// A differ collects the lines of a difference.
type differ struct{ lines []string }

// add notes a difference; path is "" for the whole type.
func (d *differ) add(path, want, got string) {
	if path != "" {
		path += ": "
	}
	d.lines = append(d.lines, path+"want "+want+", found "+got)
}

// within compares what is inside of two types at the same place.
func (d *differ) within(path string, want, got *Type) {
	w, dims := want.element()
	g, _ := got.element()
	if w.Kind == Struct && g.Kind == Struct {
		d.structs(path+strings.Repeat("[]", strings.Count(dims, "[")), w, g)
	}
}

// structs compares two structs.
func (d *differ) structs(path string, want, got *Type) {
	prefix := path
	if prefix != "" {
		prefix += "."
	}
	named := make(map[string]*Field, len(got.Fields))
	for i := range got.Fields {
		named[got.Fields[i].Name] = &got.Fields[i]
	}
	matched := make(map[string]bool, len(got.Fields)) // names in got that want has, too
	for i := range want.Fields {
		matched[want.Fields[i].Name] = named[want.Fields[i].Name] != nil
	}
	renamed := make(map[int]*Field) // fields that only got has, by offset
	for i := range got.Fields {
		if g := &got.Fields[i]; !matched[g.Name] {
			renamed[g.Offset] = g
		}
	}

	for i := range want.Fields {
		w := &want.Fields[i]
		switch g, r := named[w.Name], renamed[w.Offset]; {
		case g != nil:
			if w.place() != g.place() {
				d.add(prefix+w.Name, w.place(), g.place())
			}
			d.within(prefix+w.Name, w.Type, g.Type)
		case r != nil:
			d.add(path, w.Name+" "+w.place(), r.Name+" "+r.place())
			matched[r.Name] = true
		default:
			d.add(prefix+w.Name, w.place(), "nothing")
		}
	}
	for i := range got.Fields {
		if g := &got.Fields[i]; !matched[g.Name] {
			d.add(prefix+g.Name, "nothing", g.place())
		}
	}
	if want.Size != got.Size {
		d.add(path, fmt.Sprintf("%d bytes", want.Size), fmt.Sprint(got.Size))
	}
	if want.Align != got.Align {
		d.add(path, fmt.Sprintf("alignment %d", want.Align), fmt.Sprint(got.Align))
	}
}

// place says what a field is and where: "[3]uint16 at 8".
func (f *Field) place() string { return fmt.Sprintf("%s at %d", f.Type.outline(), f.Offset) }

// outline returns the type without what is in a struct: "[3]struct".
func (t *Type) outline() string {
	if t == nil {
		return "untyped bytes"
	}
	elem, dims := t.element()
	return dims + elem.Kind.String()
}
