package schema

import (
	"fmt"
	"strings"
)

// Numpy returns the type as a Python expression for numpy.dtype: for a struct the dictionary of names, formats, offsets and
// itemsize. It is a literal, as ast.literal_eval reads it. Text is a byte string ('S8'), which numpy ends before its trailing
// zero bytes. It returns "" if the schema is untyped.
func (s *Schema) Numpy() string {
	if s.root == nil {
		return ""
	}
	if s.root.Kind != Struct {
		return numpy(s.root)
	}
	return numpyStruct(s.root, ",\n ")
}

// numpy returns the format of t in one line.
func numpy(t *Type) string {
	var shape []string
	for ; t.Kind == Array && !t.isText(); t = t.Elem {
		shape = append(shape, fmt.Sprint(t.Count))
	}
	var format string
	switch {
	case t.Kind == Struct:
		format = numpyStruct(t, ", ")
	case t.Kind == Array: // text
		format = fmt.Sprintf("'S%d'", t.Count)
	default:
		format = "'" + kinds[t.Kind].numpy + "'"
	}
	if shape == nil {
		return format
	}
	if len(shape) == 1 {
		shape = append(shape, "") // a tuple of one needs its comma
	}
	return fmt.Sprintf("(%s, (%s))", format, strings.TrimSpace(strings.Join(shape, ", ")))
}

// numpyStruct returns the dictionary of a struct; separator stands between its members.
func numpyStruct(t *Type, separator string) string {
	var names, formats, offsets []string
	for _, f := range t.Fields {
		names = append(names, "'"+f.Name+"'")
		formats = append(formats, numpy(f.Type))
		offsets = append(offsets, fmt.Sprint(f.Offset))
	}
	return "{" + strings.Join([]string{
		"'names': [" + strings.Join(names, ", ") + "]",
		"'formats': [" + strings.Join(formats, ", ") + "]",
		"'offsets': [" + strings.Join(offsets, ", ") + "]",
		fmt.Sprintf("'itemsize': %d", t.Size),
	}, separator) + "}"
}
