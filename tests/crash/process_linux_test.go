//go:build linux && (amd64 || arm64)

package crash

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// bound is how long a survivor may take for what depends on nobody else. It is
// far beyond what it does take, which the tests print.
const bound = 5 * time.Second

// forks has a thread of its own start processes, see fork.
var forks chan func()

// fork keeps one thread for starting processes until the test ends. The death of a
// child is a signal to the thread that has started it. If a survivor slept in that
// one, the signal would end its sleep, and hide that nothing else does.
func fork(t *testing.T) {
	forks = make(chan func())
	go func() {
		runtime.LockOSThread() // until its end
		for f := range forks {
			f()
		}
	}()
	t.Cleanup(func() { close(forks) })
}

// process is a test binary in a role, which talks by lines.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan string // closed when the process has ended
	over  bool
}

// start starts a test binary in a role.
func start(t *testing.T, binary, role string, args ...string) *process {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role, "GORACE=atexit_sleep_ms=0")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	started := make(chan error)
	forks <- func() { started <- cmd.Start() }
	must(t, <-started)
	p := &process{t: t, cmd: cmd, in: in, lines: make(chan string, 8)}
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(p.kill)
	return p
}

// expect waits for a line that begins with the word.
func (p *process) expect(word string) string {
	p.t.Helper()
	select {
	case line, ok := <-p.lines:
		if !ok || !strings.HasPrefix(line, word) {
			p.t.Fatalf("process says %q; expected %q", line, word)
		}
		return strings.TrimSpace(strings.TrimPrefix(line, word))
	case <-time.After(bound):
		p.t.Fatalf("process is silent; expected %q", word)
	}
	return ""
}

func (p *process) tell(line string) {
	p.t.Helper()
	_, err := fmt.Fprintln(p.in, line)
	must(p.t, err)
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(s))
}

// stopped reports whether the process is stopped (proc_pid_stat(5)).
func (p *process) stopped() bool {
	stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	i := bytes.LastIndexByte(stat, ')')
	return i > 0 && i+2 < len(stat) && stat[i+2] == 'T'
}

// kill ends the process and waits until the kernel has finished with it. Killing
// it again does nothing.
func (p *process) kill() {
	if p.over {
		return
	}
	p.over = true
	p.cmd.Process.Kill()
	for range p.lines {
	}
	p.cmd.Wait()
}

// say is what roles answer with.
func say(line ...any) { fmt.Println(line...) }

// heard waits for a line from the test; at its end the role ends.
func heard() {
	var line string
	if _, err := fmt.Scanln(&line); err != nil {
		os.Exit(0)
	}
}

// check ends a role that cannot go on.
func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "role:", err)
		os.Exit(1)
	}
}

// must fails the test at once on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until f says true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(bound); !f(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", bound, what)
		}
	}
}
