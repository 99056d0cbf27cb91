//go:build linux && (amd64 || arm64)

// Package conformance tests that programs in Go, in C (include/shoal.h) and in Python (python/) are members of the same
// objects, with the same rights: what one makes the other opens, and when one dies the other knows and goes on.
//
// The cases are scripts in testdata/cases, which know no language: each is performed by every pair of languages. A role
// reads a line, does what it says and answers with a line; testdata/role.c is the one in C, testdata/role.py the one in
// Python, role_linux_test.go the one in Go.
package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/pyext"
	"github.com/seed-247006a4/shoal/internal/rerun"
)

// roles are filled by the tests' files.
var roles = rerun.Roles{}

func TestMain(m *testing.M) {
	roles.Play()
	isolate.Main(m)
}

// table is where a language joins: by a role that understands the words of role_linux_test.go, and the command line
// that starts it. What has to be compiled for that lasts as long as the test. Go's role is this test binary.
var table = []struct {
	name    string
	command func(t *testing.T) []string
}{
	{"go", nil},
	{"c", roleInC},
	{"python", func(t *testing.T) []string { return pyext.Command(t, "testdata/role.py") }},
}

// language is one that the cases are performed in. Subtests that are for a pair of them have a part "one,other" in
// their names: that is how the matrix finds them.
type language struct {
	name    string
	command []string // nil: this test binary
}

// languages are all of them.
func languages(t *testing.T) (all []language) {
	t.Helper()
	for _, l := range table {
		var command []string
		if l.command != nil {
			command = l.command(t)
		}
		all = append(all, language{l.name, command})
	}
	return all
}

// start starts a process in the role of the scripts.
func (l language) start(t testing.TB) *rerun.Process {
	t.Helper()
	if l.command == nil {
		return rerun.Start(t, "conform")
	}
	return rerun.StartCommand(t, &exec.Cmd{Path: l.command[0], Args: l.command, Stderr: os.Stderr})
}

// roleInC compiles testdata/role.c, once for all tests.
func roleInC(t *testing.T) []string {
	compiled.once.Do(func() {
		b, err := os.ReadFile(compile(t, "cc", "role", strict...))
		must(t, err)
		compiled.program = b
	})
	program := filepath.Join(t.TempDir(), "role")
	must(t, os.WriteFile(program, compiled.program, 0o700))
	return []string{program}
}

var compiled struct {
	once    sync.Once
	program []byte
}

// strict are the flags under which the header must be clean.
var strict = []string{"-std=c11", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Werror"}

// compile compiles testdata/NAME.c and returns the program's path.
func compile(t *testing.T, compiler, name string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		t.Fatalf("%v: run scripts/setup, or: apt-get install --yes --no-install-recommends gcc libc6-dev", err)
	}
	path := filepath.Join(t.TempDir(), name)
	args := append([]string{"-o", path, "-I../../include"}, flags...)
	out, err := exec.Command(compiler, append(args, filepath.Join("testdata", name+".c"), "-pthread")...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v %s.c: %v\n%s", compiler, flags, name, err, out)
	}
	return path
}

// startC starts a program in C that talks as a role does.
func startC(t testing.TB, path string, args ...string) *rerun.Process {
	t.Helper()
	args = append([]string{filepath.Base(path)}, args...)
	return rerun.StartCommand(t, &exec.Cmd{Path: path, Args: args, Stderr: os.Stderr})
}
