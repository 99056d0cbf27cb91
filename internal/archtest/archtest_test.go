package archtest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// checks are the rules of the house. The slow ones take many seconds when nothing is cached, and run beside each other.
var checks = []struct {
	name string
	find func(*module) []string
	slow bool
}{
	{"GoMod", checkGoMod, false},
	{"Floors", checkFloors, false},
	{"Dependencies", checkDependencies, false},
	{"Unsafe", checkUnsafe, false},
	{"Format", checkFormat, false},
	{"PackageNames", checkPackageNames, false},
	{"TestsOnly", checkTestsOnly, false},
	{"Docs", checkDocs, false},
	{"Examples", checkExamples, false},
	{"Text", checkText, false},
	{"Platforms", checkPlatforms, true},
	{"Staticcheck", checkStatic, true},
}

// TestHouse applies every rule to this module.
func TestHouse(t *testing.T) {
	m := load(t, "../..")
	if len(m.packages) < 2 || len(m.files) < len(m.packages) {
		t.Fatalf("%d packages and %d files found in %s", len(m.packages), len(m.files), m.dir)
	}
	for _, check := range checks {
		t.Run(check.name, func(t *testing.T) {
			if check.slow {
				t.Parallel()
			}
			for _, line := range check.find(m) {
				t.Error(line)
			}
		})
	}
}

// write makes a module of the given files.
func write(t *testing.T, files map[string]string) *module {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return load(t, dir)
}

// goMod is the go.mod of a module that has none of its own among its files.
const goMod = "module example.org/house\n\ngo 1.25.0\n"

