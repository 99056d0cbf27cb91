//go:build linux && (amd64 || arm64)

package posix_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// must fails the test at once on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr fails the test unless err is a *fs.PathError of this call, object and
// cause.
func wantErr(t testing.TB, err error, op, path string, want error) {
	t.Helper()
	var e *fs.PathError
	if !errors.As(err, &e) || e.Op != op || e.Path != path || !errors.Is(err, want) {
		t.Errorf("error is %v, want %s %s: %v", err, op, path, want)
	}
}

// nobody is a user without privilege.
const nobody = 65534

// asNobody plays a role as another user and returns what it says. It skips the
// test, visibly, where this process may not become somebody else.
func asNobody(t *testing.T, role string) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	cmd := exec.Command("/proc/self/exe") // reachable for every user, wherever the binary lies
	// The race detector's default is to wait a second at the end of a process.
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Dir = "/"
	out, err := cmd.Output()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) {
		t.Skipf("this user namespace has one user only: %v", err)
	}
	must(t, err)
	return string(out)
}

// errno is how a role tells which error it met.
func errno(err error) string {
	var e syscall.Errno
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return e.Error()
	}
	return err.Error()
}

// cProgram compiles a C program and returns its path.
func cProgram(t *testing.T, source string) string {
	t.Helper()
	dir := t.TempDir()
	file, program := filepath.Join(dir, "program.c"), filepath.Join(dir, "program")
	must(t, os.WriteFile(file, []byte(source), 0o600))
	if out, err := exec.Command("cc", "-Wall", "-Werror", "-O1", "-o", program, file, "-lrt").CombinedOutput(); err != nil {
		t.Fatalf("cc (make setup installs it): %v\n%s", err, out)
	}
	return program
}

// runC runs a compiled program and returns its output.
func runC(t *testing.T, program string, args ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("C program %s: %v: %s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}
