package cli

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/internal/isolate"
)

// serial runs scripts one after the other: they share the namespaces of the test
// and look at all that is in there.
type serial struct{ *testing.T }

func (serial) Parallel() {}

func (s serial) Run(name string, f func(testscript.T)) {
	s.T.Run(name, func(t *testing.T) { f(serial{t}) })
}

func (s serial) Verbose() bool { return testing.Verbose() }

// TestScripts runs the real command in testdata/script, every verb of it. Beside
// the commands of package testscript, scripts have
//
//	exits CODE PROGRAM ARG...      run, and want this exit code
//	hold NAME ROLE ARG...          start a holder (see hold); its pid is $NAME
//	slay NAME                      end it with SIGKILL
//	masked FILE                    compare stdout, with what changes from run to run masked, to FILE
//	object FILE TEXT               make a file that holds the text
//
// and PROGRAM may be as-nobody, contained or without (see roles). What a script leaves
// behind fails it.
func TestScripts(t *testing.T) {
	isolate.Require(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for name := range roles {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	testscript.RunT(serial{t}, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			holders := map[string]*holder{}
			env.Values["holders"] = holders
			env.Defer(func() {
				for _, h := range holders {
					h.end()
				}
				for _, addr := range leftBehind(env.T()) {
					env.T().Log("left behind: " + addr)
					env.T().FailNow()
				}
			})
			return nil
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "cc": // is there a C compiler?
				_, err := exec.LookPath("cc")
				return err == nil, nil
			case "users": // are there other users than the one who runs the test?
				ids, err := os.ReadFile("/proc/self/uid_map")
				return os.Getuid() == 0 && len(strings.Fields(string(ids))) == 3 && strings.Fields(string(ids))[2] != "1", err
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":  exits,
			"hold":   startHolder,
			"slay":   slay,
			"masked": masked,
			"object": object,
		},
	})
}

// leftBehind names the objects that exist, and removes them so that the next
// script is not blamed.
func leftBehind(t testscript.T) (found []string) {
	s, err := inspect.Take()
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range s.Objects {
		found = append(found, o.Address)
		Run([]string{"rm", o.Address}, strings.NewReader(""), io.Discard, io.Discard)
	}
	return found
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	code := 0
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		code = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d; want %s", code, want)
	}
}

// holder is a process with an object.
type holder struct {
	cmd   *exec.Cmd
	stdin io.Closer
	dead  bool
}

func startHolder(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: hold NAME ROLE ARG...")
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{"holder"}, args[1:]...)
	stdin, err := cmd.StdinPipe()
	ts.Check(err)
	stdout, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	h := &holder{cmd: cmd, stdin: stdin}
	ts.Value("holders").(map[string]*holder)[args[0]] = h
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if line != "ready\n" {
		ts.Fatalf("holder: %s%v", line, err)
	}
	ts.Setenv(args[0], strconv.Itoa(cmd.Process.Pid))
}

func slay(ts *testscript.TestScript, _ bool, args []string) {
	h := ts.Value("holders").(map[string]*holder)[args[0]]
	ts.Check(h.cmd.Process.Kill())
	h.end()
}

// end waits until the holder is gone.
func (h *holder) end() {
	if !h.dead {
		h.dead = true
		h.stdin.Close()
		h.cmd.Wait()
	}
}

var (
	counters = regexp.MustCompile(`"(pid|creator_pid|last_pid|id)":\d+`)
	times    = regexp.MustCompile(`"(created|changed|used|joined)":"[0-9TZ.:-]+"`)
	pages    = regexp.MustCompile(`"(resident|mapped)":(\d+)`)
	certain  = regexp.MustCompile(`("address":"/.*"certain":)(true|false)`)
	// In the words of gc, too.
	holderPID = regexp.MustCompile(`pid \d+`)
)

// mask replaces what differs from run to run and from machine to machine:
// numbers of processes and segments, times, the size of pages, and whether
// every process is in sight.
func mask(text string) string {
	text = counters.ReplaceAllString(text, `"$1":N`)
	text = times.ReplaceAllString(text, `"$1":T`)
	text = certain.ReplaceAllString(text, `${1}C`)
	text = strings.ReplaceAll(text, "nobody in sight has it open or mapped (the kernel will say for the others)", "nobody has it open or mapped")
	text = holderPID.ReplaceAllString(text, "pid N")
	return pages.ReplaceAllStringFunc(text, func(s string) string {
		m := pages.FindStringSubmatch(s)
		n, _ := strconv.Atoi(m[2])
		if n%os.Getpagesize() != 0 {
			return s
		}
		return fmt.Sprintf(`"%s":%dp`, m[1], n/os.Getpagesize())
	})
}

func masked(ts *testscript.TestScript, neg bool, args []string) {
	got, want := mask(ts.ReadFile("stdout")), ts.ReadFile(args[0])
	if neg || got != want {
		ts.Fatalf("got:\n%swant:\n%s", got, want)
	}
}

func object(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(args[0], []byte(args[1]), 0o644))
}
