package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// run runs shoal in this process.
func run(t *testing.T, args ...string) (code Code, stdout, stderr string) {
	t.Helper()
	var out, words bytes.Buffer
	code = Run(args, strings.NewReader(""), &out, &words)
	return code, out.String(), words.String()
}

// make1 makes an object for one test.
func make1(t *testing.T, addr string, size int64) *shm.Segment {
	t.Helper()
	seg, err := shm.Create(addr, size, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		seg.Close()
		shm.Remove(addr)
	})
	return seg
}

// writerFunc is a writer that is a function.
type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestClosedOutputIsNoError(t *testing.T) {
	make1(t, "/shoal-test", 3*chunk)
	closed := writerFunc(func([]byte) (int, error) { return 0, syscall.EPIPE })
	for _, args := range [][]string{
		{"read", "/shoal-test"}, {"read", "/shoal-test", "--hex"}, {"read", "/shoal-test", "--json"},
		{"read", "/shoal-test", "--string"}, {"ls"}, {"ls", "--json"}, {"version"}, {"doctor"},
	} {
		var words bytes.Buffer
		if code := Run(args, strings.NewReader(""), closed, &words); code != OK || strings.Contains(words.String(), "shoal:") {
			t.Errorf("%v: code %d, %q", args, code, words.String())
		}
	}
	full := writerFunc(func([]byte) (int, error) { return 0, syscall.ENOSPC })
	if code := Run([]string{"read", "/shoal-test"}, nil, full, io.Discard); code != Failure {
		t.Errorf("output that fails: code %d; want %d", code, Failure)
	}
}

// TestReadSurvivesShrinking cuts the object down while it is being read.
func TestReadSurvivesShrinking(t *testing.T) {
	isolate.Require(t)
	for _, flag := range []string{"--json", "--hex", "--string"} {
		seg := make1(t, "/shoal-test", 3*chunk)
		for i := range seg.Bytes() {
			seg.Bytes()[i] = byte(i%251) + 1 // no line repeats, no NUL ends
		}
		cut := false
		out := writerFunc(func(p []byte) (int, error) {
			if !cut {
				cut = true
				if err := os.Truncate("/dev/shm/shoal-test", 4096); err != nil {
					t.Error(err)
				}
			}
			return len(p), nil
		})
		var words bytes.Buffer
		code := Run([]string{"read", "/shoal-test", flag}, nil, out, &words)
		if code != Incompatible || !strings.Contains(words.String(), "another process has cut the object down to 4096 bytes") {
			t.Errorf("%s: code %d, %q", flag, code, words.String())
		}
		shm.Remove("/shoal-test")
	}
}

// TestFailedInput checks that an input that breaks off is told, and what had
// been made for it removed.
func TestFailedInput(t *testing.T) {
	input := io.MultiReader(strings.NewReader("abc"), brokenReader{})
	var words bytes.Buffer
	code := Run([]string{"write", "/shoal-test", "--create", "--size", "10"}, input, io.Discard, &words)
	if code != Failure || !strings.Contains(words.String(), "read standard input: input/output error") {
		t.Errorf("code %d, %q", code, words.String())
	}
	if code, _, _ := run(t, "stat", "/shoal-test"); code != NotFound {
		t.Errorf("the object is still there: code %d", code)
	}
}

// TestInterruptedWriteLeavesNothing ends a write that waits for its input.
func TestInterruptedWriteLeavesNothing(t *testing.T) {
	for _, existed := range []bool{false, true} {
		if existed {
			make1(t, "/shoal-test", 10)
		}
		cmd := exec.Command(self)
		cmd.Args = []string{"shoal", "write", "/shoal-test", "--create", "--size", "10"}
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		awaitHolder(t, cmd.Process.Pid)
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		stdin.Close()
		if code := cmd.ProcessState.ExitCode(); code != 128+15 {
			t.Errorf("code %d; want %d", code, 128+15)
		}
		if _, err := shm.Stat("/shoal-test"); (err == nil) != existed {
			t.Errorf("existed before: %v; afterwards: %v", existed, err)
		}
	}
}

// awaitHolder waits until a process holds a POSIX object that has its name.
func awaitHolder(t *testing.T, pid int) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		census, err := shm.TakeCensus()
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(census.Objects(pid), func(h shm.Held) bool {
			return h.Address.Kind() == shm.POSIX && !h.Removed && h.Mapped > 0
		}) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not begin")
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, syscall.EIO }

