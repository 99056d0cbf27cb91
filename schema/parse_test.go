package schema_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/schema"
)

const first = "shoal schema 1\n"

// nested returns a text with n structs within each other.
func nested(n int) string {
	text := first + "struct size 1 align 1 {\n"
	for i := 1; i < n; i++ {
		text += strings.Repeat("\t", i) + "0 A struct size 1 align 1 {\n"
	}
	text += strings.Repeat("\t", n) + "0 A bool\n"
	for i := n - 1; i >= 0; i-- {
		text += strings.Repeat("\t", i) + "}\n"
	}
	return text
}

// one returns the text of a struct of the given head and fields.
func one(head string, fields ...string) string {
	text := first + "struct " + head + " {\n"
	for _, f := range fields {
		text += "\t" + f + "\n"
	}
	return text + "}\n"
}

func TestParse(t *testing.T) {
	for _, text := range []string{
		first + "bool\n", first + "[1]char\n", first + "[2][3]complex128\n", first + "[2147483647]uint8\n",
		first + strings.Repeat("[1]", 16) + "int8\n",
		one("size 1 align 1", "0 a bool"),
		one("size 16 align 8", "4 a bool"), // padding before, between, after; alignment of nobody
		one("size 24 align 4", "0 A int8", "4 B [2][3]uint16", "20 C float32"),
		nested(16),
	} {
		s, err := schema.Parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
		} else if s.String() != text {
			t.Errorf("%q became %q", text, s)
		}
	}
}

// TestParseRefuses breaks every rule of the grammar and of the layout.
func TestParseRefuses(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"x", `line 1 of the text: want "shoal schema 1\n", found "x"`},
		{"shoal schema 2\nbool\n", "a newer version"},
		{"shoal schema 1", "want"},
		{first, "line 2 of the text: want a type, found the end"},
		{first + "bool", `want "\n", found the end`},
		{first + "bool\n\n", `want the end, found "\n"`},
		{first + "bool\r\n", `want "\n"`},
		{first + " bool\n", "want a type"},
		{first + "boolean\n", "want a type"},
		{first + "int\n", "want a type"},
		{first + "char\n", "char stands only in arrays"},
		{first + "array\n", "want a type"},
		{first + "[]bool\n", "want a number"},
		{first + "[0]bool\n", "0 elements"},
		{first + "[-1]bool\n", "want a number"},
		{first + "[+1]bool\n", "want a number"},
		{first + "[01]bool\n", "want a number"},
		{first + "[1 ]bool\n", `want "]"`},
		{first + "[1] bool\n", "want a type"},
		{first + "[2147483648]bool\n", "at most 2147483647"},
		{first + "[99999999999999999999999999]bool\n", "at most 2147483647"},
		{first + "[2147483647]int16\n", "larger than the 2147483647 bytes"},
		{first + "[65536][65536]int8\n", "larger than the 2147483647 bytes"},
		{first + "[46341][46341]int8\n", "larger than the 2147483647 bytes"},
		{first + strings.Repeat("[1]", 17) + "int8\n", "nest more than 16 deep"},
		{first + strings.Repeat("[1]", 16) + "struct size 1 align 1 {\n\t0 a bool\n}\n", "nest more than 16 deep"},
		{nested(17), "nest more than 16 deep"},
		{strings.Repeat("[1]", schema.MaxText), "bytes; 65536 are allowed"},
		{one("size 1 align 1"), "without fields"},
		{one("size 1  align 1", "0 a bool"), `want " align "`},
		{one("size 1 align 0", "0 a bool"), "alignment is 1, 2, 4 or 8, not 0"},
		{one("size 3 align 3", "0 a bool"), "alignment is 1, 2, 4 or 8, not 3"},
		{one("size 16 align 16", "0 a bool"), "alignment is 1, 2, 4 or 8, not 16"},
		{one("size 5 align 4", "0 a int32"), "5 is not one of 4"},
		{one("size 4 align 2", "0 a int32"), "line 4 of the text: a: alignment 4 in a struct of alignment 2"},
		{one("size 8 align 4", "2 a int32"), "a: offset 2 is not a multiple of the alignment 4"},
		{one("size 8 align 4", "0 a int32", "3 b int8"), "b: offset 3 lies before 4"},
		{one("size 8 align 4", "4 a int32", "0 b int8"), "b: offset 0 lies before 8"},
		{one("size 8 align 4", "8 a int32"), "a: 4 bytes at offset 8 do not fit in a struct of 8 bytes"},
		{one("size 2 align 2", "0 a int32"), "a: alignment 4"},
		{one("size 4 align 4", "2147483644 a int32"), "do not fit"},
		{one("size 0 align 1", "0 a bool"), "do not fit"},
		{one("size 2 align 1", "0 a bool", "1 a bool"), "a: two fields have this name"},
		{one("size 1 align 1", "0 a char"), "a: char stands only in arrays"},
		{one("size 1 align 1", "0 a  bool"), "want a type"},
		{one("size 1 align 1", "0  bool"), `want a name, found " bool\n}\n"`},
		{one("size 1 align 1", "0 9 bool"), "want a name"},
		{one("size 1 align 1", "0 a-b bool"), `want " "`},
		{one("size 1 align 1", "0 \xc3\xa4 bool"), "want a name"},
		{one("size 1 align 1", "0 "+strings.Repeat("a", 65)+" bool"), "a name of 65 bytes"},
		{one("size 1 align 1", "\t0 a bool"), "want a number"},
		{one("size 1 align 1", "0 a bool "), `want "\n"`},
		{one("size 1 align 1", "00 a bool"), "want a number"},
		{one("size 1 align 1", "0 a bool") + "}", "want the end"},
		{first + "struct size 1 align 1 {\n\t0 a struct size 1 align 1 {\n\t\t0 a bool\n}\n}\n", `line 5 of the text: want "\t}", found "}`},
		{first + "struct size 1 align 1 {\n", `want "}", found the end`},
		{first + "struct size 1 align 1 {", "want"},
	} {
		s, err := schema.Parse(tt.text)
		if err == nil {
			t.Errorf("%q is %v", tt.text, s)
		} else if !strings.HasPrefix(err.Error(), "schema: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: %v; want %s", tt.text, err, tt.want)
		}
	}
}

