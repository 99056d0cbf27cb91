package schema_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/schema"
)

// find returns the path of a program that scripts/setup installs.
func find(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%v: run scripts/setup", err)
	}
	return path
}

// write makes a file in a directory that goes with the test.
func write(t *testing.T, dir, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a program that must succeed, and returns what it prints.
func run(t *testing.T, stdin []byte, program string, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", program, strings.Join(args, " "), err, &stderr)
	}
	return stdout.String()
}

// compile compiles a C program, with headers from include, and returns its path.
func compile(t *testing.T, source, include string, defines ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	args := []string{"-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O2", "-I", include, "-o", program, source}
	run(t, nil, find(t, "cc"), append(args, defines...)...)
	return program
}

// TestC compiles the declaration of every type, asserts and all, and computes its fingerprint in C.
func TestC(t *testing.T) {
	dir := t.TempDir()
	declared := map[string]*schema.Schema{}
	for name, typ := range types {
		declared[name] = mustOf(t, typ)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 8 {
		declared[fmt.Sprintf("random-%d", i)] = mustOf(t, randomType(r, 4, len(numbers)))
	}
	declared["int"] = mustOf(t, reflect.TypeFor[struct{ While, While_ int32 }]())
	declared["9 lives"] = declared["tick"]
	for name, s := range declared {
		header := s.C(name)
		_, macro, _ := strings.Cut(header, "#define ")
		macro, _, _ = strings.Cut(macro, "_FINGERPRINT")
		write(t, dir, name+".h", []byte(header))
		program := compile(t, filepath.Join("testdata", "fingerprint.c"), dir,
			fmt.Sprintf("-DHEADER=%q", name+".h"), "-DSCHEMA="+macro+"_SCHEMA", "-DFINGERPRINT="+macro+"_FINGERPRINT")
		if got, want := run(t, nil, program), fmt.Sprintf("%016x\n%v", s.Fingerprint(), s); got != want {
			t.Errorf("%s: C says %s, want %s", name, got, want)
		}
	}
}

// TestCPlusPlus compiles the declarations of all types in C++, in one program that includes each of them twice.
func TestCPlusPlus(t *testing.T) {
	dir := t.TempDir()
	declared := map[string]*schema.Schema{"words": mustOf(t, reflect.TypeFor[struct {
		Class int32 `shoal:"class"`
		New   int64 `shoal:"new"`
	}]())}
	for name, typ := range types {
		declared[name] = mustOf(t, typ)
	}
	var source strings.Builder
	for name, s := range declared {
		write(t, dir, name+".h", []byte(s.C(name)))
		fmt.Fprintf(&source, "#include %q\n#include %[1]q\n", name+".h")
	}
	run(t, nil, find(t, "c++"), "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I", dir, "-o", filepath.Join(dir, "all.o"), "-c",
		write(t, dir, "all.cc", []byte(source.String())))
}

// TestCMessages lets C fill a struct and Go decode it, and the other way round.
func TestCMessages(t *testing.T) {
	dir := t.TempDir()
	s := mustOf(t, types["everything"])
	write(t, dir, "everything.h", []byte(s.C("everything")))
	program := compile(t, filepath.Join("testdata", "everything.c"), dir)

	message := []byte(run(t, nil, program, "write"))
	got, err := s.AppendJSON(nil, message)
	const want = `{"B":true,"I8":-128,"I16":-32768,"I32":-2147483648,"I64":-9223372036854775808,` +
		`"U8":255,"U16":65535,"U32":4294967295,"U64":18446744073709551615,"F32":0.1,"F64":0.1,"C64":[1.5,-2],` +
		`"C128":[3,1e+300],"Temp":-0.25,"Text":"hello","words":["abc","d"],"Raw":[[1,2,3],[4,5,6]],` +
		`"Flags":[true,false,true],"Bid":{"Price":101.5,"Size":7},"Ask":{"Price":101.5,"Size":7},` +
		`"Grid":[[{"X":0,"Y":0}],[{"X":2,"Y":-2}]],"Level":{"Price":0,"Size":9},"last":200}`
	if err != nil || string(got) != want {
		t.Fatalf("C wrote %s, %v; want\n%s", got, err, want)
	}

	clear(message)
	if err := s.FromJSON(message, []byte(want)); err != nil {
		t.Fatal(err)
	}
	run(t, message, program, "read")
}

// messages calls f with a message of each type, and with its text and its dtype in files.
func messages(t *testing.T, f func(t *testing.T, s *schema.Schema, text, dtype, message string, want any)) {
	r := rand.New(rand.NewPCG(5, 6))
	for name, typ := range types {
		s := mustOf(t, typ)
		bits := make([]byte, s.Size())
		for i := range bits {
			bits[i] = byte(r.IntN(128)) // text in ASCII, and no NaN
		}
		if typ == reflect.TypeFor[Everything]() {
			v := everything()
			copy(bits, memory(&v))
		}
		decoded, err := s.AppendJSON(nil, bits)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		f(t, s, write(t, dir, name+".schema", []byte(s.String())), write(t, dir, name+".dtype", []byte(s.Numpy())),
			write(t, dir, name+".message", bits), values64(t, string(decoded), s.Type()))
	}
}

// values64 decodes JSON, with its numbers as float64; those of float32 are rounded to it first, as C and Python do when
// they make them double.
func values64(t *testing.T, text string, typ *schema.Type) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return rounded(v, typ)
}

func rounded(v any, typ *schema.Type) any {
	switch typ.Kind {
	case schema.Float32:
		if f, ok := v.(float64); ok {
			return float64(float32(f))
		}
	case schema.Complex64:
		parts := v.([]any)
		for i, p := range parts {
			if f, ok := p.(float64); ok {
				parts[i] = float64(float32(f))
			}
		}
	case schema.Array:
		if list, ok := v.([]any); ok {
			for i := range list {
				list[i] = rounded(list[i], typ.Elem)
			}
		}
	case schema.Struct:
		for _, f := range typ.Fields {
			v.(map[string]any)[f.Name] = rounded(v.(map[string]any)[f.Name], f.Type)
		}
	}
	return v
}

// TestPython decodes messages with a reader of sixty lines that was written from the package comment.
func TestPython(t *testing.T) {
	python := find(t, "python3")
	messages(t, func(t *testing.T, s *schema.Schema, text, _, message string, want any) {
		out := run(t, nil, python, filepath.Join("testdata", "reader.py"), text, message)
		sum, decoded, _ := strings.Cut(out, "\n")
		if sum != fmt.Sprintf("%016x", s.Fingerprint()) {
			t.Errorf("%s: fingerprint %s, want %016x", filepath.Base(text), sum, s.Fingerprint())
		}
		if got := values64(t, decoded, s.Type()); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Python decodes\n%v, want\n%v", filepath.Base(text), got, want)
		}
	})
}

// TestNumpy decodes messages by their dtype, which is a Python literal: without numpy, and with it where it is installed.
func TestNumpy(t *testing.T) {
	python := find(t, "python3")
	numpy := false
	messages(t, func(t *testing.T, s *schema.Schema, _, dtype, message string, want any) {
		out := strings.TrimSuffix(run(t, nil, python, filepath.Join("testdata", "dtype.py"), dtype, message), "\n")
		decodings := strings.Split(out, "\n")
		for _, decoded := range decodings {
			if got := values64(t, decoded, s.Type()); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: Python decodes\n%v, want\n%v", filepath.Base(dtype), got, want)
			}
		}
		numpy = numpy || len(decodings) > 1
	})
	if !numpy {
		t.Log("numpy is not installed: the dtypes were read without it")
	}
}
