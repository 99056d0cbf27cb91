//go:build linux && (amd64 || arm64)

package shm_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/shm"
)

// must fails the test at once on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// command is this test binary in a role.
func command(role string, args ...any) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe") // reachable for every user, wherever the binary lies
	for _, a := range args {
		cmd.Args = append(cmd.Args, fmt.Sprint(a))
	}
	// The race detector's default is to wait a second at the end of a process.
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	return cmd
}

// nobody is a user and a group without privilege.
const nobody = 65534

// outputAsNobody plays a role as another user and returns the lines that it
// prints. It skips the test, visibly, where that is not possible.
func outputAsNobody(t *testing.T, role string, args ...any) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	cmd := command(role, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Dir = "/"
	out, err := cmd.Output()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) {
		t.Skipf("this user namespace has one user only: %v", err)
	}
	must(t, err)
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// A peer is another process in a role. It and the test take turns: a line there
// and a line back.
type peer struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	over  bool
}

func startPeer(t *testing.T, role string, args ...any) *peer {
	t.Helper()
	p := &peer{t: t, cmd: command(role, args...)}
	var err error
	p.in, err = p.cmd.StdinPipe()
	must(t, err)
	out, err := p.cmd.StdoutPipe()
	must(t, err)
	p.lines = bufio.NewScanner(out)
	must(t, p.cmd.Start())
	t.Cleanup(p.end)
	return p
}

func (p *peer) pid() int { return p.cmd.Process.Pid }

// hear returns the next line that the peer prints.
func (p *peer) hear() string {
	p.t.Helper()
	if !p.lines.Scan() {
		p.t.Fatalf("peer %d ended: %v", p.pid(), p.lines.Err())
	}
	return p.lines.Text()
}

// say lets the peer go on.
func (p *peer) say() {
	p.t.Helper()
	_, err := io.WriteString(p.in, "\n")
	must(p.t, err)
}

// end lets the peer run to its end: what it waits for is over.
func (p *peer) end() {
	if p.over {
		return
	}
	p.over = true
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("peer %d: %v", p.pid(), err)
	}
}

// kill ends the peer at once.
func (p *peer) kill() {
	p.over = true
	p.cmd.Process.Kill()
	p.cmd.Wait()
}

// turns is the peer's side: each call waits for a say, and false is the end.
var turns = func() func() bool {
	in := bufio.NewScanner(os.Stdin)
	return in.Scan
}()

// verdict says in a word what an error is.
func verdict(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, fs.ErrPermission):
		return "permission"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.Is(err, fs.ErrExist):
		return "exists"
	case errors.Is(err, shm.ErrInUse):
		return "in use"
	}
	return err.Error()
}

func init() {
	// hold ADDR: opens it, and holds it as long as it may.
	roles["hold"] = func() {
		seg, err := shm.Open(os.Args[1], nil)
		fmt.Println(verdict(err))
		for turns() {
		}
		if err == nil {
			seg.Close()
		}
	}
}

// contents returns what is in a directory.
func contents(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