// TestParseEveryPrefix cuts and changes a text at every byte: never a panic, and what is accepted is canonical.
func TestParseEveryPrefix(t *testing.T) {
	accepted := 0
	for _, typ := range types {
		text := mustOf(t, typ).String()
		for i := range len(text) {
			if s, err := schema.Parse(text[:i]); err == nil && i > 0 {
				t.Errorf("accepted a part: %v", s)
			}
			for _, c := range []byte("0129 \t\n]}a_\x00\xff") {
				damaged := text[:i] + string([]byte{c}) + text[i+1:]
				if s, err := schema.Parse(damaged); err == nil {
					if s.String() != damaged {
						t.Errorf("%q became %q", damaged, s)
					}
					accepted++
				}
			}
		}
	}
	if accepted < 100 {
		t.Errorf("only %d damaged texts are texts of other types", accepted)
	}
}

func TestDiff(t *testing.T) {
	parse := func(text string) *schema.Schema {
		s, err := schema.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	tick, _ := schema.Of[Tick]()
	type level struct {
		Price float32
		Size  uint32
		Count uint16
	}
	other, err := schema.Of[struct {
		Time   int64
		Market uint16
		Symbol [8]byte
		Levels [3]level
	}]()
	if err != nil {
		t.Fatal(err)
	}
	var many []string
	for i, name := range names(30) {
		many = append(many, fmt.Sprintf("%d %s int8", i, name))
	}
	all, none := parse(one("size 30 align 1", many...)), parse(one("size 30 align 1", "0 FieldAAA int8"))

	for _, tt := range []struct {
		want, got *schema.Schema
		diff      string
	}{
		{tick, tick, ""},
		{tick, parse(tick.String()), ""},
		{schema.Bytes, new(schema.Schema), ""},
		{tick, schema.Bytes, "want struct, found untyped bytes"},
		{schema.Bytes, parse(first + "[3]int8\n"), "want untyped bytes, found [3]int8"},
		{parse(first + "[3]int8\n"), parse(first + "[4]uint8\n"), "want [3]int8, found [4]uint8"},
		{tick, other, `want venue uint16 at 8, found Market uint16 at 8
Symbol: want [8]char at 16, found [8]uint8 at 10
Levels: want [2]struct at 24, found [3]struct at 20
Levels[].Price: want float64 at 0, found float32 at 0
Levels[].Size: want uint32 at 8, found uint32 at 4
Levels[].Count: want nothing, found uint16 at 8
Levels[]: want 16 bytes, found 12
Levels[]: want alignment 8, found 4`},
		{parse(one("size 8 align 1", "0 a int8", "1 b int8")), parse(one("size 4 align 4", "1 b int8", "2 c int8")), `a: want int8 at 0, found nothing
c: want nothing, found int8 at 2
want 8 bytes, found 4
want alignment 1, found 4`},
	} {
		if diff := schema.Diff(tt.want, tt.got); diff != tt.diff {
			t.Errorf("Diff(%v, %v):\n%s\nwant:\n%s", tt.want, tt.got, diff, tt.diff)
		}
	}
	// Long lists are cut, and every difference is seen from both sides.
	for _, diff := range []string{schema.Diff(all, none), schema.Diff(none, all)} {
		if lines := strings.Split(diff, "\n"); len(lines) != 21 || lines[20] != "and 9 more differences" {
			t.Errorf("29 differences:\n%s", diff)
		}
	}
	// There is no difference that Diff is silent about.
	for _, a := range types {
		for _, b := range types {
			if diff := schema.Diff(mustOf(t, a), mustOf(t, b)); (diff == "") != (a == b) {
				t.Errorf("%v and %v: %q", a, b, diff)
			}
		}
	}
}