// TestChecksCanFail shows each check a module that breaks its rule in every way there is, and wants each told.
func TestChecksCanFail(t *testing.T) {
	tests := map[string]struct {
		files map[string]string
		want  []string // one part of each line expected, in order
	}{
		"GoMod": {
			files: map[string]string{
				"go.mod": `module example.org/house

go 1.26.0

toolchain go1.26.1

require (
	example.com/both v1.0.0
	example.com/both/inner v1.0.0 // indirect
	example.com/idle v1.0.0
	example.com/needed v1.0.0
	example.com/shy v1.0.0 // indirect
	golang.org/x/sys v0.47.0
)

replace example.com/needed => ./needed

exclude example.com/idle v0.1.0
`,
				"shm/s.go":         "package shm\n\nimport (\n\t_ \"example.com/both/inner/deep\"\n\t_ \"example.com/needed\"\n\t_ \"strings\"\n)\n",
				"shm/s_windows.go": "package shm\n\nimport _ \"golang.org/x/sys/windows\"\n",
				"shm/s_test.go":    "package shm\n\nimport (\n\t_ \"example.com/shy/er\"\n\t_ \"example.com/stranger\"\n)\n",
			},
			want: []string{
				"go.mod: go 1.26.0 shuts out",
				"go.mod: toolchain",
				"go.mod: replace",
				"go.mod: exclude",
				"go.mod: requires example.com/both, which nothing imports",
				"go.mod: requires example.com/both/inner as // indirect, and shm/s.go imports it",
				"go.mod: requires example.com/idle, which nothing imports",
				"go.mod: requires example.com/shy as // indirect, and shm/s_test.go imports it",
				"go.mod: does not require a module for example.com/stranger, which shm/s_test.go imports",
			},
		},
		"Floors": {
			files: map[string]string{
				"attic/a.go":            "// Package attic stands nowhere.\npackage attic\n",
				"shm/s.go":              "// Package shm looks up.\npackage shm\n\nimport _ \"example.org/house/ring\"\n",
				"shm/s_test.go":         "package shm\n\nimport _ \"example.org/house/cmd/x\"\n",
				"ring/r.go":             "// Package ring looks down, at its own floor and at test code.\npackage ring\n\nimport (\n\t_ \"example.org/house/internal/isolate\"\n\t_ \"example.org/house/internal/mem\"\n\t_ \"example.org/house/queue\"\n)\n",
				"queue/q.go":            "package queue\n",
				"internal/mem/m.go":     "package mem\n",
				"internal/isolate/i.go": "package isolate\n",
				"cmd/x/main.go":         "package main\n\nfunc main() {}\n",
				"examples/e_test.go":    "package examples\n",
				"internal/cli/c.go":     "package cli\n\nimport (\n\t_ \"example.org/house/internal/demo\"\n\t_ \"example.org/house/internal/monitor\"\n)\n",
				"internal/demo/d.go":    "package demo\n\nimport (\n\t_ \"example.org/house/inspect\"\n\t_ \"example.org/house/internal/cli\"\n)\n",
				"internal/monitor/m.go": "package monitor\n",
				"inspect/i.go":          "package inspect\n",
			},
			want: []string{
				"package example.org/house/attic has no floor: add \"attic\" to floors in internal/archtest/floors_test.go",
				"internal/demo/d.go: internal/demo (floor 13) imports internal/cli (floor 14)",
				"ring/r.go: ring (floor 10) imports internal/isolate (floor 15)",
				"ring/r.go: ring (floor 10) imports queue (floor 10)",
				"shm/s.go: shm (floor 5) imports ring (floor 10)",
			},
		},
		"Dependencies": {
			files: map[string]string{
				"shm/s.go":              "package shm\n\nimport (\n\t_ \"example.com/left/pad\"\n\t_ \"golang.org/x/sys/unix\"\n\t_ \"strings\"\n)\n",
				"shm/s_test.go":         "package shm\n\nimport _ \"example.com/left/pad\"\n",
				"posix/p.go":            "package posix\n\nimport \"C\"\n",
				"internal/cli/c.go":     "package cli\n\nimport _ \"example.com/left/pad\"\n",
				"internal/demo/d.go":    "package demo\n\nimport _ \"example.com/left/pad\"\n",
				"internal/isolate/i.go": "package isolate\n\nimport (\n\t_ \"example.com/left/pad\"\n\t_ \"go.uber.org/goleak\"\n)\n",
			},
			want: []string{
				"internal/demo/d.go: imports example.com/left/pad",
				"internal/isolate/i.go: imports example.com/left/pad",
				"posix/p.go: imports C",
				"shm/s.go: imports example.com/left/pad: shm depends on the standard library",
			},
		},
		"Unsafe": {
			files: map[string]string{
				"internal/mem/m.go":               "package mem\n\nimport _ \"unsafe\"\n",
				"shm/s.go":                        "package shm\n\nimport _ \"unsafe\"\n",
				"shm/s_test.go":                   "package shm\n\nimport _ \"unsafe\"\n",
				"shm/view_unsafe.go":              "// Package shm needs unsafe to see a mapping as a slice.\npackage shm\n\nimport _ \"unsafe\"\n",
				"shm/view_unsafe_linux_amd64.go":  "package shm\n\n// unsafe: as above.\nimport _ \"unsafe\"\n",
				"shm/view_unsafe_windows_test.go": "package shm\n\nimport _ \"unsafe\"\n",
				"shm/very_unsafe_indeed.go":       "package shm\n\n// unsafe: because.\nimport _ \"unsafe\"\n",
			},
			want: []string{
				"shm/s.go: imports unsafe: move",
				"shm/very_unsafe_indeed.go: imports unsafe: move",
				"shm/view_unsafe_windows_test.go: imports unsafe without a comment",
				"shm/s_test.go: imports unsafe: move",
			},
		},
		"Format": {
			files: map[string]string{
				"shm/good.go":         "package shm\n\nvar a = 1\n",
				"shm/s.go":            "package shm\nvar  b = 1\n",
				"shm/testdata/bad.go": "package bad\nvar  b = 1\n",
				"shm/testdata/not.go": "package",
			},
			want: []string{"shm/s.go: not formatted", "shm/testdata/bad.go: not formatted", "shm/testdata/not.go: 1:8: expected"},
		},
		"PackageNames": {
			files: map[string]string{
				"helper/h.go":           "package helper\n",
				"shm/s.go":              "package shm\n",
				"shm/common/c.go":       "package common\n",
				"internal/shmutil/u.go": "package shmutil\n",
				"manager/m.go":          "package manager\n",
			},
			want: []string{`"helper" says nothing`, `"shmutil" says nothing`, `"manager" says nothing`, `"common" says nothing`},
		},
		"TestsOnly": {
			files: map[string]string{
				"shm/s.go":               "package shm\n\nvar a int\n",
				"tests/crash/doc.go":     "// Package crash holds tests.\npackage crash\n",
				"tests/crash/c_test.go":  "package crash\n\nvar a int\n",
				"tests/interop/i.go":     "package interop\n\nimport _ \"strings\"\n",
				"tests/interop/sub/s.go": "package sub\n\nvar a int\n",
			},
			want: []string{"tests/interop/i.go: only tests", "tests/interop/sub/s.go: only tests"},
		},
		"Docs": {
			files: map[string]string{
				"tests/one/a_test.go": "// Package one_test is all that there is.\npackage one_test\n",
				"tests/two/a_test.go": "package two_test\n",
				"cmd/x/main.go":       "package main\n\nfunc Exported() {}\n\nfunc main() {}\n",
				"internal/mem/m.go":   "// Package mem is documented.\npackage mem\n\n// View is documented, its field need not be.\ntype View struct{ N int }\n\nfunc F() {}\n",
				"posix/p.go":          "package posix\n\n//go:noinline\nfunc Directive() {}\n",
				"posix/p_test.go":     "// Package posix_test is another package.\npackage posix_test\n\nfunc Exported() {}\n",
				"shm/s.go": `// Package shm is documented.
package shm

// T is documented, though not all in it.
type T struct {
	A    int // documented
	B    int
	C, D int // documented
	e    int
	// F is documented, not so what is in it.
	F struct{ G int }
	embedded
}

type embedded struct{ E int }

func (embedded) M() {}

type U[V any] interface{ M() }

func (t *T) M() {}

func (*T) hidden() {}

// Constants, documented together.
const (
	C1 = iota
	C2
)

var (
	// V1 is documented.
	V1 int
	V2 int
)

func OnEachPlatform() {}
`,
				"shm/s_windows.go": "package shm\n\n// OnEachPlatform is documented here.\nfunc OnEachPlatform() {}\n\nfunc OnOne() {}\n",
			},
			want: []string{
				"cmd/x: package main has no package comment",
				"internal/mem/m.go:7: mem.F has no doc comment",
				"posix: package posix has no package comment",
				"posix/p.go:4: posix.Directive has no doc comment",
				"shm/s_windows.go:6: shm.OnOne has no",
				"shm/s.go:7: shm.T.B has no",
				"shm/s.go:11: shm.T.G has no",
				"shm/s.go:21: shm.T.M has no",
				"shm/s.go:19: shm.U has no",
				"shm/s.go:19: shm.U.M has no",
				"shm/s.go:34: shm.V2 has no",
				"tests/two: package two has no package comment",
			},
		},
		"Examples": {
			files: map[string]string{
				"internal/mem/m.go": "package mem\n\ntype View struct{}\n",
				"shm/s.go": `package shm

type (
	ByName     struct{}
	ByMethod   struct{}
	InBody     struct{}
	Returned   struct{}
	Flags      int
	InField    int
	NotRunning struct{}
	Absent     struct{}
	hidden     struct{}
)

type Info struct{ Field InField }

const (
	FlagA Flags = iota
	FlagB
)

func (ByMethod) Do() {}

func New() (*Returned, error) { return nil, nil }

func unexported() Absent { return Absent{} }
`,
				"shm/s_test.go": `package shm_test

import "example.org/house/shm"

func ExampleByName() {
	// Output:
}

func ExampleByMethod_Do() {
	// Output:
}

func Example() {
	var _ shm.InBody
	_, _ = shm.New()
	_ = shm.FlagB
	_ = shm.Info{}.Field
	// Output:
}

func ExampleNotRunning() { unexported() }

func unexported() {}
`,
			},
			want: []string{"shm/s.go:11: no runnable example shows shm.Absent", "shm/s.go:10: no runnable example shows shm.NotRunning"},
		},
		"Text": {
			files: map[string]string{
				"README.md":  "see https://example.org/home/x and `/ho" + "me/somebody/x` \n",
				"docs/a.txt": "/ro" + "ot/x\n$HOME/work/x ~/work/ /workers/ ../work/x\nback\r\n\t\n",
				"bin.dat":    "\x00 \n/ho" + "me/x\n",
				"scripts/x":  "cd /wo" + "rk/x\n",
			},
			want: []string{
				"README.md:1: names a path", "README.md:1: white space",
				"docs/a.txt:1: names a path", "docs/a.txt:3: white space", "docs/a.txt:4: white space",
				"scripts/x:1: names a path",
			},
		},
		"Platforms": {
			files: map[string]string{
				"shm/s.go":              "package shm\n",
				"shm/s_linux_amd64.go":  "package shm\n\nimport \"fmt\"\n\nfunc f(c chan int) { select {}; fmt.Println(c) }\n",
				"shm/s_linux_arm64.go":  "package shm\n\nvar y int = \"\"\n",
				"shm/s_darwin.go":       "package shm\n\nimport \"syscall\"\n\nvar _ = syscall.Epoll_wait\n",
				"shm/s_windows_test.go": "package shm\n\nimport \"syscall\"\n\nvar _ = syscall.Kill\n",
			},
			want: []string{
				"linux/amd64: go vet: shm/s_linux_amd64.go:5:33: unreachable code",
				"linux/arm64: go build: # example.org/house/shm\nshm/s_linux_arm64.go:3:13: cannot use",
				"darwin/arm64: go build: # example.org/house/shm\nshm/s_darwin.go:5:17: undefined: syscall.Epoll_wait",
				"windows/amd64: go vet: # example.org/house/shm\n# [example.org/house/shm]\nvet: shm/s_windows_test.go:5:17: undefined: syscall.Kill",
			},
		},
		"Staticcheck": {
			files: map[string]string{"shm/s.go": "package shm\n\nfunc unused() {}\n"},
			want:  []string{"func unused is unused (U1000)"},
		},
	}
	for _, check := range checks {
		t.Run(check.name, func(t *testing.T) {
			tt := tests[check.name]
			if tt.want == nil {
				t.Fatal("this check has not been shown to fail")
			}
			if tt.files["go.mod"] == "" {
				tt.files["go.mod"] = goMod
			}
			got := check.find(write(t, tt.files))
			for i := range max(len(got), len(tt.want)) {
				switch {
				case i >= len(tt.want):
					t.Errorf("found too much: %s", got[i])
				case i >= len(got) || !strings.Contains(got[i], tt.want[i]):
					t.Fatalf("line %d: want %q; got:\n%s", i, tt.want[i], strings.Join(got, "\n"))
				}
			}
		})
	}
}
