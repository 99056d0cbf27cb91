package schema_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log"

	"github.com/seed-247006a4/shoal/schema"
)

// Quote is what a program sends.
type Quote struct {
	Symbol [8]byte `shoal:",text"`
	Bid    float64
	Ask    float64
	Size   uint32
}

// One program stores the text of its type; another, which has no such type, decodes messages.
func Example() {
	s, err := schema.Of[Quote]()
	if err != nil {
		log.Fatal(err)
	}
	text := s.String() // stored in the shared object
	fmt.Print(text)

	// A message, as it lies in memory.
	message, _ := binary.Append(nil, binary.LittleEndian, Quote{[8]byte{'S', 'H', 'L'}, 101.5, 101.75, 300})
	message = append(message, 0, 0, 0, 0) // padding

	// Elsewhere:
	found, err := schema.Parse(text)
	if err != nil {
		log.Fatal(err)
	}
	line, err := found.AppendJSON(nil, message)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", line)
	// Output:
	// shoal schema 1
	// struct size 32 align 8 {
	// 	0 Symbol [8]char
	// 	8 Bid float64
	// 	16 Ask float64
	// 	24 Size uint32
	// }
	// {"Symbol":"SHL","Bid":101.5,"Ask":101.75,"Size":300}
}

// A type that cannot lie in shared memory is refused, with what to take instead.
func ExampleOf() {
	type Level struct{ Name string }
	type Book struct{ Levels [10]Level }
	_, err := schema.Of[Book]()
	fmt.Println(err)
	// Output:
	// schema: Book.Levels[].Name: string points to memory of this process; use [N]byte, with the tag `shoal:",text"`
}

func ExampleDiff() {
	type OldQuote struct {
		Symbol [8]byte `shoal:",text"`
		Bid    float32
		Ask    float32
		Size   uint32
	}
	want, _ := schema.Of[Quote]()
	found, _ := schema.Of[OldQuote]()
	fmt.Println(schema.Diff(want, found))
	// Output:
	// Bid: want float64 at 8, found float32 at 8
	// Ask: want float64 at 16, found float32 at 12
	// Size: want uint32 at 24, found uint32 at 16
	// want 32 bytes, found 20
	// want alignment 8, found 4
}

// A line of JSON becomes a message, and what is wrong with it is said by field.
func ExampleSchema_FromJSON() {
	s, _ := schema.Of[Quote]()
	message := make([]byte, s.Size())
	if err := s.FromJSON(message, []byte(`{"Symbol": "SHL", "Size": 300}`)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(bytes.HasPrefix(message, []byte("SHL\x00")), binary.LittleEndian.Uint32(message[24:]))
	fmt.Println(s.FromJSON(message, []byte(`{"Symbol": "SHL", "Size": -1}`)))
	// Output:
	// true 300
	// schema: Size: -1 is out of range of uint32, which is 0 to 4294967295
}

func ExampleSchema_C() {
	s, _ := schema.Of[[2]Quote]()
	fmt.Print(s.C("spread"))
	// Output:
	// #ifndef SPREAD_SCHEMA
	//
	// #include <assert.h>
	// #ifndef __cplusplus
	// #include <stdalign.h>
	// #endif
	// #include <stdbool.h>
	// #include <stddef.h>
	// #include <stdint.h>
	//
	// struct spread_element {
	// 	char Symbol[8];
	// 	double Bid;
	// 	double Ask;
	// 	uint32_t Size;
	// 	uint8_t _padding28[4];
	// };
	// static_assert(sizeof(struct spread_element) == 32, "size of struct spread_element");
	// static_assert(alignof(struct spread_element) == 8, "alignment of struct spread_element");
	// static_assert(offsetof(struct spread_element, Symbol) == 0, "offset of Symbol in struct spread_element");
	// static_assert(offsetof(struct spread_element, Bid) == 8, "offset of Bid in struct spread_element");
	// static_assert(offsetof(struct spread_element, Ask) == 16, "offset of Ask in struct spread_element");
	// static_assert(offsetof(struct spread_element, Size) == 24, "offset of Size in struct spread_element");
	//
	// typedef struct spread_element spread[2];
	// static_assert(sizeof(spread) == 64, "size of spread");
	//
	// #define SPREAD_FINGERPRINT UINT64_C(0x7b5840b8c20ebab3)
	// #define SPREAD_SCHEMA \
	// 	"shoal schema 1\n" \
	// 	"[2]struct size 32 align 8 {\n" \
	// 	"\t0 Symbol [8]char\n" \
	// 	"\t8 Bid float64\n" \
	// 	"\t16 Ask float64\n" \
	// 	"\t24 Size uint32\n" \
	// 	"}\n"
	//
	// #endif
}

// The expression is for numpy.dtype, in Python: numpy.frombuffer(message, dtype).
func ExampleSchema_Numpy() {
	s, _ := schema.Of[Quote]()
	fmt.Println(s.Numpy())
	// Output:
	// {'names': ['Symbol', 'Bid', 'Ask', 'Size'],
	//  'formats': ['S8', '<f8', '<f8', '<u4'],
	//  'offsets': [0, 8, 16, 24],
	//  'itemsize': 32}
}

// A program may walk the type, to make columns of its fields for instance.
func ExampleType() {
	s, _ := schema.Of[Quote]()
	for _, f := range s.Type().Fields {
		fmt.Println(f.Name, f.Type.Kind, f.Offset, f.Type.Size)
	}
	// Output:
	// Symbol array 0 8
	// Bid float64 8 8
	// Ask float64 16 8
	// Size uint32 24 4
}

// What [Schema.Type] points to are fields, and fields have kinds.
func ExampleField() {
	s, _ := schema.Of[Quote]()
	symbol := s.Type().Fields[0]
	fmt.Println(symbol.Type.Kind == schema.Array, symbol.Type.Count, symbol.Type.Elem.Kind)
	// Output:
	// true 8 char
}

func ExampleKind() {
	s, _ := schema.Of[complex128]()
	fmt.Println(s.Type().Kind, s.Type().Kind == schema.Complex128)
	// Output:
	// complex128 true
}

// A slice of bytes is the type of messages of which nothing is known.
func ExampleSchema_Untyped() {
	s, err := schema.Of[[]byte]()
	fmt.Println(s == schema.Bytes, s.Untyped(), s.Fingerprint(), err)
	// Output:
	// true true 0 <nil>
}
