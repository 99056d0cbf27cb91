package schema_test

import (
	"io"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/seed-247006a4/shoal/schema"
)

type (
	withString  struct{ Levels [2]struct{ Name string } }
	withBlank   struct{ A, _ int8 }
	onlyPadding struct{ _ [8]byte }
	deep2       [1][1][1][1]struct{ A [1][1][1][1]int8 }
)

// TestRefused lists every reason for which Of refuses a type, with what the error must say.
func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		typ  any
		want []string
	}{
		{withString{}, []string{"schema: withString.Levels[].Name: string ", "use [N]byte"}},
		{struct{ A struct{ B int } }{}, []string{"A.B: int ", "use int64"}},
		{struct{ A uint }{}, []string{"A: uint ", "use uint64"}},
		{struct{ A uintptr }{}, []string{"A: uintptr ", "uint64 offset"}},
		{struct{ A *Tick }{}, []string{"A: *schema_test.Tick ", "use schema_test.Tick itself"}},
		{struct{ A reflect.Value }{}, []string{"A.typ_: *abi.Type "}},
		{struct{ A []byte }{}, []string{"A: []uint8 ", "[N]byte and a length"}},
		{struct{ A []float64 }{}, []string{"A: []float64 ", "[N]float64 and a count"}},
		{struct{ A map[int32]int32 }{}, []string{"A: map[int32]int32 ", "array of structs"}},
		{struct{ A io.Reader }{}, []string{"A: io.Reader ", "one concrete type"}},
		{struct{ A any }{}, []string{"A: interface {} "}},
		{struct{ A chan int }{}, []string{"A: chan int ", "remove it"}},
		{struct{ A func() }{}, []string{"A: func() ", "remove it"}},
		{struct{ A sync.Map }{}, []string{"schema: A.m", ": unsafe.Pointer ", "uint64 offset"}},
		{"", []string{"schema: string: string ", "use [N]byte"}},
		{[3]int{}, []string{"schema: [3]int[]: int "}},
		{new(Tick), []string{"*schema_test.Tick"}},
		{[][]byte{}, []string{"[][]uint8 "}},
		{struct {
			A int8
			_ [2]*int
		}{}, []string{"_[]: *int "}},
		{struct {
			A int8
			_ struct{ B [1]string }
		}{}, []string{"_.B[]: string "}},
		{struct{}{}, []string{"no field has a name", "[]byte"}},
		{[2]struct{}{}, []string{"no field has a name"}},
		{onlyPadding{}, []string{"onlyPadding: no field has a name"}},
		{struct{ A onlyPadding }{}, []string{"A: no field has a name", "padding, with the name _"}},
		{struct{ A struct{} }{}, []string{"A: struct {} takes no room"}},
		{struct{ A [0]int8 }{}, []string{"A: [0]int8 takes no room"}},
		{[0]int8{}, []string{"0 elements"}},
		{struct{ Größe int8 }{}, []string{"Größe: ", "not an ASCII identifier", "tag"}},
		{struct {
			A int8 `shoal:"a-b"`
		}{}, []string{`A: "a-b" is not an ASCII identifier`}},
		{struct {
			A int8 `shoal:"9"`
		}{}, []string{`A: "9" is not`}},
		{struct {
			A int8 `shoal:"a2345678901234567890123456789012345678901234567890123456789012345"`
		}{}, []string{`A: a name of 65 bytes`}},
		{struct {
			A int8
			B int8 `shoal:"A"`
		}{}, []string{"A: two fields have this name"}},
		{struct {
			A int8 `shoal:"a,omitempty"`
		}{}, []string{`A: `, `option "omitempty"`, "only text"}},
		{struct {
			A byte `shoal:",text"`
		}{}, []string{`A: `, `for [N]byte, not for uint8`}},
		{struct {
			A [3]int8 `shoal:",text"`
		}{}, []string{`for [N]byte, not for [3]int8`}},
		{struct{ A [4][4]deep2 }{}, nil}, // 1 + 2 + 4 + 1 + 4
		{struct {
			A [1][1]struct{ B [1][1][1]deep2 }
		}{}, nil},
		{struct {
			A [1][1]struct{ B [1][1][1][1]deep2 }
		}{}, []string{"nest more than 16 deep"}},
		{nil, []string{"no type"}},
	} {
		_, err := schema.OfType(reflect.TypeOf(tt.typ))
		if (err == nil) != (tt.want == nil) {
			t.Errorf("%T: error %v, want one with %q", tt.typ, err, tt.want)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%T: error %q has no %q", tt.typ, err, want)
			}
		}
	}
	for _, typ := range []reflect.Type{
		reflect.ArrayOf(schema.MaxSize+1, reflect.TypeFor[int8]()),
		reflect.ArrayOf(1<<20, reflect.TypeFor[[1 << 12]int8]()),
		reflect.StructOf([]reflect.StructField{ // padding counts, too
			{Name: "A", Type: reflect.TypeFor[int8]()},
			{Name: "_", PkgPath: "p", Type: reflect.ArrayOf(schema.MaxSize, reflect.TypeFor[int8]())},
		}),
	} {
		if s, err := schema.OfType(typ); err == nil || !strings.Contains(err.Error(), "a type may have") {
			t.Errorf("%v: %v, %v", typ, s, err)
		}
	}
	nested := reflect.TypeFor[int8]()
	for range 16 {
		nested = reflect.ArrayOf(1, nested)
	}
	mustOf(t, nested)
	if _, err := schema.OfType(reflect.ArrayOf(1, nested)); err == nil || !strings.Contains(err.Error(), "nest more than 16 deep") {
		t.Errorf("17 arrays: %v", err)
	}
	// One that is just small enough.
	if s, err := schema.OfType(reflect.ArrayOf(schema.MaxSize, reflect.TypeFor[int8]())); err != nil || s.Size() != schema.MaxSize {
		t.Error(err)
	}
	var many []reflect.StructField
	for _, name := range names(5000) {
		many = append(many, reflect.StructField{Name: name, Type: reflect.TypeFor[int8]()})
	}
	if _, err := schema.OfType(reflect.StructOf(many)); err == nil || !strings.Contains(err.Error(), "the text has") {
		t.Errorf("5000 fields: %v", err)
	}
}

