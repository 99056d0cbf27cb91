// Package schema describes the type of messages in shared memory: what stands where in their bytes, in words that every
// language reads.
//
// A program asks for the schema of its type with [Of]. Its text is stored in the shared object, so that whoever opens the
// object can tell another type by the fingerprint and say what differs ([Diff]), and so that a tool that knows nothing of
// the program can decode any message ([Schema.AppendJSON]), make one ([Schema.FromJSON]), or write the declaration for a C
// program ([Schema.C]) or numpy ([Schema.Numpy]).
//
// # Types
//
// A type is structural: names of types do not count, names of fields do. It is made of bool, int8 to int64, uint8 to
// uint64, float32, float64, complex64, complex128, arrays and structs of these, and named types over them. What holds
// pointers (strings, slices, maps, interfaces and so on) means nothing in another process; int, uint and uintptr differ
// from machine to machine. Those are refused, and the error names the field and what to take instead.
//
//	type Tick struct {
//		Time   int64                        // field "Time" at offset 0
//		Venue  uint16 `shoal:"venue"`       // field "venue" at offset 8
//		_      [6]byte                      // padding
//		Symbol [8]byte `shoal:",text"`      // text: a string in JSON, char[8] in C
//		Levels [2]Level
//	}
//
// The tag is that of encoding/json: a name, a comma, an option; each may be missing. A name must be that of a C
// identifier of at most 64 bytes. The option text marks bytes as text, for [N]byte and arrays of it: UTF-8 that ends at the
// first zero byte, or at the array's end. An embedded struct is a field with the name of its type. A blank field is
// padding; fields that take no room, such as structs.HostLayout, must be blank.
//
// # Text
//
// The text is a format: it is stored in shared objects, read by C and Python, and never changes. Another grammar will have
// another number in its first line.
//
//	Schema = "shoal schema 1" LF Type LF .
//	Type   = { "[" Number "]" } ( Kind | Struct ) .
//	Struct = "struct size " Number " align " Number " {" LF Field { Field } Indent "}" .
//	Field  = Indent Number " " Name " " Type LF .
//	Kind   = "bool" | "int8" | "int16" | "int32" | "int64" | "uint8" | "uint16" | "uint32" | "uint64" |
//	         "float32" | "float64" | "complex64" | "complex128" | "char" .
//	Name   = ( Letter | "_" ) { Letter | Digit | "_" } .
//	Number = "0" | NonZero { Digit } .
//	Indent = { TAB } .
//	Letter = "A" … "Z" | "a" … "z" .  Digit = "0" … "9" .  NonZero = "1" … "9" .  TAB = 0x09 .  LF = 0x0a .
//
// For the type above, where Level is struct{ Price float64; Size uint32 }:
//
//	shoal schema 1
//	struct size 56 align 8 {
//		0 Time int64
//		8 venue uint16
//		16 Symbol [8]char
//		24 Levels [2]struct size 16 align 8 {
//			0 Price float64
//			8 Size uint32
//		}
//	}
//
// The number before a field's name is its offset in bytes from the start of its struct. [2][3]uint8 is two arrays of three.
// Values are little-endian; a bool is a byte that is 0 or not; a complex number is its real part and then its imaginary
// part; char is a byte of text, and stands only in arrays. Between fields, and after the last, may be padding: bytes without
// meaning.
//
//	kind              size           alignment
//	bool int8 uint8 char  1              1
//	int16 uint16          2              2
//	int32 uint32 float32  4              4
//	int64 uint64 float64  8              8
//	complex64             8              4
//	complex128           16              8
//	array                 count × element's  that of the element
//	struct                as given           as given
//
// Of one type there is one text only. These hold, and [Parse] checks them:
//
//   - Indent is one TAB for each struct around: as many before "}" as before the line of its "{".
//   - Fields stand in the order of their offsets, do not overlap, and end within the struct. Their names differ.
//   - Every offset is a multiple of the field's alignment. A struct's alignment is 1, 2, 4 or 8, no less than that of any
//     field, and divides the struct's size.
//   - An array has at least one element, a struct at least one field.
//   - The text has at most 65,536 bytes, a name at most 64, the whole type at most 2^31 - 1; arrays and structs nest at
//     most 16 deep, counted together.
//
// # Fingerprint
//
// The fingerprint is the 64-bit FNV-1a hash of the text: start with 0xcbf29ce484222325; for each byte, exclusive-or it in,
// then multiply by 0x100000001b3, modulo 2^64. A result of 0 counts as 1, since 0 is the fingerprint of untyped bytes. FNV
// is chosen because it is four lines in any language. It tells types apart by mistake, not by malice: equal texts are
// equal types, equal fingerprints are not a proof.
package schema
