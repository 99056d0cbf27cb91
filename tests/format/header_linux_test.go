//go:build linux && (amd64 || arm64)

package format

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/layout"
)

func TestMain(m *testing.M) { isolate.Main(m) }

// strict are the flags under which the header must be clean.
var strict = []string{"-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I../../include"}

// compile compiles testdata/NAME.c and returns the program's path.
func compile(t *testing.T, compiler, name string, flags ...string) string {
	t.Helper()
	if _, err := exec.LookPath(compiler); err != nil {
		t.Fatalf("%v: run scripts/setup, or: apt-get install --yes --no-install-recommends gcc g++ libc6-dev", err)
	}
	path := filepath.Join(t.TempDir(), name)
	source := filepath.Join("testdata", name+".c")
	run(t, "", slices.Concat([]string{compiler, "-o", path}, flags, strict, []string{source, "-pthread"})...)
	return path
}

// TestHeader compiles testdata/selftest.c with every compiler and sanitizer, as C and as C++, without a warning, and
// runs it. Compilers that scripts/setup does not install are tried where they are.
func TestHeader(t *testing.T) {
	c11 := []string{"-std=c11"}
	cxx := []string{"-x", "c++", "-std=c++17"}
	const memory = "-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
	for i, build := range []struct {
		name, compiler string
		optional       bool
		language       []string
		flags          string
		env            string
	}{
		{"cc", "cc", false, c11, "-O2", ""},
		{"cc without optimization", "cc", false, c11, "-O0", ""},
		{"cc, all of it", "cc", false, []string{"-std=gnu17"}, "-O3", ""},
		{"c++", "c++", false, cxx, "-O2", ""},
		{"cc with address and undefined", "cc", false, c11, memory, ""},
		{"cc with thread", "cc", false, c11, "-O1 -g -fsanitize=thread", "TSAN_OPTIONS=halt_on_error=1 die_after_fork=0"},
		{"clang", "clang", true, c11, "-O2", ""},
		{"clang++", "clang++", true, cxx, "-O2", ""},
	} {
		t.Run(build.name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(build.compiler); err != nil && build.optional {
				t.Skipf("%s is not installed", build.compiler)
			}
			path := compile(t, build.compiler, "selftest", append(build.language, strings.Fields(build.flags)...)...)
			run(t, build.env, path, fmt.Sprintf("selftest%d-", i))
		})
	}
	t.Run("arm64", func(t *testing.T) {
		t.Parallel()
		const compiler, emulator = "aarch64-linux-gnu-gcc", "qemu-aarch64"
		if runtime.GOARCH == "arm64" {
			t.Skip("the others have been arm64")
		}
		for _, program := range []string{compiler, emulator} {
			if _, err := exec.LookPath(program); err != nil {
				t.Skipf("%s is not installed", program)
			}
		}
		path := compile(t, compiler, "selftest", "-std=c11", "-O2", "-static", "-DSHOAL_WITHOUT_BELLS")
		run(t, "", emulator, path, "selftest-arm64-", "nofork")
	})
}

// run runs a program that must succeed.
func run(t *testing.T, env string, command ...string) string {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	if env != "" {
		cmd.Env = append(os.Environ(), env)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// TestInstall installs the header and compiles a program with what pkg-config says, and nothing else.
func TestInstall(t *testing.T) {
	if _, err := exec.LookPath("pkg-config"); err != nil {
		t.Fatalf("%v: run scripts/setup, or: apt-get install --yes --no-install-recommends pkg-config", err)
	}
	prefix, stage := filepath.Join(t.TempDir(), "prefix"), t.TempDir()
	run(t, "", "make", "-C", "../..", "install", "PREFIX="+prefix, "DESTDIR=")
	env := "PKG_CONFIG_PATH=" + filepath.Join(prefix, "share/pkgconfig")
	want := fmt.Sprintf("%d.%d\n", layout.Major, layout.Minor)
	if got := run(t, env, "pkg-config", "--modversion", "shoal"); got != want {
		t.Errorf("it has version %q, want %q", got, want)
	}
	flags := strings.Fields(run(t, env, "pkg-config", "--cflags", "--libs", "shoal"))
	program := filepath.Join(t.TempDir(), "ring")
	run(t, "", slices.Concat([]string{"cc", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-o", program,
		"../../examples/c/ring.c"}, flags)...)
	run(t, "", "make", "-C", "../..", "install", "PREFIX=/opt/shoal", "DESTDIR="+stage)
	for _, file := range [][2]string{
		{"include/shoal.h", "include/shoal.h"}, {"share/man/man3/shoal.h.3", "docs/man/shoal.h.3"},
	} {
		want, err := os.ReadFile(filepath.Join("../..", file[1]))
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(stage, "opt/shoal", file[0]))
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %d bytes, want %d; %v", file[0], len(got), len(want), err)
		}
	}
	text, err := os.ReadFile(filepath.Join(stage, "opt/shoal/share/pkgconfig/shoal.pc"))
	if err != nil || !strings.Contains(string(text), "\nprefix=/opt/shoal\n") || strings.Contains(string(text), "@") {
		t.Errorf("shoal.pc: %v\n%s", err, text)
	}
	run(t, "", "make", "-C", "../..", "uninstall", "PREFIX="+prefix, "DESTDIR=")
	err = filepath.WalkDir(prefix, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			t.Errorf("uninstall leaves %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestUnits links C and C++ files that include the header into one program: it has one keeper.
func TestUnits(t *testing.T) {
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"cc":  {"-std=c11", "-DUNIT=one", "-DMAIN", "-o", filepath.Join(dir, "one.o")},
		"c++": {"-x", "c++", "-std=c++17", "-DUNIT=other", "-o", filepath.Join(dir, "other.o")},
	} {
		run(t, "", slices.Concat([]string{name}, args, strict, []string{"-c", "testdata/unit.c"})...)
	}
	program := filepath.Join(dir, "units")
	run(t, "", "c++", "-o", program, filepath.Join(dir, "one.o"), filepath.Join(dir, "other.o"), "-pthread")
	want := "errors 0 0, one process: 1, threads: 2, lock 0, try 1\n"
	if got := run(t, "", program); got != want {
		t.Errorf("it prints %q, want %q", got, want)
	}
}

// TestHeaderFirst compiles a file that includes the header after, and before, those of the C library that hide most of
// what it needs.
func TestHeaderFirst(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{
		"#include <stdio.h>\n#include <unistd.h>\n#include <fcntl.h>\n#include <time.h>\n" +
			"#include \"shoal.h\"\n#include <signal.h>\n",
		"#include \"shoal.h\"\n#include <stdio.h>\n#include <sys/shm.h>\n#include <sys/mman.h>\n#include <linux/futex.h>\n",
	} {
		path := filepath.Join(dir, "a.c")
		if err := os.WriteFile(path, []byte(text+"int main(void) { return shoal_strerror(0) == 0; }\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, standard := range []string{"-std=c11", "-std=gnu11"} {
			if strings.Contains(text, "sys/shm.h") && standard == "-std=c11" {
				continue // glibc itself warns
			}
			program := filepath.Join(dir, "a")
			run(t, "", slices.Concat([]string{"cc", standard, "-o", program}, strict, []string{path, "-pthread"})...)
		}
	}
}
