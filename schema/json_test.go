package schema_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/schema"
)

// everything returns a value with extremes in it.
func everything() Everything {
	return Everything{
		B: true, I8: math.MinInt8, I16: math.MinInt16, I32: math.MinInt32, I64: math.MinInt64,
		U8: math.MaxUint8, U16: math.MaxUint16, U32: math.MaxUint32, U64: math.MaxUint64,
		F32: math.MaxFloat32, F64: math.SmallestNonzeroFloat64, C64: complex(1.5, -2), C128: complex(math.Inf(-1), 1e300),
		Temp: -0.25, Text: [5]byte{'h', 0xc3, 0xa9, '"', '\\'}, Words: [2][3]byte{{'a', 'b', 'c'}, {'d'}},
		Raw: [2][3]byte{{1, 2, 3}, {4, 5, 6}}, Flags: [3]bool{true, false, true},
		Bid: Level{101.5, 7}, Ask: Level{Price: math.Inf(1), Size: 1},
		Grid: [2][1]struct{ X, Y int16 }{{{1, -1}}, {{2, -2}}}, Level: Level{Size: 9}, last: 200,
	}
}

const everythingJSON = `{"B":true,"I8":-128,"I16":-32768,"I32":-2147483648,"I64":-9223372036854775808,` +
	`"U8":255,"U16":65535,"U32":4294967295,"U64":18446744073709551615,"F32":3.4028235e+38,"F64":5e-324,"C64":[1.5,-2],` +
	`"C128":["-Infinity",1e+300],"Temp":-0.25,"Text":"hé\"\\","words":["abc","d"],"Raw":[[1,2,3],[4,5,6]],` +
	`"Flags":[true,false,true],"Bid":{"Price":101.5,"Size":7},"Ask":{"Price":"Infinity","Size":1},` +
	`"Grid":[[{"X":1,"Y":-1}],[{"X":2,"Y":-2}]],"Level":{"Price":0,"Size":9},"last":200}`

func TestEverything(t *testing.T) {
	s, err := schema.Of[Everything]()
	if err != nil {
		t.Fatal(err)
	}
	// As a tool would: from the text alone.
	if s, err = schema.Parse(s.String()); err != nil {
		t.Fatal(err)
	}
	v := everything()
	got, err := s.AppendJSON([]byte("x"), memory(&v))
	if err != nil || string(got) != "x"+everythingJSON {
		t.Fatalf("%s, %v; want\n%s", got, err, everythingJSON)
	}
	back := make([]byte, s.Size())
	for i := range back {
		back[i] = 0xff
	}
	if err := s.FromJSON(back, got[1:]); err != nil {
		t.Fatal(err)
	}
	if want := memory(&v); !reflect.DeepEqual(back, want) {
		t.Errorf("back:\n%x\nwant:\n%x", back, want)
	}
	// In another order, with white space, and with fields missing.
	if err := s.FromJSON(back, []byte(" {\t\"last\" : 3 ,\r\n\"Bid\":{} , \"I8\":-0,\"Text\":\"\\u0041\" } ")); err != nil {
		t.Fatal(err)
	}
	few := Everything{last: 3, Text: [5]byte{'A'}}
	if want := memory(&few); !reflect.DeepEqual(back, want) {
		t.Errorf("back:\n%x\nwant:\n%x", back, want)
	}
	if n := testing.AllocsPerRun(100, func() { got, _ = s.AppendJSON(got[:0], memory(&v)) }); n > 0 {
		t.Errorf("AppendJSON allocates %v times", n)
	}
	for _, n := range []int{0, s.Size() - 1, s.Size() + 1} {
		if out, err := s.AppendJSON([]byte("x"), make([]byte, n)); err == nil || string(out) != "x" || !strings.Contains(err.Error(), "160") {
			t.Errorf("message of %d bytes: %q, %v", n, out, err)
		}
		if err := s.FromJSON(make([]byte, n), []byte("{}")); err == nil || !strings.Contains(err.Error(), "160") {
			t.Errorf("room of %d bytes: %v", n, err)
		}
	}
}

