package schema

import "fmt"

// Kind says what a [Type] is.
type Kind uint8

// The kinds. Their names, as [Kind.String] gives them, are those of the text.
const (
	Bool       Kind = iota + 1 // one byte, 0 or not
	Int8                       // 1 byte, signed
	Int16                      // 2 bytes, signed
	Int32                      // 4 bytes, signed
	Int64                      // 8 bytes, signed
	Uint8                      // 1 byte
	Uint16                     // 2 bytes
	Uint32                     // 4 bytes
	Uint64                     // 8 bytes
	Float32                    // IEEE 754 binary32
	Float64                    // IEEE 754 binary64
	Complex64                  // two Float32: real, imaginary
	Complex128                 // two Float64: real, imaginary
	Char                       // one byte of UTF-8 text; only as the element of an Array
	Array                      // Count times Elem
	Struct                     // Fields
)

// kinds holds what is fixed for each kind: its names and, for all but Array and Struct, its type.
var kinds = [...]struct {
	name  string
	c     string // in C11
	numpy string // in numpy's array interface
	plain Type
}{
	Bool:       {"bool", "bool", "?", Type{Kind: Bool, Size: 1, Align: 1}},
	Int8:       {"int8", "int8_t", "i1", Type{Kind: Int8, Size: 1, Align: 1}},
	Int16:      {"int16", "int16_t", "<i2", Type{Kind: Int16, Size: 2, Align: 2}},
	Int32:      {"int32", "int32_t", "<i4", Type{Kind: Int32, Size: 4, Align: 4}},
	Int64:      {"int64", "int64_t", "<i8", Type{Kind: Int64, Size: 8, Align: 8}},
	Uint8:      {"uint8", "uint8_t", "u1", Type{Kind: Uint8, Size: 1, Align: 1}},
	Uint16:     {"uint16", "uint16_t", "<u2", Type{Kind: Uint16, Size: 2, Align: 2}},
	Uint32:     {"uint32", "uint32_t", "<u4", Type{Kind: Uint32, Size: 4, Align: 4}},
	Uint64:     {"uint64", "uint64_t", "<u8", Type{Kind: Uint64, Size: 8, Align: 8}},
	Float32:    {"float32", "float", "<f4", Type{Kind: Float32, Size: 4, Align: 4}},
	Float64:    {"float64", "double", "<f8", Type{Kind: Float64, Size: 8, Align: 8}},
	Complex64:  {"complex64", "float _Complex", "<c8", Type{Kind: Complex64, Size: 8, Align: 4}},
	Complex128: {"complex128", "double _Complex", "<c16", Type{Kind: Complex128, Size: 16, Align: 8}},
	Char:       {"char", "char", "S1", Type{Kind: Char, Size: 1, Align: 1}},
	Array:      {name: "array"},
	Struct:     {name: "struct"},
}

// plain maps the names of the kinds that need no further words to them.
var plain = func() map[string]Kind {
	m := make(map[string]Kind)
	for k := Bool; k <= Char; k++ {
		m[kinds[k].name] = k
	}
	return m
}()

// String returns the kind's name: "float64".
func (k Kind) String() string {
	if k < Bool || k > Struct {
		return fmt.Sprintf("kind %d", uint8(k))
	}
	return kinds[k].name
}

// MarshalText returns the kind's name, for JSON.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
