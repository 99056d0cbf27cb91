package schema_test

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"structs"
	"sync/atomic"
	"testing"

	"github.com/seed-247006a4/shoal/schema"
)

var update = flag.Bool("update", false, "write the golden files")

type Level struct {
	Price float64
	Size  uint32
}

// Tick is the type of the package comment.
type Tick struct {
	Time   int64
	Venue  uint16 `shoal:"venue"`
	_      [6]byte
	Symbol [8]byte `shoal:",text"`
	Levels [2]Level
}

type Celsius float32

// Everything has a field of every kind, and padding wherever padding can be.
type Everything struct {
	_     structs.HostLayout
	B     bool
	I8    int8
	I16   int16
	I32   int32
	I64   int64
	U8    uint8
	U16   uint16
	U32   uint32
	U64   uint64
	F32   float32
	F64   float64
	C64   complex64
	C128  complex128
	Temp  Celsius
	Text  [5]byte    `shoal:",text"`
	Words [2][3]byte `shoal:"words,text"`
	Raw   [2][3]byte
	Flags [3]bool
	Bid   Level
	Ask   Level
	Grid  [2][1]struct{ X, Y int16 }
	Level
	last uint8
}

// Awkward needs all that the printers can do about names and alignment.
type Awkward struct {
	Keyword uint8 `shoal:"double"`
	Taken   uint8 `shoal:"double_"` // what double would become
	_       [2]byte
	Padding uint16 `shoal:"_padding4"` // what padding would be called
	Macro   [2]struct {
		A_B struct{ X uint8 }
	} `shoal:"true"`
	A     struct{ B_C struct{ Y uint16 } }
	A_B   struct{ C struct{ Z int8 } } // both would be Awkward_A_B_C
	_     [0]uint64                    // alignment that no field brings
	Close atomic.Int32
}

// types are the types whose golden files are in testdata/golden, and on which C and Python are tried.
var types = map[string]reflect.Type{
	"tick":       reflect.TypeFor[Tick](),
	"everything": reflect.TypeFor[Everything](),
	"awkward":    reflect.TypeFor[Awkward](),
	"number":     reflect.TypeFor[float64](),
	"matrix":     reflect.TypeFor[[3][4]float32](),
	"levels":     reflect.TypeFor[[3]Level](),
}

func mustOf(t testing.TB, typ reflect.Type) *schema.Schema {
	t.Helper()
	s, err := schema.OfType(typ)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// golden compares got with a golden file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != got {
		t.Errorf("%s differs (go test ./schema -run Golden -update writes it); got:\n%s", path, got)
	}
}

// TestGolden holds the formats fast: what these files say is stored in objects and read by others.
func TestGolden(t *testing.T) {
	for name, typ := range types {
		s := mustOf(t, typ)
		golden(t, name+".schema", s.String())
		golden(t, name+".h", s.C(name))
		golden(t, name+".dtype", s.Numpy()+"\n")
		golden(t, name+".json", s.JSON()+"\n")
		if s.Size() != int(typ.Size()) || s.Align() != typ.Align() {
			t.Errorf("%s: size %d, alignment %d; Go has %d, %d", name, s.Size(), s.Align(), typ.Size(), typ.Align())
		}
	}
}

func TestUntyped(t *testing.T) {
	of, err := schema.Of[[]byte]()
	if of != schema.Bytes || err != nil {
		t.Errorf("Of[[]byte] = %p, %v; want Bytes", of, err)
	}
	parsed, err := schema.Parse("")
	if parsed != schema.Bytes || err != nil {
		t.Errorf("Parse of nothing = %p, %v; want Bytes", parsed, err)
	}
	for _, s := range []*schema.Schema{schema.Bytes, {}} {
		if !s.Untyped() || s.Type() != nil || s.Size() != 0 || s.Align() != 1 || s.Fingerprint() != 0 || s.String() != "" ||
			s.C("x") != "" || s.Numpy() != "" || s.JSON() != `{"fingerprint":"0x0000000000000000","type":null}` {
			t.Errorf("untyped: %+v, %s", s, s.JSON())
		}
		if out, err := s.AppendJSON([]byte("x"), nil); err == nil || string(out) != "x" {
			t.Errorf("AppendJSON = %q, %v", out, err)
		}
		if err := s.FromJSON(nil, []byte("{}")); err == nil {
			t.Error("FromJSON made bytes of unknown type")
		}
	}
	if s, _ := schema.Of[Tick](); s.Untyped() || s.Fingerprint() == 0 {
		t.Errorf("Tick is untyped: %v", s)
	}
}

// TestFingerprint compares with values from elsewhere: those of the FNV authors' test suite are for other strings, so the
// loop of the package comment is written out.
func TestFingerprint(t *testing.T) {
	for name, typ := range types {
		s := mustOf(t, typ)
		h := uint64(0xcbf29ce484222325)
		for _, c := range []byte(s.String()) {
			h ^= uint64(c)
			h *= 0x100000001b3
		}
		if s.Fingerprint() != h {
			t.Errorf("%s: %#x, want %#x", name, s.Fingerprint(), h)
		}
	}
}

func TestOfIsMadeOnce(t *testing.T) {
	a, _ := schema.Of[Tick]()
	b, _ := schema.Of[Tick]()
	if a != b {
		t.Error("two schemas of one type")
	}
	if n := testing.AllocsPerRun(100, func() { schema.Of[Tick]() }); n > 1 {
		t.Errorf("Of allocates %v times", n)
	}
	// Names of types do not count.
	type Other Tick
	if c, _ := schema.Of[Other](); c.Fingerprint() != a.Fingerprint() || c.String() != a.String() {
		t.Errorf("the same fields under another name: %v", c)
	}
}
