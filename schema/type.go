package schema

import "fmt"

// The limits of the format.
const (
	MaxText = 1 << 16   // bytes of the text of a schema
	MaxSize = 1<<31 - 1 // bytes of a value

	maxName  = 64 // bytes of a field's name
	maxDepth = 16 // arrays and structs within each other
	maxAlign = 8  // the largest alignment that Go knows
)

// Type is one node of a schema: a number, an array or a struct. It is shared by all who have the schema, and must not be
// changed.
type Type struct {
	Kind   Kind    `json:"kind"`              // what it is, and which of the fields below it has
	Size   int     `json:"size"`              // bytes
	Align  int     `json:"align"`             // 1, 2, 4 or 8: offsets are multiples of it
	Count  int     `json:"count,omitempty"`   // of an Array: its elements
	Elem   *Type   `json:"element,omitempty"` // of an Array: the type of each element
	Fields []Field `json:"fields,omitempty"`  // of a Struct: in the order of their offsets, without padding

	depth int // arrays and structs from here down
}

// Field is a field of a struct.
type Field struct {
	Name   string `json:"name"`   // a C identifier of at most 64 bytes, unlike the others of the struct
	Offset int    `json:"offset"` // bytes from the start of the struct
	Type   *Type  `json:"type"`   // never nil
}

// arrayOf returns the type of count times elem.
func arrayOf(count int, elem *Type) (*Type, error) {
	switch {
	case count < 1:
		return nil, fmt.Errorf("an array of %d elements holds nothing", count)
	case count > MaxSize/elem.Size:
		return nil, fmt.Errorf("an array of %d × %d bytes is larger than the %d bytes a type may have", count, elem.Size, MaxSize)
	case elem.depth >= maxDepth:
		return nil, errDeep
	}
	return &Type{Kind: Array, Size: count * elem.Size, Align: elem.Align, Count: count, Elem: elem, depth: elem.depth + 1}, nil
}

var errDeep = fmt.Errorf("arrays and structs nest more than %d deep", maxDepth)

// structOf returns the struct of the given fields, and refuses it if they do not lie in it as the package comment says.
func structOf(size, align int, fields []Field) (*Type, error) {
	switch {
	case len(fields) == 0:
		return nil, fmt.Errorf("a struct without fields holds nothing")
	case align != 1 && align != 2 && align != 4 && align != maxAlign:
		return nil, fmt.Errorf("a struct's alignment is 1, 2, 4 or 8, not %d", align)
	case size > MaxSize:
		return nil, fmt.Errorf("a struct of %d bytes is larger than the %d bytes a type may have", size, MaxSize)
	case size%align != 0:
		return nil, fmt.Errorf("a struct's size is a multiple of its alignment: %d is not one of %d", size, align)
	}
	t := &Type{Kind: Struct, Size: size, Align: align, Fields: fields}
	end := 0
	names := make(map[string]bool, len(fields))
	for _, f := range fields {
		switch {
		case f.Type.Kind == Char:
			return nil, fmt.Errorf("%s: char stands only in arrays", f.Name)
		case f.Type.Align > align:
			return nil, fmt.Errorf("%s: alignment %d in a struct of alignment %d", f.Name, f.Type.Align, align)
		case f.Offset%f.Type.Align != 0:
			return nil, fmt.Errorf("%s: offset %d is not a multiple of the alignment %d", f.Name, f.Offset, f.Type.Align)
		case f.Offset < end:
			return nil, fmt.Errorf("%s: offset %d lies before %d, where the field before it ends", f.Name, f.Offset, end)
		case f.Offset > size-f.Type.Size:
			return nil, fmt.Errorf("%s: %d bytes at offset %d do not fit in a struct of %d bytes", f.Name, f.Type.Size, f.Offset, size)
		case names[f.Name]:
			return nil, fmt.Errorf("%s: two fields have this name", f.Name)
		}
		names[f.Name] = true
		end = f.Offset + f.Type.Size
		t.depth = max(t.depth, f.Type.depth)
	}
	if t.depth++; t.depth > maxDepth {
		return nil, errDeep
	}
	return t, nil
}

// isText reports whether t is an array of text bytes, which JSON shows as a string.
func (t *Type) isText() bool { return t.Kind == Array && t.Elem.Kind == Char }

// checkName says what is wrong with the name of a field.
func checkName(name string) error {
	if len(name) > maxName {
		return fmt.Errorf("a name of %d bytes; %d are allowed", len(name), maxName)
	}
	for i := range len(name) {
		if !isNameByte(name[i], i == 0) {
			return fmt.Errorf("%q is not an ASCII identifier", name)
		}
	}
	if name == "" {
		return fmt.Errorf("a field needs a name")
	}
	return nil
}

// isNameByte reports whether c may stand in a name; as its first byte if first.
func isNameByte(c byte, first bool) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || !first && '0' <= c && c <= '9'
}
