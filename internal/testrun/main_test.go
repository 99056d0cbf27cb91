package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMain lets the test binary be the program itself, for TestProgram.
func TestMain(m *testing.M) {
	if os.Getenv("TESTRUN_AS_PROGRAM") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// A program is one run over a module of test files.
type program struct {
	files map[string]string
	args  []string
	code  int
	want  []string // regular expressions that match the output
	not   []string // and those that do not
	last  string
}

// TestProgram runs the program over small modules: what fails must fail it, and what is skipped must be told.
func TestProgram(t *testing.T) {
	const head = "package a\n\nimport \"testing\"\n\n"
	tests := map[string]program{
		"all is well": {
			files: map[string]string{
				"a/a_test.go": head + "func TestA(t *testing.T) { t.Log(\"chatter\"); t.Run(\"x\", func(t *testing.T) {}); t.Run(\"y\", func(t *testing.T) {}) }\n",
				"b/b.go":      "package b\n",
			},
			want: []string{`(?m)^# go test ./...$`, `(?m)^ok  \thouse/a\t`, `no tests in:\n\thouse/b\n`},
			not:  []string{"chatter", "skipped:"},
			last: "2 passed, 0 failed, 0 skipped",
		},
		"another module": {
			files: map[string]string{
				"a/a_test.go": head + "func TestA(t *testing.T) {}\n",
				"b/go.mod":    "module other\n\ngo 1.25.0\n",
				"b/b_test.go": strings.Replace(head, "package a", "package b", 1) + "func TestB(t *testing.T) {}\n",
			},
			args: []string{"./...", "--", "-C", "b", "-count=1", "./..."},
			want: []string{`(?m)^# go test -C b -count=1 ./...$`, `(?m)^ok  \thouse/a\t`, `(?m)^ok  \tother\t`},
			last: "2 passed, 0 failed, 0 skipped",
		},
		"skips are told": {
			files: map[string]string{"a/a_test.go": head + "func TestA(t *testing.T) { t.Skip(\"no\\nmoon\") }\n\nfunc TestB(t *testing.T) { t.Run(\"x\", func(t *testing.T) { t.SkipNow() }) }\n"},
			want:  []string{`skipped:\n\thouse/a TestA: no moon\n\thouse/a TestB/x: no reason given\n`},
			last:  "0 passed, 0 failed, 2 skipped",
		},
		"failures are shown in full": {
			files: map[string]string{
				"a/a_test.go": head + "func TestA(t *testing.T) { t.Log(\"before\"); t.Run(\"x\", func(t *testing.T) { t.Error(\"wrong\") }) }\n\nfunc TestB(t *testing.T) { t.Log(\"chatter\") }\n",
				"b/b_test.go": strings.Replace(head, "package a", "package b", 1) + "func TestA(t *testing.T) {}\n",
			},
			code: 1,
			want: []string{`before`, `wrong`, `--- FAIL: TestA/x`, `(?m)^FAIL\thouse/a`, `(?m)^ok  \thouse/b`},
			not:  []string{"chatter"},
			last: "2 passed, 1 failed, 0 skipped",
		},
		"a panic is a failure": {
			files: map[string]string{"a/a_test.go": head + "func TestA(t *testing.T) { panic(\"ouch\") }\n"},
			code:  1,
			want:  []string{`panic: ouch`, `goroutine \d+`},
			last:  "0 passed, 1 failed, 0 skipped",
		},
		"so is an early end": {
			files: map[string]string{"a/a_test.go": "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestA(t *testing.T) { os.Exit(3) }\n"},
			code:  1,
			want:  []string{`=== RUN   TestA\n`},
			last:  "0 passed, 1 failed, 0 skipped",
		},
		"so is a test binary that fails after its tests": {
			files: map[string]string{"a/a_test.go": "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) { m.Run(); println(\"left a mess\"); os.Exit(1) }\n\nfunc TestA(t *testing.T) {}\n"},
			code:  1,
			want:  []string{`left a mess`},
			last:  "1 passed, 1 failed, 0 skipped",
		},
		"so is what does not compile": {
			files: map[string]string{"a/a_test.go": head + "func TestA(t *testing.T) { undefined() }\n"},
			code:  1,
			want:  []string{`undefined: undefined`, `\[build failed\]`},
			last:  "0 passed, 1 failed, 0 skipped",
		},
		"so is what go test refuses": {
			files: map[string]string{"a/a_test.go": head},
			args:  []string{"./missing"},
			code:  1,
			last:  "0 passed, 1 failed, 0 skipped",
		},
		"a warning of a passing binary is heard": {
			files: map[string]string{"a/a_test.go": "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) { println(\"beware\"); os.Exit(m.Run()) }\n\nfunc TestA(t *testing.T) {}\n"},
			want:  []string{`(?m)^beware$`},
			last:  "1 passed, 0 failed, 0 skipped",
		},
		"passes add up": {
			files: map[string]string{"a/a_test.go": "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestA(t *testing.T) { t.Skip(os.Getenv(\"WHY\")) }\n\nfunc TestB(t *testing.T) {}\n"},
			args:  []string{"WHY=one", "./...", "--", "WHY=two", "-count=1", "./a"},
			want:  []string{`(?m)^# WHY=one go test ./\.\.\.$`, `TestA: one\n`, `TestA: two\n`},
			last:  "2 passed, 0 failed, 2 skipped",
		},
		"nothing to run is told": {
			files: map[string]string{"a/a.go": "package a\n"},
			code:  2,
			last:  "0 passed, 0 failed, 0 skipped",
		},
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tt.files["go.mod"] = "module house\n\ngo 1.25.0\n"
			for name, text := range tt.files {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if tt.args == nil {
				tt.args = []string{"./..."}
			}
			cmd := exec.Command(self, tt.args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "TESTRUN_AS_PROGRAM=1", "CGO_ENABLED=0", "GOWORK=off")
			output, _ := cmd.CombinedOutput()
			out := string(output)
			if code := cmd.ProcessState.ExitCode(); code != tt.code {
				t.Errorf("exit code %d; want %d", code, tt.code)
			}
			for _, want := range tt.want {
				if !regexp.MustCompile(want).MatchString(out) {
					t.Errorf("output does not match %q", want)
				}
			}
			for _, not := range tt.not {
				if regexp.MustCompile(not).MatchString(out) {
					t.Errorf("output matches %q", not)
				}
			}
			if !strings.HasSuffix(out, "\n"+tt.last+"\n") {
				t.Errorf("last line is not %q", tt.last)
			}
			if t.Failed() {
				t.Logf("output:\n%s", out)
			}
		})
	}
}
