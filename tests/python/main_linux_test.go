//go:build linux && (amd64 || arm64)

// Package python tests the Python package in python/: by its own tests, run with what pip makes of its source
// distribution, and beside programs in Go. That Python is a full member of every object is tested in tests/conformance.
package python

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/pyext"
	"github.com/seed-247006a4/shoal/internal/rerun"
)

var roles = rerun.Roles{}

func TestMain(m *testing.M) {
	roles.Play()
	isolate.Main(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program that must succeed, in a directory, and returns what it prints.
func run(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %v\n%s%s", args, err, &stdout, &stderr)
	}
	return stdout.String()
}

// start starts Python with a script, or with -c and code, beside the test.
func start(t *testing.T, args ...string) *rerun.Process {
	t.Helper()
	python := pyext.Python(t)
	return rerun.StartCommand(t, &exec.Cmd{Path: python, Args: append([]string{python, "-B"}, args...), Stderr: os.Stderr,
		Env: append(os.Environ(), "PYTHONPATH="+pyext.Build(t), "PYTHONUNBUFFERED=1")})
}

// TestUnit installs the package from its source distribution, without network, and runs its own tests with that.
func TestUnit(t *testing.T) {
	python := pyext.Python(t)
	source, target := filepath.Join(t.TempDir(), "python"), t.TempDir()
	must(t, os.CopyFS(source, os.DirFS("../../python")))
	header, err := filepath.Abs("../../include")
	must(t, err)
	must(t, os.RemoveAll(filepath.Join(source, "include")))
	must(t, os.Symlink(header, filepath.Join(source, "include"))) // as in the repository
	env := []string{"CFLAGS=-O1 -g0 -Werror", "PIP_NO_INDEX=1", "PIP_DISABLE_PIP_VERSION_CHECK=1",
		"PIP_ROOT_USER_ACTION=ignore", "PYTHONDONTWRITEBYTECODE=1"}
	run(t, source, env, python, "-c", "import backend; backend.build_sdist('dist')")
	made, err := filepath.Glob(filepath.Join(source, "dist", "shoal-*.tar.gz"))
	if err != nil || len(made) != 1 {
		t.Fatalf("it makes %v, %v", made, err)
	}
	run(t, source, env, python, "-m", "pip", "install", "-q", "--no-cache-dir", "--no-deps", "--target", target, made[0])
	for _, name := range []string{"py.typed", "__init__.pyi"} {
		if _, err := os.Stat(filepath.Join(target, "shoal", name)); err != nil {
			t.Error(err)
		}
	}
	tests, err := filepath.Abs("../../python/tests")
	must(t, err)
	out := run(t, tests, append(env, "PYTHONPATH="+target), python, "-W", "error", "-X", "dev", "-c",
		"import shoal, unittest; assert shoal.__file__.startswith('"+target+"'); "+
			"unittest.main(module=None, argv=['', 'discover', '-v'])")
	if strings.Contains(out, "skipped") {
		t.Errorf("tests are skipped:\n%s", out)
	}
}

// eventually waits for what other processes do.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