func TestGCLeavesWhatChangedSinceItLooked(t *testing.T) {
	isolate.Require(t)
	run(t, "create", "/shoal.x", "--size", "1")
	t.Cleanup(func() { shm.Remove("/shoal.x") })
	before, _, err := inspect.Find("/shoal.x")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate("/dev/shm/shoal.x", 100); err != nil {
		t.Fatal(err)
	}
	if err := removeGarbage(before); err == nil || !strings.Contains(err.Error(), "meanwhile") {
		t.Errorf("removeGarbage: %v", err)
	}
	now, _, err := inspect.Find("/shoal.x")
	if err != nil || now.Size != 100 {
		t.Fatalf("%+v, %v", now, err)
	}
	if err := removeGarbage(now); err != nil {
		t.Error(err)
	}
}

// TestDoctorFindsProblems runs it on a full /dev/shm, and where System V has no
// segment left.
func TestDoctorFindsProblems(t *testing.T) {
	isolate.Tmpfs(t, 1<<20, "/dev/shm")
	make1(t, "/shoal-test", 1<<20)
	code, out, _ := run(t, "doctor")
	if code != Failure || !strings.Contains(out, "problem  /dev/shm             1.0 MiB, 1.0 MiB used (100%): full") {
		t.Errorf("full: code %d\n%s", code, out)
	}

	const shmmni = "/proc/sys/kernel/shmmni"
	old, err := os.ReadFile(shmmni)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(shmmni, []byte("1"), 0); err != nil {
		t.Skip("the limits of this IPC namespace cannot be set:", err)
	}
	t.Cleanup(func() { os.WriteFile(shmmni, old, 0) })
	make1(t, "sysv:0x77", 1)
	code, out, _ = run(t, "doctor", "--json")
	if code != Failure || !strings.Contains(out, `{"check":"System V memory","verdict":"problem","found":"1 of 1 segments,`) ||
		!strings.Contains(out, `"remedy":"shoal gc --foreign; or sysctl kernel.shmmni=2"}`) {
		t.Errorf("no segment left: code %d\n%s", code, out)
	}
}

// tty is a terminal with a program on it.
type tty struct {
	t       *testing.T
	control *os.File
	cmd     *exec.Cmd
	output  chan string
}

// onTerminal starts shoal on a terminal of so many columns.
func onTerminal(t *testing.T, columns uint16, env []string, args ...string) *tty {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fd := int(control.Fd())
	must(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	must(err)
	must(unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}))
	side, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	must(err)
	cmd := exec.Command(self)
	cmd.Args = append([]string{"shoal"}, args...)
	// As at a terminal, whatever this test runs in: see internal/cli/terminal.go.
	plain := slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "NO_COLOR=") || strings.HasPrefix(v, "CI=") || strings.HasPrefix(v, "CLICOLOR")
	})
	cmd.Env = append(append(plain, "TERM=xterm"), env...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = side, side, side
	must(cmd.Start())
	side.Close()
	y := &tty{t: t, control: control, cmd: cmd, output: make(chan string, 1)}
	go func() {
		text, _ := io.ReadAll(control) // ends in EIO when the program has
		y.output <- strings.ReplaceAll(string(text), "\r\n", "\n")
	}()
	return y
}

// finish waits for the program's end.
func (y *tty) finish() (code int, screen string) {
	y.cmd.Wait()
	screen = <-y.output
	y.control.Close()
	return y.cmd.ProcessState.ExitCode(), screen
}

