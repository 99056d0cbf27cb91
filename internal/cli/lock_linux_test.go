package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/pshared"
)

// locker is a shoal lock whose command has begun.
type locker struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout io.Reader // what the command says after it has begun
}

// startLocker has a shell hold the mutex "t"; the script runs once it does.
func startLocker(t *testing.T, script string) *locker {
	t.Helper()
	isolate.Require(t)
	t.Cleanup(func() { pshared.Remove("t") })
	cmd := exec.Command(self)
	cmd.Args = []string{"shoal", "lock", "t", "--", "sh", "-c", "echo begun; " + script}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	// A command that lives on must not hang the test.
	stdout.(*os.File).SetReadDeadline(time.Now().Add(20 * time.Second))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	l := &locker{cmd: cmd, stdin: stdin}
	t.Cleanup(func() { l.cmd.Process.Kill(); l.cmd.Wait() })
	r := bufio.NewReader(stdout)
	if line, err := r.ReadString('\n'); line != "begun\n" {
		t.Fatal(line, err)
	}
	l.stdout = r
	return l
}

// TestLockKilled: the next one gets the lock at once, and hears of it; the
// command dies with its shoal lock.
func TestLockKilled(t *testing.T) {
	l := startLocker(t, "exec sleep 1000")
	waiting := exec.Command(self)
	waiting.Args = []string{"shoal", "lock", "t", "--", "echo", "got it"}
	var out, words bytes.Buffer
	waiting.Stdout, waiting.Stderr = &out, &words
	if err := waiting.Start(); err != nil {
		t.Fatal(err)
	}
	awaitHolder(t, waiting.Process.Pid)
	killed := time.Now()
	l.cmd.Process.Kill()
	err := waiting.Wait()
	took := time.Since(killed)
	if err != nil || out.String() != "got it\n" || words.String() != "shoal: lock t: the previous owner died while it held the lock\n" {
		t.Errorf("%v, %q, %q", err, out.String(), words.String())
	}
	if took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	t.Logf("from SIGKILL to the end of the next command: %v", took)
	// The pipe ends when the last one who could write to it is gone.
	if rest, err := io.ReadAll(l.stdout); err != nil || len(rest) > 0 {
		t.Errorf("%q, %v", rest, err)
	}
}

// TestLockPassesSignalsOn sends them to shoal lock; the command decides.
func TestLockPassesSignalsOn(t *testing.T) {
	for name, number := range map[string]syscall.Signal{
		"TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "INT": syscall.SIGINT,
		"QUIT": syscall.SIGQUIT, "USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2,
	} {
		l := startLocker(t, "trap 'echo caught; exit 9' "+name+"; echo ready; while :; do read x </dev/null; done")
		ready := make([]byte, len("ready\n"))
		if _, err := io.ReadFull(l.stdout, ready); err != nil {
			t.Fatal(err)
		}
		l.cmd.Process.Signal(number)
		rest, _ := io.ReadAll(l.stdout)
		l.cmd.Wait()
		if code := l.cmd.ProcessState.ExitCode(); code != 9 || string(rest) != "caught\n" {
			t.Errorf("%s: code %d, %q", name, code, rest)
		}
	}
	l := startLocker(t, "exec sleep 1000")
	l.cmd.Process.Signal(syscall.SIGTERM)
	l.cmd.Wait()
	if code := l.cmd.ProcessState.ExitCode(); code != 128+15 {
		t.Errorf("code %d", code)
	}
	// It was an orderly end.
	if code, _, words := run(t, "lock", "t", "--try", "--", "true"); code != OK || words != "" {
		t.Errorf("code %d, %q", code, words)
	}
}

// TestLockIsTheMutexOfGo: a program and shoal lock exclude each other.
func TestLockIsTheMutexOfGo(t *testing.T) {
	l := startLocker(t, "read go; exit 0")
	mu, err := pshared.OpenMutex("t")
	if err != nil {
		t.Fatal(err)
	}
	defer mu.Close()
	if locked, err := mu.TryLock(); locked || err != nil {
		t.Errorf("held by shoal lock: %v, %v", locked, err)
	}
	l.stdin.Close() // what the command waits for
	l.cmd.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := mu.LockContext(ctx); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := run(t, "lock", "t", "--try", "--", "true"); code != WouldBlock {
		t.Errorf("held by Go: code %d", code)
	}
	if err := mu.Unlock(); err != nil {
		t.Fatal(err)
	}
	if code, _, words := run(t, "lock", "t", "--try", "--", "true"); code != OK {
		t.Errorf("free: code %d, %q", code, words)
	}
}

// TestLockNotRecoverable: a program has unlocked without a word on the data.
func TestLockNotRecoverable(t *testing.T) {
	l := startLocker(t, "exec sleep 1000")
	l.cmd.Process.Kill()
	l.cmd.Wait()
	mu, err := pshared.OpenMutex("t")
	if err != nil {
		t.Fatal(err)
	}
	if err := mu.Lock(); !errors.Is(err, pshared.ErrOwnerDied) {
		t.Fatal(err)
	}
	if err := errors.Join(mu.Unlock(), mu.Close()); err != nil {
		t.Fatal(err)
	}
	code, _, words := run(t, "lock", "t", "--", "true")
	if code != Incompatible || !strings.Contains(words, "remove it, and make a new one") {
		t.Errorf("code %d, %q", code, words)
	}
	if _, out, _ := run(t, "stat", "t"); !strings.Contains(out, "not recoverable: an owner died") {
		t.Error(out)
	}
	if code, out, words := run(t, "gc", "--older", "0s", "--yes"); code != OK || !strings.Contains(out, "keep") {
		t.Errorf("gc: %d, %q, %q", code, out, words)
	}
}
