//go:build linux && (amd64 || arm64)

package sysv

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// must fails the test at once on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wantErr fails the test unless err is exactly this error number, with call
// and object in place.
func wantErr(t testing.TB, err error, want syscall.Errno) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Err != want || e.Call == "" {
		t.Fatalf("error is %v, want an *Error of %v", err, want)
	}
}

// patience is for what should take microseconds: reaching it is a failure.
const patience = 20 * time.Second

// eventually waits until a state can be observed.
func eventually(t testing.TB, what string, state func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !state() {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// within receives from a channel.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("still waiting for: %s", what)
		panic("unreachable")
	}
}

// inCall counts the threads of this process that are inside a system call.
func inCall(t testing.TB, number int) (n int) {
	t.Helper()
	files, err := filepath.Glob("/proc/self/task/*/syscall")
	must(t, err)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // the thread has ended
		}
		must(t, err)
		if strings.HasPrefix(string(text), fmt.Sprintf("%d ", number)) {
			n++
		}
	}
	return n
}

// child is the command that runs this test binary in a role.
func child(role string, args ...any) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe") // reachable for every user, wherever the binary lies
	for _, a := range args {
		cmd.Args = append(cmd.Args, fmt.Sprint(a))
	}
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// An actor is a running process that plays a role.
type actor struct {
	*exec.Cmd
	stdin io.Closer // closing it tells the actor to exit
	out   *bufio.Reader
}

// play starts a role, which ends with the test at the latest.
func play(t testing.TB, role string, args ...any) *actor {
	t.Helper()
	a := &actor{Cmd: child(role, args...)}
	stdin, err := a.StdinPipe()
	must(t, err)
	stdout, err := a.StdoutPipe()
	must(t, err)
	must(t, a.Start())
	t.Cleanup(func() {
		a.Process.Kill()
		a.Wait()
	})
	a.stdin, a.out = stdin, bufio.NewReader(stdout)
	return a
}

// says fails the test unless the actor's next line is this.
func (a *actor) says(t testing.TB, want string) {
	t.Helper()
	if line, err := a.out.ReadString('\n'); err != nil || line != want+"\n" {
		t.Fatalf("the other process says %q, %v; want %q", line, err, want)
	}
}

// say is how a role speaks to its test; then it waits until the test closes its standard input.
func say(line string) {
	fmt.Println(line)
	io.Copy(io.Discard, os.Stdin)
}

// idArgument is the id that a role was given as its nth argument, from 1.
func idArgument(n int) int {
	id, err := strconv.Atoi(os.Args[n])
	if err != nil {
		panic(err)
	}
	return id
}

// newKey returns a key that leads to nothing, a different one on each call.
func newKey(t testing.TB) Key {
	t.Helper()
	for {
		lastKey++
		_, err1 := ShmGet(lastKey, 0, 0)
		_, err2 := SemGet(lastKey, 0, 0)
		_, err3 := MsgGet(lastKey, 0)
		if err1 != nil && err2 != nil && err3 != nil {
			return lastKey
		}
	}
}

var lastKey = Key(0x5e5e0000 + os.Getpid()&0xff<<8)

func newShm(t testing.TB, key Key, size int, mode Flag) ShmID {
	t.Helper()
	id, err := ShmGet(key, size, Create|Exclusive|mode)
	must(t, err)
	t.Cleanup(func() { id.Remove() })
	return id
}

func newSem(t testing.TB, key Key, nsems int, mode Flag) SemID {
	t.Helper()
	id, err := SemGet(key, nsems, Create|Exclusive|mode)
	must(t, err)
	t.Cleanup(func() { id.Remove() })
	return id
}

func newMsg(t testing.TB, key Key, mode Flag) MsgID {
	t.Helper()
	id, err := MsgGet(key, Create|Exclusive|mode)
	must(t, err)
	t.Cleanup(func() { id.Remove() })
	return id
}

func attach(t testing.TB, id ShmID, flags AttachFlag) []byte {
	t.Helper()
	b, err := ShmAt(id, 0, flags)
	must(t, err)
	t.Cleanup(func() { ShmDt(b) })
	return b
}

// setSysctl changes a limit of the tests' own IPC namespace until the test ends.
func setSysctl(t *testing.T, name, value string) {
	t.Helper()
	path := "/proc/sys/kernel/" + name
	old, err := os.ReadFile(path)
	must(t, err)
	if err := os.WriteFile(path, []byte(value), 0); err != nil {
		t.Skipf("needs to change a limit: %v", err)
	}
	t.Cleanup(func() { must(t, os.WriteFile(path, old, 0)) })
}