func TestTablesFitTheTerminal(t *testing.T) {
	isolate.Require(t)
	make1(t, "/shoal-test", 100<<20)
	make1(t, "/a-name-that-is-so-long-that-it-must-be-cut-on-a-terminal-of-eighty-columns", 1)
	make1(t, "sysv:0x12345678", 1<<20)
	if code, _, words := run(t, "lock", "a-mutex-with-a-name-that-must-be-cut", "--", "true"); code != OK {
		t.Fatal(words)
	}
	t.Cleanup(func() { pshared.Remove("a-mutex-with-a-name-that-must-be-cut") })
	for _, columns := range []uint16{60, 80, 120, 300} {
		for _, verb := range []string{"ls", "gc --dry-run --foreign --older 0s", "doctor", "who sysv:0x12345678"} {
			code, screen := onTerminal(t, columns, nil, strings.Fields(verb)...).finish()
			if code != OK {
				t.Errorf("%s: code %d", verb, code)
			}
			for line := range strings.Lines(screen) {
				line = strings.TrimSuffix(line, "\n")
				if strings.HasPrefix(line, "partial: ") {
					continue // words wrap as they come
				}
				if w := ansi.StringWidth(line); w > int(columns) {
					t.Errorf("%s on %d columns: a line of %d: %q", verb, columns, w, line)
				}
			}
			if columns >= 80 && verb == "ls" && !strings.Contains(screen, "mutex") {
				t.Errorf("ls on %d columns does not say what is a mutex:\n%s", columns, screen)
			}
			if columns == 300 && verb == "ls" && !strings.Contains(screen, "of-eighty-columns") {
				t.Errorf("cut without need:\n%s", screen)
			}
			if columns == 80 && verb == "ls" && (!strings.Contains(screen, "…") || strings.Contains(screen, "RESIDENT")) {
				t.Errorf("ls on 80 columns:\n%s", screen)
			}
		}
	}
}

func TestColourOnATerminalAlone(t *testing.T) {
	isolate.Require(t)
	make1(t, "/shoal-test", 1)
	_, screen := onTerminal(t, 80, nil, "ls").finish()
	if !strings.Contains(screen, "\x1b[32min use\x1b[0m") {
		t.Errorf("no colour on a terminal: %q", screen)
	}
	for _, env := range []string{"NO_COLOR=1", "TERM=dumb"} {
		if _, screen = onTerminal(t, 80, []string{env}, "ls").finish(); strings.Contains(screen, "\x1b") {
			t.Errorf("%s: colour: %q", env, screen)
		}
	}
	if _, out, _ := run(t, "ls"); strings.Contains(out, "\x1b") {
		t.Errorf("colour off a terminal: %q", out)
	}
}

func TestGCAsks(t *testing.T) {
	isolate.Require(t)
	for _, tt := range []struct {
		answer string
		code   Code
		gone   bool
	}{
		{"n\n", Failure, false},
		{"\n", Failure, false},
		{"\x04", Failure, false}, // end of file
		{"yes\n", OK, true},
		{"Y\n", OK, true},
	} {
		run(t, "create", "/shoal.x", "--size", "1")
		y := onTerminal(t, 80, nil, "gc", "--older", "0s")
		if _, err := y.control.WriteString(tt.answer); err != nil {
			t.Fatal(err)
		}
		code, screen := y.finish()
		if code != tt.code || !strings.Contains(screen, "Remove 1 object, 4.0 KiB? [y/N]") {
			t.Errorf("answer %q: code %d, want %d:\n%s", tt.answer, code, tt.code, screen)
		}
		if still, _, _ := run(t, "stat", "/shoal.x"); (still == NotFound) != tt.gone {
			t.Errorf("answer %q: stat says %d", tt.answer, still)
		}
		shm.Remove("/shoal.x")
	}
}

func TestProgress(t *testing.T) {
	var drawn bytes.Buffer
	p := progress{w: &drawn, total: 4 << 30, columns: 80, started: time.Now()}
	p.at(1 << 30)
	p.done()
	if drawn.Len() > 0 {
		t.Errorf("a bar at once: %q", drawn.String())
	}
	p.started = time.Now().Add(-2 * time.Second)
	p.at(1 << 30)
	p.at(2 << 30) // too soon to draw again
	p.done()
	if got := drawn.String(); !strings.HasPrefix(got, "\r[#########") || !strings.Contains(got, "-]  25%  1.0 GiB of 4.0 GiB  ") ||
		strings.Contains(got, "50%") || !strings.HasSuffix(got, "\r\x1b[K") {
		t.Errorf("drawn %q", got)
	}
	for columns := 0; columns <= 200; columns++ {
		p.columns = columns
		for _, n := range []int64{0, 1, 2 << 30, 4 << 30, 5 << 30} {
			if line := p.line(n, time.Second); columns > 60 && len(line) >= columns {
				t.Errorf("%d columns: a line of %d: %q", columns, len(line), line)
			}
		}
	}
	p.total = -1
	if got := p.line(3<<30, 2*time.Second); got != "3.0 GiB  1.5 GiB/s" {
		t.Errorf("unknown length: %q", got)
	}
	if c := (&command{stderr: &drawn}); c.progress(10).w != nil {
		t.Error("a bar off a terminal")
	}
}