// values are JSON and what it is once encoded and decoded; "" for the same.
var values = []struct{ typ, in, out string }{
	{"bool", "true", ""}, {"bool", " false ", "false"},
	{"int8", "127", ""}, {"uint64", "18446744073709551615", ""}, {"int64", "9007199254740993", ""},
	{"float64", "0.1", ""}, {"float64", "-0", ""}, {"float64", "1e21", "1e+21"}, {"float64", "123456789012345680000", ""},
	{"float64", "0.000001", ""}, {"float64", "0.0000001", "1e-7"}, {"float64", "1E-10", "1e-10"}, {"float64", "1e-400", "0"},
	{"float64", "1.7976931348623157e308", "1.7976931348623157e+308"}, {"float64", "9007199254740993", "9007199254740992"},
	{"float32", "0.1", ""}, {"float32", "16777217", "16777216"}, {"float32", "1e-45", ""}, {"float32", "1e21", "1e+21"},
	{"float32", "0.000001", ""}, {"float32", `"NaN"`, ""}, {"float64", `"-Infinity"`, ""}, {"float64", `"Infinity"`, ""},
	{"complex64", `[ 1 ,"NaN" ]`, `[1,"NaN"]`}, {"complex128", "[1e300,-0.5]", "[1e+300,-0.5]"},
	{"[3]uint8", "[1,2,3]", ""}, {"[2][1]bool", "[[true],[false]]", ""},
	{"[4]char", `""`, ""}, {"[4]char", `"abcd"`, ""}, {"[4]char", `"\u0041\n\u007f<"`, `"A\u000a\u007f<"`},
	{"[2][2]char", `["ab","c"]`, ""}, {"[4]char", `"\ud83d\ude00"`, `"😀"`}, {"[4]char", `"é\u0085"`, `"é\u0085"`},
	{"[3]char", `"\u2028"`, ""}, {"[4]char", `"\"\\\/"`, `"\"\\/"`}, {"[3]char", `"\ud800"`, "\"\ufffd\""},
}

func TestValues(t *testing.T) {
	for _, tt := range values {
		s, err := schema.Parse(first + tt.typ + "\n")
		if err != nil {
			t.Fatal(err)
		}
		message := make([]byte, s.Size())
		if err := s.FromJSON(message, []byte(tt.in)); err != nil {
			t.Errorf("%s %s: %v", tt.typ, tt.in, err)
			continue
		}
		want := tt.out
		if want == "" {
			want = tt.in
		}
		out, err := s.AppendJSON(nil, message)
		if err != nil || string(out) != want || !json.Valid(out) {
			t.Errorf("%s %s: %s, %v; want %s", tt.typ, tt.in, out, err, want)
		}
	}
}

// TestMessages decodes bytes that no program of ours writes.
func TestMessages(t *testing.T) {
	for _, tt := range []struct{ typ, message, want string }{
		{"bool", "\x02", "true"},
		{"[2]bool", "\xff\x00", "[true,false]"},
		{"float32", "\x01\x00\x80\x7f", `"NaN"`}, // signalling
		{"float32", "\x01\x00\xc0\xff", `"NaN"`}, // negative
		{"[4]char", "\xff\x80é", "\"\ufffd\ufffdé\""},
		{"[3]char", "ab\xc3", "\"ab\ufffd\""}, // cut
		{"[5]char", "a\x00\xffb\x00", `"a"`},
		{"[4]char", "\x1b[1m", `"\u001b[1m"`},
		{"[2]char", "\xc2\x9b", `"\u009b"`},
		{"uint16", "\x02\x01", "258"},
		{"int32", "\xfe\xff\xff\xff", "-2"},
	} {
		s, err := schema.Parse(first + tt.typ + "\n")
		if err != nil {
			t.Fatal(err)
		}
		if out, err := s.AppendJSON(nil, []byte(tt.message)); err != nil || string(out) != tt.want {
			t.Errorf("%s %q: %s, %v; want %s", tt.typ, tt.message, out, err, tt.want)
		}
	}
}

