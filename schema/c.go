package schema

import (
	"fmt"
	"slices"
	"strings"
)

// C returns the declaration of the type in C11, which is one in C++17, too, complete with what it includes: struct name, or name as a typedef if the type
// is no struct. Padding is explicit, and size, alignment and every offset are asserted: what compiles has the layout. Structs
// within are declared before, named after the first field that has them; structs that are the same are declared once.
//
// The macros NAME_SCHEMA and NAME_FINGERPRINT hold the text and the fingerprint, for programs that create or open objects.
// Where name, or that of a field, cannot stand in C, it is changed: "order-book" to order_book, "double" to double_.
//
// It returns "" if the schema is untyped.
func (s *Schema) C(name string) string {
	if s.root == nil {
		return ""
	}
	c := &cWriter{names: make(map[string]bool), structs: make(map[string]string)}
	name = c.unique(cName(name))
	macro := strings.ToUpper(name)
	fmt.Fprintf(c, "#ifndef %s_SCHEMA\n\n", macro)
	fmt.Fprintf(c, "#include <assert.h>\n#ifndef __cplusplus\n#include <stdalign.h>\n#endif\n")
	fmt.Fprintf(c, "#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\n")

	elem, dims := s.root.element()
	declared := name
	if elem.Kind == Struct {
		if s.root.Kind == Array {
			declared = c.unique(name + "_element")
		}
		c.structure(declared, elem)
	}
	if s.root.Kind != Struct {
		fmt.Fprintf(c, "typedef %s %s%s;\n", c.spec(elem), name, dims)
		fmt.Fprintf(c, "static_assert(sizeof(%s) == %d, \"size of %[1]s\");\n\n", name, s.root.Size)
	}

	fmt.Fprintf(c, "#define %s_FINGERPRINT UINT64_C(0x%016x)\n#define %[1]s_SCHEMA", macro, s.fingerprint)
	for line := range strings.Lines(s.text) {
		fmt.Fprintf(c, " \\\n\t\"%s\"", strings.NewReplacer("\t", `\t`, "\n", `\n`).Replace(line))
	}
	fmt.Fprintf(c, "\n\n#endif\n")
	return c.String()
}

// element returns what an array is made of in the end, and its dimensions as C and Go write them; of another type, itself.
func (t *Type) element() (elem *Type, dims string) {
	for ; t.Kind == Array; t = t.Elem {
		dims += fmt.Sprintf("[%d]", t.Count)
	}
	return t, dims
}

// A cWriter collects declarations.
type cWriter struct {
	strings.Builder
	names   map[string]bool   // taken
	structs map[string]string // text of a struct: its name
}

// structure declares a struct, after those in it.
func (c *cWriter) structure(name string, t *Type) {
	c.structs[textOf(t)] = name
	for _, f := range t.Fields {
		if elem, _ := f.Type.element(); elem.Kind == Struct && c.structs[textOf(elem)] == "" {
			c.structure(c.unique(name+"_"+f.Name), elem)
		}
	}

	members := members(t)
	// Alignment that no member brings, from a blank field in Go.
	natural, align := 1, ""
	for _, m := range members {
		natural = max(natural, m.t.Align)
	}
	if natural < t.Align {
		align = fmt.Sprintf("alignas(%d) ", t.Align)
	}
	fmt.Fprintf(c, "struct %s {\n", name)
	for _, m := range members {
		elem, dims := m.t.element()
		fmt.Fprintf(c, "\t%s%s %s%s;\n", align, c.spec(elem), m.name, dims)
		align = ""
	}
	fmt.Fprintf(c, "};\n")
	fmt.Fprintf(c, "static_assert(sizeof(struct %s) == %d, \"size of struct %[1]s\");\n", name, t.Size)
	fmt.Fprintf(c, "static_assert(alignof(struct %s) == %d, \"alignment of struct %[1]s\");\n", name, t.Align)
	for _, m := range members {
		if !m.padding {
			fmt.Fprintf(c, "static_assert(offsetof(struct %s, %s) == %d, \"offset of %[2]s in struct %[1]s\");\n", name, m.name, m.offset)
		}
	}
	fmt.Fprintln(c)
}

// spec returns the type specifier of what is no array.
func (c *cWriter) spec(t *Type) string {
	if t.Kind == Struct {
		return "struct " + c.structs[textOf(t)]
	}
	return kinds[t.Kind].c
}

// unique returns name, or the first that follows it and is not taken, and takes it.
func (c *cWriter) unique(name string) string { return unique(c.names, name) }

func unique(taken map[string]bool, name string) string {
	for taken[name] {
		name += "_"
	}
	taken[name] = true
	return name
}

// A member is a field or padding of a C struct.
type member struct {
	name    string
	offset  int
	t       *Type
	padding bool
}

// members returns the fields of t, with all padding made explicit.
func members(t *Type) (out []member) {
	names := make(map[string]bool)
	for _, f := range t.Fields {
		names[f.Name] = true // so that only names that are changed change
	}
	end := 0
	pad := func(to int) {
		if to > end {
			t := &Type{Kind: Array, Size: to - end, Align: 1, Count: to - end, Elem: &kinds[Uint8].plain}
			out = append(out, member{unique(names, "_padding"+fmt.Sprint(end)), end, t, true})
		}
	}
	for _, f := range t.Fields {
		pad(f.Offset)
		name := f.Name
		if safe := cName(name); safe != name {
			name = unique(names, safe)
		}
		out = append(out, member{name, f.Offset, f.Type, false})
		end = f.Offset + f.Type.Size
	}
	pad(t.Size)
	return out
}

// cReserved are the keywords of C11 and C++20, and the macros of the headers that C includes.
var cReserved = strings.Fields(`auto break case char const continue default do double else enum extern float for goto if inline
	int long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
	_Alignas _Alignof _Atomic _Bool _Complex _Generic _Imaginary _Noreturn _Static_assert _Thread_local
	alignas alignof and and_eq asm bitand bitor catch char8_t char16_t char32_t class co_await co_return co_yield compl concept
	const_cast consteval constexpr constinit decltype delete dynamic_cast explicit export friend mutable namespace new noexcept
	not not_eq nullptr operator or or_eq private protected public reinterpret_cast requires static_assert static_cast template
	this thread_local throw try typeid typename using virtual wchar_t xor xor_eq
	assert bool true false NULL offsetof`)

// cName returns name, changed as far as it cannot stand in C.
func cName(name string) string {
	b := []byte(name)
	for i, c := range b {
		if !isNameByte(c, false) {
			b[i] = '_'
		}
	}
	if len(b) == 0 || !isNameByte(b[0], true) {
		b = append([]byte("_"), b...)
	}
	if slices.Contains(cReserved, string(b)) {
		b = append(b, '_')
	}
	return string(b)
}
