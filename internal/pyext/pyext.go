// Package pyext builds the Python package in python/ for tests. It is test support: only _test.go files import it.
package pyext

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Python returns the path of an interpreter that scripts/setup has seen to.
func Python(t testing.TB) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(root(t), "scripts", "python")).Output()
	if err != nil {
		t.Fatal("no Python 3.9 or newer with its headers, setuptools, pip and numpy: run scripts/setup, or: " +
			"apt-get install --yes --no-install-recommends python3-dev python3-setuptools python3-pip python3-numpy")
	}
	return strings.TrimSpace(string(out))
}

// Command returns the command line that runs a script with the package.
func Command(t testing.TB, script string) []string {
	t.Helper()
	path, err := filepath.Abs(script)
	if err != nil {
		t.Fatal(err)
	}
	dir := Build(t)
	compiled := filepath.Join(t.TempDir(), filepath.Base(script)+"c")
	python := Python(t)
	run(t, "", python, "-c", "import py_compile, sys; py_compile.compile(sys.argv[1], sys.argv[2], doraise=True)", path,
		compiled)
	// Compiled, and without site, it starts in a third of the time.
	return []string{python, "-S", "-c", "import marshal, sys; sys.path.insert(0, sys.argv[1]); " +
		"exec(marshal.loads(open(sys.argv[2], 'rb').read()[16:]))", dir, compiled}
}

// Build returns a directory with the package, to be put into PYTHONPATH. What has been built once from the same sources
// is in bin/python, for all tests.
func Build(t testing.TB) string {
	t.Helper()
	top, python := root(t), Python(t)
	sum := sha256.New()
	fmt.Fprintln(sum, python)
	out, err := exec.Command(python, "-VV").Output()
	if err != nil {
		t.Fatal(err)
	}
	sum.Write(out)
	for _, pattern := range []string{"include/shoal.h", "python/setup.*", "python/src/*", "python/shoal/*"} {
		files, err := filepath.Glob(filepath.Join(top, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files, %v", pattern, err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err != nil || !info.Mode().IsRegular() {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintln(sum, f, len(b))
			sum.Write(b)
		}
	}
	dir := filepath.Join(top, "bin", "python", fmt.Sprintf("%x", sum.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	made, err := os.MkdirTemp(filepath.Dir(dir), "making-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(made)
	lib := filepath.Join(made, "lib")
	run(t, filepath.Join(top, "python"), python, "setup.py", "-q", "build", "--build-base", filepath.Join(made, "work"),
		"--build-lib", lib)
	run(t, lib, python, "-m", "compileall", "-q", ".")
	// Another test may have been quicker: its work is as good.
	if err := os.Rename(lib, dir); err != nil {
		if _, missing := os.Stat(dir); missing != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// run runs a program that must succeed, in a directory.
func run(t testing.TB, dir string, args ...string) {
	t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CFLAGS=-O1 -g0 -Werror", "PYTHONDONTWRITEBYTECODE=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
	}
}

// root returns the directory of the repository.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			err = fmt.Errorf("no go.mod above the working directory")
		}
		dir = filepath.Dir(dir)
	}
	t.Fatal(err)
	return ""
}