// names returns n names of fields.
func names(n int) (out []string) {
	for i := range n {
		out = append(out, "Field"+string(rune('A'+i/676%26))+string(rune('A'+i/26%26))+string(rune('A'+i%26)))
	}
	return out
}

func TestAccepted(t *testing.T) {
	for _, tt := range []struct {
		typ  any
		want string
	}{
		{withBlank{}, "struct size 2 align 1 {\n\t0 A int8\n}"},
		{struct {
			_ [0]func() // no room, no pointers, but alignment
			A int8
		}{}, "struct size 8 align 8 {\n\t0 A int8\n}"},
		{struct {
			A int8
			_ onlyPadding
		}{}, "struct size 9 align 1 {\n\t0 A int8\n}"},
		{struct {
			A int8
			_ struct{} // Go gives a field of no size at the end a byte, so that its address lies within
		}{}, "struct size 2 align 1 {\n\t0 A int8\n}"},
		{struct {
			A int8 `json:"x"`
		}{}, "struct size 1 align 1 {\n\t0 A int8\n}"},
		{struct{ sync.Mutex }{}, ""},
		{true, "bool"},
		{Celsius(0), "float32"},
	} {
		s, err := schema.OfType(reflect.TypeOf(tt.typ))
		if err != nil {
			t.Errorf("%T: %v", tt.typ, err)
		} else if got := s.String(); tt.want != "" && got != "shoal schema 1\n"+tt.want+"\n" {
			t.Errorf("%T: %s", tt.typ, got)
		}
	}
}
