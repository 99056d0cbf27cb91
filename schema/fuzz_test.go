package schema_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/schema"
)

// texts returns the golden texts, as seeds beside those in testdata/fuzz.
func texts(f *testing.F) (out []string) {
	paths, err := filepath.Glob(filepath.Join("testdata", "golden", "*.schema"))
	if err != nil || len(paths) < len(types) {
		f.Fatalf("%d golden texts, %v", len(paths), err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		out = append(out, string(text))
	}
	return out
}

// FuzzParse parses any text: an error, or a schema whose text it is, and from which all can be printed.
func FuzzParse(f *testing.F) {
	for _, text := range texts(f) {
		f.Add(text)
	}
	f.Add("")
	f.Add(nested(16))
	f.Fuzz(func(t *testing.T, text string) {
		s, err := schema.Parse(text)
		if err != nil {
			if s != nil || !strings.HasPrefix(err.Error(), "schema: ") {
				t.Errorf("%v, %v", s, err)
			}
			return
		}
		if s.String() != text {
			t.Fatalf("%q became %q", text, s)
		}
		if (s.Fingerprint() == 0) != s.Untyped() || s.Size() < 0 || s.Size() > schema.MaxSize || !json.Valid([]byte(s.JSON())) {
			t.Errorf("%q: fingerprint %#x, size %d, %s", text, s.Fingerprint(), s.Size(), s.JSON())
		}
		// What is printed grows with the text: of a field C has two lines, with the names of at most 16 structs around it.
		if c, n := s.C("x"), s.Numpy(); len(c)+len(n) > 2000+2*16*64*len(text) {
			t.Errorf("%d bytes of text became %d of C, %d of Python", len(text), len(c), len(n))
		}
		if other := schema.Diff(s, schema.Bytes); (other == "") != s.Untyped() {
			t.Errorf("Diff: %q", other)
		}
	})
}

// FuzzDecode decodes any message of any type, and any JSON for it.
func FuzzDecode(f *testing.F) {
	for _, text := range texts(f) {
		f.Add(text, []byte{0}, []byte(`{"Price":1,"Time":2}`))
		f.Add(text, []byte("\xff\x7f\x80é\x01"), []byte(everythingJSON))
	}
	for _, v := range values {
		f.Add(first+v.typ+"\n", []byte(v.in), []byte(v.in))
	}
	f.Fuzz(func(t *testing.T, text string, pattern, in []byte) {
		s, err := schema.Parse(text)
		if err != nil || s.Untyped() || s.Size() > 1<<14 || len(pattern) == 0 {
			return
		}
		// Any message becomes valid JSON.
		message := bytes.Repeat(pattern, s.Size()/len(pattern)+1)[:s.Size()]
		out, err := s.AppendJSON(nil, message)
		if err != nil || !json.Valid(out) {
			t.Fatalf("%x: %s, %v", message, out, err)
		}
		// That JSON is taken back, unless it is longer for bytes that were not UTF-8; and then it is the same once more.
		back := make([]byte, s.Size())
		if err := s.FromJSON(back, out); err == nil {
			again, err := s.AppendJSON(nil, back)
			if err != nil || !bytes.Equal(again, out) {
				t.Errorf("%s became %s, %v", out, again, err)
			}
		} else if !bytes.Contains(out, []byte("\ufffd")) || !strings.Contains(err.Error(), "there is room for") {
			t.Errorf("%s is refused: %v", out, err)
		}
		// Any JSON is an error or a message; JSON that is none is always an error.
		if err := s.FromJSON(back, in); err == nil {
			if !json.Valid(in) {
				t.Errorf("%q is taken for JSON", in)
			}
			if out, err := s.AppendJSON(nil, back); err != nil || !json.Valid(out) {
				t.Errorf("%s, %v", out, err)
			}
		} else if !strings.HasPrefix(err.Error(), "schema: ") {
			t.Error(err)
		}
	})
}
