package rerun_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/rerun"
)

func init() {
	// echo answers every line with itself, and the first with its arguments.
	roles["echo"] = func(args []string) {
		for {
			line := rerun.Hear()
			rerun.Say("echo", line, args)
			args = nil
		}
	}
	roles["nothing"] = func([]string) {}
	roles["fail"] = func([]string) { rerun.Check(errors.New("as it should")) }
	// look says where it stands.
	roles["look"] = func([]string) {
		ns, err := os.Readlink("/proc/self/ns/ipc")
		rerun.Check(err)
		rerun.Say("ipc", ns)
		rerun.Say("isolated", isolate.Isolated())
		rerun.Say("parent", os.Getppid())
		exe, err := os.Readlink("/proc/self/exe")
		rerun.Check(err)
		rerun.Say("exe", exe)
		rerun.Say("for children:", os.Getenv("SHOAL_TEST_ROLE"))
		rerun.Hear()
	}
	// talk has more to say than anybody hears.
	roles["talk"] = func([]string) {
		for i := range 1000 {
			rerun.Say("line", i)
		}
		fmt.Print("half a line")
	}
	// count counts in several threads, in a file.
	roles["count"] = func(args []string) {
		f, err := os.OpenFile(args[0], os.O_WRONLY|os.O_APPEND, 0)
		rerun.Check(err)
		for range 4 {
			go func() {
				runtime.LockOSThread()
				for {
					_, err := f.Write([]byte{'.'})
					rerun.Check(err)
				}
			}()
		}
		rerun.Say("counts")
		rerun.Hear()
	}
	// halt stops itself.
	roles["halt"] = func([]string) {
		runtime.LockOSThread() // to the one that is stopped first: it says nothing meanwhile
		rerun.Say("halts")
		rerun.Check(unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP))
		rerun.Say("goes on")
		rerun.Hear()
	}
	// family starts a process that would outlive the test, and dies with all its threads as a test that panics does.
	roles["family"] = func([]string) {
		rerun.Say("child", rerun.Start(&testing.T{}, "burn").PID())
		rerun.Hear()
	}
	roles["burn"] = func([]string) {
		for burnt := 0; ; burnt++ {
		}
	}
}

// A test and a role understand each other, and the role ends when the test has nothing more to say.
func TestTalk(t *testing.T) {
	p := rerun.Start(t, "echo", "a", "b c", "")
	p.Say("one", 2)
	if rest := p.Expect("echo"); rest != "one 2 [a b c ]" {
		t.Errorf("it says %q", rest)
	}
	p.Say("  spaces  ")
	if line := <-p.Lines(); line != "echo   spaces   []" {
		t.Errorf("it says %q", line)
	}
	if s := p.Wait(); !s.Success() || s.Pid() != p.PID() {
		t.Errorf("process %d: %v", s.Pid(), s)
	}
}

// A role tells how it has ended.
func TestEnds(t *testing.T) {
	if s := rerun.Start(t, "nothing").Wait(); s.ExitCode() != 0 {
		t.Errorf("a role that returns: %v", s)
	}
	for role, want := range map[string]struct {
		code int
		says string
	}{
		"fail": {1, "role: as it should\n"},
		"none": {2, "rerun: this test binary has no role \"none\"\n"},
	} {
		var says strings.Builder
		cmd := rerun.Command(role)
		cmd.Stderr = &says
		s := rerun.StartCommand(t, cmd).Wait()
		if s.ExitCode() != want.code || !strings.HasSuffix(says.String(), want.says) {
			t.Errorf("role %s: %v, %q", role, s, says.String())
		}
	}
	p := rerun.Start(t, "echo")
	p.Kill()
	if err := syscall.Kill(p.PID(), 0); err != syscall.ESRCH {
		t.Errorf("after Kill there is still process %d: %v", p.PID(), err)
	}
	p.Kill()
	if s := p.Wait().Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
		t.Errorf("killed, it ended with %v", s)
	}
}

// Roles are where the test is, children of its process, and in the program that was asked for.
func TestWhere(t *testing.T) {
	own, err := os.Readlink("/proc/self/ns/ipc")
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, binary, 0o700); err != nil {
		t.Fatal(err)
	}
	for program, p := range map[string]*rerun.Process{
		self:  rerun.Start(t, "look"),
		other: rerun.StartProgram(t, other, "look"),
	} {
		for _, want := range []string{
			"ipc " + own,
			fmt.Sprint("isolated ", isolate.Isolated()),
			fmt.Sprint("parent ", os.Getpid()),
			"exe " + program,
			"for children:",
		} {
			if line := p.Expect(""); line != want {
				t.Errorf("%s: %q; want %q", program, line, want)
			}
		}
	}
}

// The end of a role's output is the end of its lines, and half a line is none. What nobody reads is in nobody's way.
func TestLines(t *testing.T) {
	n := 0
	for line := range rerun.Start(t, "talk").Lines() {
		if want := fmt.Sprint("line ", n); line != want {
			t.Fatalf("%q; want %q", line, want)
		}
		n++
	}
	if n != 1000 {
		t.Errorf("%d lines", n)
	}
	if s := rerun.Start(t, "talk").Wait(); !s.Success() {
		t.Error(s)
	}
	p := rerun.Start(t, "talk")
	p.Expect("line 0")
	p.Kill()
}

