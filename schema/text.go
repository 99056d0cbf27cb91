package schema

import (
	"strconv"
	"strings"
)

// version is the first line of every text.
const version = "shoal schema 1\n"

// textOf returns the text of a type, in the grammar of the package comment.
func textOf(t *Type) string {
	return string(append(appendType([]byte(version), t, 0), '\n'))
}

// appendType appends the production Type, at the given number of structs around it.
func appendType(dst []byte, t *Type, indent int) []byte {
	for ; t.Kind == Array; t = t.Elem {
		dst = append(dst, '[')
		dst = strconv.AppendInt(dst, int64(t.Count), 10)
		dst = append(dst, ']')
	}
	if t.Kind != Struct {
		return append(dst, t.Kind.String()...)
	}
	dst = append(dst, "struct size "...)
	dst = strconv.AppendInt(dst, int64(t.Size), 10)
	dst = append(dst, " align "...)
	dst = strconv.AppendInt(dst, int64(t.Align), 10)
	dst = append(dst, " {\n"...)
	for _, f := range t.Fields {
		dst = appendTabs(dst, indent+1)
		dst = strconv.AppendInt(dst, int64(f.Offset), 10)
		dst = append(dst, ' ')
		dst = append(dst, f.Name...)
		dst = append(dst, ' ')
		dst = appendType(dst, f.Type, indent+1)
		dst = append(dst, '\n')
	}
	return append(appendTabs(dst, indent), '}')
}

func appendTabs(dst []byte, n int) []byte { return append(dst, strings.Repeat("\t", n)...) }