func TestFromJSONRefuses(t *testing.T) {
	typed := map[string]string{
		"tick":   mustOf(t, reflect.TypeFor[Tick]()).String(),
		"struct": one("size 2 align 1", "0 a int8", "1 b int8"),
	}
	for _, tt := range []struct{ typ, in, want string }{
		{"tick", `{"Levels":[{"Price":1},{"Price":1,"Size":4294967296}]}`,
			"schema: Levels[1].Size: 4294967296 is out of range of uint32, which is 0 to 4294967295"},
		{"tick", `{"Levels":[{"Price":1},{"Price":true}]}`, `schema: Levels[1].Price: byte 32 of the JSON: want float64, found "true}]}"`},
		{"tick", `{"Levels":[{}]}`, "schema: Levels: 1 elements; the array has 2"},
		{"tick", `{"Levels":[]}`, "schema: Levels: no elements; the array has 2"},
		{"tick", `{"Levels":[{},{},{}]}`, "schema: Levels: more than 2 elements"},
		{"tick", `{"Levels":[{},{"price":1}]}`, `schema: Levels[1]: field "price": the type has none of this name, but "Price"`},
		{"tick", `{"x\u001b":1}`, `schema: field "x\x1b": the type has none of this name`},
		{"tick", `{"Time":1,"venue":2,"Time":3}`, "schema: Time: the field comes twice"},
		{"tick", `{"Time":null}`, `Time: byte 8 of the JSON: want int64, found "null}"`},
		{"tick", `null`, `schema: byte 0 of the JSON: want "{"`},
		{"tick", ``, `want "{", found the end`},
		{"tick", `{`, `want a string, found the end`},
		{"tick", `{"Time"`, `Time: want ":", found the end`},
		{"tick", `{"Time" 1}`, `Time: byte 8 of the JSON: want ":"`},
		{"tick", `{"Time":1`, `want "," or "}", found the end`},
		{"tick", `{"Time":1,}`, `want a string, found "}"`},
		{"tick", `{"Time":1}{`, `want nothing more, found "{"`},
		{"tick", `{"Symbol":"abcdefghi"}`, "Symbol: text of 9 bytes; there is room for 8"},
		{"tick", `{"Symbol":"ab\u0000"}`, "Symbol: text ends at a zero byte"},
		{"tick", "{\"Symbol\":\"\xff\"}", "not UTF-8"},
		{"tick", "{\"Symbol\":\"a\nb\"}", "without control characters"},
		{"tick", `{"Symbol":"a`, "without an end"},
		{"tick", `{"Symbol":"a\`, "without an end"},
		{"tick", `{"Symbol":"\x"}`, `Symbol: string "\x": `},
		{"tick", `{"Symbol":[1]}`, "want a string"},
		{"struct", `{"a":128}`, "a: 128 is out of range of int8, which is -128 to 127"},
		{"struct", `{"a":-129}`, "out of range"},
		{"struct", `{"b":1.0}`, "b: 1.0 has a fraction or an exponent; want int8"},
		{"struct", `{"b":1e0}`, "fraction or an exponent"},
		{"struct", `{"b":01}`, `want "," or "}", found "1}"`},
		{"struct", `{"b":"1"}`, "want int8"},
		{"struct", `{"b":+1}`, "want int8"},
		{"struct", `{"b":-}`, "want int8"},
		{"struct", `{"b":1.}`, "want a digit"},
		{"struct", `{"b":1e+}`, "want a digit"},
		{"uint64", "18446744073709551616", "0 to 18446744073709551615"},
		{"int64", "-9223372036854775809", "-9223372036854775808 to 9223372036854775807"},
		{"uint8", "-1", "0 to 255"},
		{"float32", "3.5e38", "3.5e38 is out of range of float32"},
		{"float64", "1e309", "out of range of float64"},
		{"float64", `"nan"`, `"nan" is no number: want one, or "NaN"`},
		{"float64", "NaN", "want float64"},
		{"float64", `"1"`, "is no number"},
		{"bool", "1", "want true or false"},
		{"bool", "tru", "want true or false"},
		{"complex64", "[1]", "1 elements; the array has 2"},
		{"complex64", "1", `want "["`},
		{"[2]int8", "[1 2]", `want ","`},
		{"[2]int8", "[1,2", `want "]", found the end`},
		{"[2]int8", "[1,x]", `schema: [1]: byte 3 of the JSON: want int8, found "x]"`},
	} {
		text := typed[tt.typ]
		if text == "" {
			text = first + tt.typ + "\n"
		}
		s, err := schema.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		err = s.FromJSON(make([]byte, s.Size()), []byte(tt.in))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %s: %v; want %s", tt.typ, tt.in, err, tt.want)
		}
	}
}

// TestManyFields has more fields than fit in the words that the decoder keeps at hand.
func TestManyFields(t *testing.T) {
	var fields []reflect.StructField
	for _, name := range names(600) {
		fields = append(fields, reflect.StructField{Name: name, Type: reflect.TypeFor[uint8]()})
	}
	s := mustOf(t, reflect.StructOf(fields))
	message := make([]byte, s.Size())
	for i := range message {
		message[i] = byte(i)
	}
	out, err := s.AppendJSON(nil, message)
	if err != nil {
		t.Fatal(err)
	}
	back := make([]byte, s.Size())
	if err := s.FromJSON(back, out); err != nil || !reflect.DeepEqual(back, message) {
		t.Errorf("%v", err)
	}
	last := names(600)[599]
	err = s.FromJSON(back, []byte(`{"`+last+`":1,"`+last+`":1}`))
	if err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("field 599 twice: %v", err)
	}
}