// A stopped process does nothing until it may go on.
func TestStop(t *testing.T) {
	name := filepath.Join(t.TempDir(), "count")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	p := rerun.Start(t, "count", name)
	p.Expect("counts")
	for range 200 {
		if p.Stopped() {
			t.Fatal("stopped by nobody")
		}
		p.Stop()
		before := size()
		if !p.Stopped() {
			t.Fatal("not stopped")
		}
		p.Stop() // again
		runtime.Gosched()
		if after := size(); after != before {
			t.Fatalf("stopped, it has counted from %d to %d", before, after)
		}
		p.Continue()
		for size() == before {
			runtime.Gosched()
		}
	}
	p.Stop()
	p.Kill()
	if p.Stopped() {
		t.Error("a dead process is called stopped")
	}
}

// A process that has stopped itself is seen to be.
func TestStoppedByItself(t *testing.T) {
	p := rerun.Start(t, "halt")
	p.Expect("halts")
	for !p.Stopped() {
		runtime.Gosched()
	}
	select {
	case line := <-p.Lines():
		t.Errorf("stopped, it says %q", line)
	default:
	}
	p.Continue()
	p.Expect("goes on")
}

// The death of the test's process is that of its roles.
func TestFamily(t *testing.T) {
	p := rerun.Start(t, "family")
	var pid int
	if _, err := fmt.Sscan(p.Expect("child"), &pid); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") { // isolate adopts orphans and reaps them later
			return
		}
		if time.Now().After(end) {
			t.Fatalf("its child lives on: %s", stat)
		}
	}
}

// judge is a test that notes how it fails.
type judge struct {
	testing.TB
	verdict string
}

func (j *judge) Helper() {}

func (j *judge) Fatalf(format string, args ...any) {
	j.verdict = fmt.Sprintf(format, args...)
	panic(j)
}

// A process that does not do as expected fails the test, and is named.
func TestFailures(t *testing.T) {
	for name, f := range map[string]struct {
		does func(t testing.TB)
		want []string
	}{
		"another word": {func(t testing.TB) {
			p := rerun.Start(t, "echo")
			p.Say("x")
			p.Expect("other")
		}, []string{"(echo)", `says "echo x []"`, `"other"`}},
		"silence": {func(t testing.TB) {
			rerun.Start(t, "echo").ExpectWithin(time.Millisecond, "word")
		}, []string{"(echo)", "silent for 1ms", `"word"`}},
		"the end": {func(t testing.TB) {
			rerun.Start(t, "nothing", "x").Expect("word")
		}, []string{"(nothing x)", "exit status 0", `"word"`}},
		"saying": {func(t testing.TB) {
			p := rerun.Start(t, "nothing")
			p.Wait()
			p.Say("x")
		}, []string{"(nothing)", "does not listen"}},
		"stopping": {func(t testing.TB) {
			p := rerun.Start(t, "nothing")
			p.Wait()
			p.Stop()
		}, []string{"(nothing)", "stop", "already finished"}},
		"starting": {func(t testing.TB) {
			rerun.StartProgram(t, "/nowhere", "echo")
		}, []string{"start role", "/nowhere"}},
	} {
		t.Run(name, func(t *testing.T) {
			j := &judge{TB: t}
			defer func() {
				if r := recover(); r != j {
					t.Fatalf("it does not fail: %v", r)
				}
				if slices.ContainsFunc(f.want, func(part string) bool { return !strings.Contains(j.verdict, part) }) {
					t.Errorf("%q; want all of %q", j.verdict, f.want)
				}
			}()
			f.does(j)
		})
	}
}

// The death of a process is a signal to the thread that has started it, and interrupts its sleep. It is not a thread of
// the test's.
func TestDeathInterruptsNobody(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stat := fmt.Sprintf("/proc/self/task/%d/stat", syscall.Gettid())
	// sleeps kills a process when this thread sleeps, and returns how its sleep has ended.
	sleeps := func(pid int) error {
		killed := make(chan error)
		go func() {
			for {
				b, err := os.ReadFile(stat)
				if err != nil || strings.Contains(string(b), ") S ") {
					killed <- errors.Join(err, syscall.Kill(pid, syscall.SIGKILL))
					return
				}
			}
		}()
		err := unix.Nanosleep(&unix.Timespec{Nsec: 100e6}, nil)
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
		return err
	}
	for range 5 {
		p := rerun.Start(t, "echo")
		if err := sleeps(p.PID()); err != nil {
			t.Errorf("the death of a role: %v", err)
		}
		p.Wait()
	}
	cmd := rerun.Command("burn")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := sleeps(cmd.Process.Pid); err != unix.EINTR {
		t.Errorf("the death of a process that this thread has started: %v", err)
	}
	cmd.Wait()
}
