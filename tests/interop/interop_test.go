//go:build linux && (amd64 || arm64)

// Package interop tests that C and Python programs, which know nothing of this module, and Go programs that use it see
// the same objects: what one writes the other reads, with the same sizes, modes and ids. The programs are in testdata.
package interop

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

// roleVariable makes this test binary a Go program that takes part in a test, rather than run tests.
const roleVariable = "SHOAL_INTEROP_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == "hold" {
		hold()
	}
	isolate.Main(m)
}

// compile compiles testdata/NAME.c, and returns the program's path.
func compile(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("cc"); err != nil {
		t.Fatalf("%v: run scripts/setup, or: apt-get install --yes --no-install-recommends gcc libc6-dev", err)
	}
	path := filepath.Join(t.TempDir(), name)
	out, err := exec.Command("cc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-o", path,
		filepath.Join("testdata", name+".c"), "-lrt").CombinedOutput()
	if err != nil {
		t.Fatalf("cc %s.c: %v\n%s", name, err, out)
	}
	return path
}

// python returns the command that runs testdata/NAME.py, without its arguments.
func python(t *testing.T, name string) []string {
	t.Helper()
	path, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("%v: run scripts/setup, or: apt-get install --yes --no-install-recommends python3", err)
	}
	return []string{path, filepath.Join("testdata", name+".py")}
}

// output runs a program that must succeed, and returns what it prints.
func output(t *testing.T, command ...string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(command, " "), err, &stderr)
	}
	return string(out)
}

// wantOutput runs a program that must succeed and print exactly this.
func wantOutput(t *testing.T, want string, command ...string) {
	t.Helper()
	if got := output(t, command...); got != want {
		t.Errorf("%s printed %q, want %q", filepath.Base(command[0]), got, want)
	}
}

// wantFailure runs a program that must fail, saying this.
func wantFailure(t *testing.T, want string, cmd *exec.Cmd) {
	t.Helper()
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), want) {
		t.Errorf("%s: %v, %q; want exit status 1 and %q", cmd, err, out, want)
	}
}

// A program is one that runs.
type program struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr bytes.Buffer
}

// start starts a program, which ends with the test at the latest.
func start(t *testing.T, command ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(command[0], command[1:]...)}
	p.cmd.Stderr = &p.stderr
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	must(t, err)
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	p.stdout = bufio.NewReader(out)
	must(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.kill()
		}
	})
	return p
}

// pid is the program's process.
func (p *program) pid() int { return p.cmd.Process.Pid }

// says waits for a line, which must be this one.
func (p *program) says(want string) {
	p.t.Helper()
	line, err := p.stdout.ReadString('\n')
	if err != nil || line != want+"\n" {
		p.t.Fatalf("%s printed %q (%v), want %q; %s", p.cmd, line, err, want, &p.stderr)
	}
}

// release gives the program the line that it waits for.
func (p *program) release() {
	p.t.Helper()
	_, err := io.WriteString(p.stdin, "\n")
	must(p.t, err)
}

// ends waits until the program has ended, which it must do well.
func (p *program) ends() {
	p.t.Helper()
	if err := p.cmd.Wait(); err != nil {
		p.t.Fatalf("%s: %v: %s", p.cmd, err, &p.stderr)
	}
}

// kill kills it, with SIGKILL, and waits until it is gone.
func (p *program) kill() {
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// line formats a line that a program is to print.
func line(format string, args ...any) string { return fmt.Sprintf(format+"\n", args...) }

// cString returns the C string at the beginning of b.
func cString(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// asNobody returns a command that runs a program as another user, without groups: one who may do only what a mode
// grants to others.
func asNobody(t *testing.T, path string, args ...string) *exec.Cmd {
	t.Helper()
	const nobody = 65534
	if unix.Geteuid() != 0 || !hasUser(nobody) {
		t.Skip("needs to start a process as another user: run as root")
	}
	// Through a descriptor: the directory of a test is closed to others.
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	cmd := exec.Command("/proc/self/fd/3", args...)
	cmd.ExtraFiles = []*os.File{f}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	return cmd
}

// hasUser reports whether this user namespace knows the user id.
func hasUser(id int) bool {
	table, err := os.ReadFile("/proc/self/uid_map")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(table)) {
		var inside, outside, count int
		if n, _ := fmt.Sscan(line, &inside, &outside, &count); n == 3 && inside <= id && id < inside+count {
			return true
		}
	}
	return false
}
