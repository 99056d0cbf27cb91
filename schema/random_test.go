package schema_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/seed-247006a4/shoal/schema"
)

// numbers are the types without parts.
var numbers = []reflect.Type{
	reflect.TypeFor[bool](), reflect.TypeFor[int8](), reflect.TypeFor[int16](), reflect.TypeFor[int32](), reflect.TypeFor[int64](),
	reflect.TypeFor[uint8](), reflect.TypeFor[uint16](), reflect.TypeFor[uint32](), reflect.TypeFor[uint64](),
	reflect.TypeFor[float32](), reflect.TypeFor[float64](), reflect.TypeFor[complex64](), reflect.TypeFor[complex128](),
}

// randomType makes a type out of the first n numbers.
func randomType(r *rand.Rand, depth, n int) reflect.Type {
	switch kind := r.IntN(4); {
	case depth == 0 || kind == 0:
		return numbers[r.IntN(n)]
	case kind == 1:
		return reflect.ArrayOf(1+r.IntN(3), randomType(r, depth-1, n))
	}
	var fields []reflect.StructField
	for i := range 1 + r.IntN(6) {
		if r.IntN(5) == 0 {
			blank := reflect.ArrayOf(r.IntN(4), numbers[r.IntN(len(numbers))])
			fields = append(fields, reflect.StructField{Name: "_", PkgPath: "p", Type: blank})
		}
		fields = append(fields, reflect.StructField{Name: fmt.Sprintf("F%d", i), Type: randomType(r, depth-1, n)})
	}
	return reflect.StructOf(fields)
}

// fill sets all fields that have a name to something.
func fill(r *rand.Rand, v reflect.Value) {
	float := func() float64 {
		return []float64{0, 1, -1.5, 0.1, 1e-7, 3e21, -1e10, math.SmallestNonzeroFloat32, r.NormFloat64()}[r.IntN(9)]
	}
	switch {
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			fill(r, v.Index(i))
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).Name != "_" {
				fill(r, v.Field(i))
			}
		}
	case v.Kind() == reflect.Bool:
		v.SetBool(r.IntN(2) == 0)
	case v.CanInt():
		v.SetInt(int64(r.Uint64() >> r.IntN(64)))
	case v.CanUint():
		v.SetUint(r.Uint64() >> r.IntN(64))
	case v.CanFloat():
		v.SetFloat(float())
	default:
		v.SetComplex(complex(float(), float()))
	}
}

// random calls f with values of many random types, their schema and their bytes.
func random(t *testing.T, kinds int, f func(s *schema.Schema, v reflect.Value, message []byte)) {
	r := rand.New(rand.NewPCG(1, 2))
	structs := 0
	for range 500 {
		typ := randomType(r, 4, kinds)
		s := mustOf(t, typ)
		if typ.Kind() == reflect.Struct {
			structs++
		}
		p := reflect.New(typ)
		fill(r, p.Elem())
		f(s, p.Elem(), memoryAt(p.UnsafePointer(), typ.Size()))
		if t.Failed() {
			t.Fatalf("the type is %v", typ)
		}
	}
	if structs < 100 {
		t.Errorf("only %d structs", structs)
	}
}

// TestJSONIsThatOfGo compares with encoding/json, which knows the value, where we know its bytes.
func TestJSONIsThatOfGo(t *testing.T) {
	random(t, len(numbers)-2, func(s *schema.Schema, v reflect.Value, message []byte) { // it has no complex numbers
		want, err := json.Marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.AppendJSON(nil, message)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s, %v; want\n%s", got, err, want)
		}
		back := make([]byte, len(message))
		if err := s.FromJSON(back, want); err != nil || !bytes.Equal(back, message) {
			t.Errorf("%s:\n%x, %v; want\n%x", want, back, err, message)
		}
	})
}

// TestLayoutIsThatOfGo compares with encoding/binary, which writes the fields without padding, and with reflect's offsets.
func TestLayoutIsThatOfGo(t *testing.T) {
	random(t, len(numbers), func(s *schema.Schema, v reflect.Value, message []byte) {
		compareLayout(t, s.Type(), v.Type())
		want, err := binary.Append(nil, binary.LittleEndian, unpadded(v).Interface())
		if err != nil {
			t.Fatal(err)
		}
		if got := appendLeaves(nil, s.Type(), message); !bytes.Equal(got, want) {
			t.Errorf("%x, want %x", got, want)
		}
	})
}

// TestTextIsCanonical parses the text of every random type, and compares all that is printed from it.
func TestTextIsCanonical(t *testing.T) {
	random(t, len(numbers), func(s *schema.Schema, _ reflect.Value, _ []byte) {
		parsed, err := schema.Parse(s.String())
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(parsed, s) || schema.Diff(s, parsed) != "" {
			t.Errorf("%v, parsed %v", s, parsed)
		}
	})
}

func compareLayout(t *testing.T, s *schema.Type, v reflect.Type) {
	if s.Size != int(v.Size()) || s.Align != v.Align() {
		t.Errorf("%v: size %d, alignment %d", v, s.Size, s.Align)
	}
	switch v.Kind() {
	case reflect.Array:
		compareLayout(t, s.Elem, v.Elem())
	case reflect.Struct:
		fields := s.Fields
		for i := range v.NumField() {
			f := v.Field(i)
			if f.Name == "_" {
				continue
			}
			if len(fields) == 0 || fields[0].Name != f.Name || fields[0].Offset != int(f.Offset) {
				t.Fatalf("%v.%s: %+v", v, f.Name, fields)
			}
			compareLayout(t, fields[0].Type, f.Type)
			fields = fields[1:]
		}
		if len(fields) > 0 {
			t.Errorf("%v: too many fields: %+v", v, fields)
		}
	}
}

// appendLeaves appends the bytes of all numbers in a message.
func appendLeaves(dst []byte, s *schema.Type, message []byte) []byte {
	switch s.Kind {
	case schema.Array:
		for i := range s.Count {
			dst = appendLeaves(dst, s.Elem, message[i*s.Elem.Size:])
		}
		return dst
	case schema.Struct:
		for _, f := range s.Fields {
			dst = appendLeaves(dst, f.Type, message[f.Offset:])
		}
		return dst
	}
	return append(dst, message[:s.Size]...)
}

// unpadded returns v without its blank fields, which encoding/binary would write as zeros.
func unpadded(v reflect.Value) reflect.Value {
	out := reflect.New(withoutBlanks(v.Type())).Elem()
	switch v.Kind() {
	case reflect.Array:
		for i := range v.Len() {
			out.Index(i).Set(unpadded(v.Index(i)))
		}
	case reflect.Struct:
		for i := range out.NumField() {
			out.Field(i).Set(unpadded(v.FieldByName(out.Type().Field(i).Name)))
		}
	default:
		out.Set(v)
	}
	return out
}

func withoutBlanks(t reflect.Type) reflect.Type {
	switch t.Kind() {
	case reflect.Array:
		return reflect.ArrayOf(t.Len(), withoutBlanks(t.Elem()))
	case reflect.Struct:
		var fields []reflect.StructField
		for i := range t.NumField() {
			if f := t.Field(i); f.Name != "_" {
				fields = append(fields, reflect.StructField{Name: f.Name, Type: withoutBlanks(f.Type)})
			}
		}
		return reflect.StructOf(fields)
	}
	return t
}
