package isolate_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/sys"
	"golang.org/x/sys/unix"
)

// variable selects, in a test binary that a test started, what TestChild does there.
const variable = "SHOAL_ISOLATE_CHILD"

// child is the command that runs TestChild with the given part in a fresh run of this test binary: not as a helper of
// this one but isolated, and examined, on its own.
func child(t *testing.T, part string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"-test.run=^TestChild$", "-test.v"}, args...)...)
	cmd.Env = append(os.Environ(), "SHOAL_ISOLATE=", variable+"="+part)
	return cmd
}

// parts are what TestChild can do. Each leaves something behind, but for "clean" and those after it.
var parts = map[string]func(t *testing.T){
	"shm": func(t *testing.T) {
		if err := os.WriteFile("/dev/shm/left-behind", nil, 0o600); err != nil {
			t.Fatal(err)
		}
	},
	"mqueue": func(t *testing.T) {
		fd, err := sys.MqOpen("left-behind", unix.O_CREAT|unix.O_RDWR, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		unix.Close(fd)
	},
	"sysv-shm": func(t *testing.T) {
		if _, err := unix.SysvShmGet(0x1234, 1024, unix.IPC_CREAT|0o600); err != nil {
			t.Fatal(err)
		}
	},
	"sysv-sem": func(t *testing.T) {
		if _, _, err := unix.Syscall(unix.SYS_SEMGET, 0x1235, 1, unix.IPC_CREAT|0o600); err != 0 {
			t.Fatal(err)
		}
	},
	"sysv-msg": func(t *testing.T) {
		if _, _, err := unix.Syscall(unix.SYS_MSGGET, 0x1236, unix.IPC_CREAT|0o600, 0); err != 0 {
			t.Fatal(err)
		}
	},
	"mapping": func(t *testing.T) {
		id, err := unix.SysvShmGet(unix.IPC_PRIVATE, 1024, unix.IPC_CREAT|0o600)
		if err != nil {
			t.Fatal(err)
		}
		view, err := unix.SysvShmAttach(id, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		keep = view
		if _, err := unix.SysvShmCtl(id, unix.IPC_RMID, nil); err != nil {
			t.Fatal(err)
		}
	},
	"fd": func(t *testing.T) {
		if _, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	},
	"process": func(t *testing.T) {
		if err := exec.Command("sleep", "4321").Start(); err != nil {
			t.Fatal(err)
		}
	},
	"orphan": func(t *testing.T) {
		if err := exec.Command("sh", "-c", "sleep 4322 & exit 0").Run(); err != nil {
			t.Fatal(err)
		}
	},
	"goroutine": func(t *testing.T) { go leftGoroutine() },

	"clean": func(t *testing.T) {
		// All that a well-behaved test may do: use the poller, have children, make and remove objects.
		r, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		r.SetReadDeadline(time.Now())
		r.Close()
		w.Close()
		if err := exec.Command("sh", "-c", "(exit 0) & exit 0").Run(); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile("/dev/shm/removed", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		os.Remove("/dev/shm/removed")
	},
	"fail": func(t *testing.T) { t.Error("failed as asked") },
	"echo": func(t *testing.T) {
		in, err := io.ReadAll(os.Stdin)
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.Write(bytes.ToUpper(in))
	},
	"killed": func(t *testing.T) { unix.Kill(os.Getpid(), unix.SIGKILL) },
	"hang": func(t *testing.T) {
		os.Stdout.WriteString("pid " + strconv.Itoa(os.Getpid()) + "\n")
		time.Sleep(time.Hour)
	},
	"world": func(t *testing.T) {
		ns, err := os.Readlink("/proc/self/ns/ipc")
		if err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("ipc " + ns + "\n")
		isolate.Tmpfs(t, 1<<20, "/dev/shm")
		var st unix.Statfs_t
		if err := unix.Statfs("/dev/shm", &st); err != nil {
			t.Fatal(err)
		}
		if size := int64(st.Blocks) * st.Bsize; size != 1<<20 {
			t.Errorf("tmpfs of %d bytes; want 1 MiB", size)
		}
	},
	"busy": func(t *testing.T) {
		isolate.Tmpfs(t, 1<<20, "/dev/shm")
		f, err := os.Create("/dev/shm/open")
		if err != nil {
			t.Fatal(err)
		}
		keep = f
	},
}

// keep keeps what must not be collected.
var keep any

func leftGoroutine() { select {} }

// TestChild does nothing but play the part that a test of this file has given to it.
func TestChild(t *testing.T) {
	if part := os.Getenv(variable); part != "" {
		parts[part](t)
	}
}

// TestLeaksAreNamed checks that whatever tests can leave behind fails the run and is named. (That leaked processes are
// ended, the run of this very test shows: they would become its children.)
func TestLeaksAreNamed(t *testing.T) {
	tests := []struct {
		part, want string
		isolated   bool // can only be told in namespaces of its own
	}{
		{"shm", "/dev/shm/left-behind", true},
		{"mqueue", "message queue /left-behind", true},
		{"sysv-shm", "System V shm id 0, key 0x1234", true},
		{"sysv-sem", "System V sem id 0, key 0x1235", true},
		{"sysv-msg", "System V msg id 0, key 0x1236", true},
		{"mapping", "/SYSV00000000 (deleted)", false},
		{"fd", "(/dev/null)", false},
		{"process", "(sleep 4321)", false},
		{"orphan", "(sleep 4322)", false},
		{"goroutine", "leftGoroutine", false},
	}
	// All at once: each waits a while for what it has left to go away by itself.
	runs := make([]*exec.Cmd, len(tests))
	outputs := make([]bytes.Buffer, len(tests))
	for i, tt := range tests {
		runs[i] = child(t, tt.part)
		runs[i].Stdout, runs[i].Stderr = &outputs[i], &outputs[i]
		if tt.isolated && !isolate.Isolated() {
			continue
		}
		if err := runs[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, tt := range tests {
		t.Run(tt.part, func(t *testing.T) {
			if tt.isolated {
				isolate.Require(t)
			}
			err, out := runs[i].Wait(), outputs[i].String()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Errorf("the run ended with %v; want exit status 1", err)
			}
			named := slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
				return strings.HasPrefix(line, "isolate: the tests left behind: ") && strings.Contains(line, tt.want)
			})
			if tt.part == "goroutine" { // told over several lines
				named = strings.Contains(out, "left behind: goroutines") && strings.Contains(out, tt.want)
			}
			if !named || !strings.Contains(out, "--- PASS: TestChild") {
				t.Errorf("output does not name %q:\n%s", tt.want, out)
			}
		})
	}
}

// TestCleanRunPasses checks that the examination accuses nobody falsely.
func TestCleanRunPasses(t *testing.T) {
	out, err := child(t, "clean", "-test.count=3").CombinedOutput()
	if err != nil || strings.Contains(string(out), "left behind") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestExitCode checks that results are passed on, whatever they are.
func TestExitCode(t *testing.T) {
	for part, want := range map[string]int{"clean": 0, "fail": 1, "killed": 128 + int(unix.SIGKILL)} {
		if part == "killed" && !isolate.Isolated() {
			continue // there is nobody to report it
		}
		cmd := child(t, part)
		out, _ := cmd.CombinedOutput()
		if got := cmd.ProcessState.ExitCode(); got != want {
			t.Errorf("%s: exit code %d; want %d:\n%s", part, got, want, out)
		}
	}
}

// TestStreams checks that standard input and output reach the tests.
func TestStreams(t *testing.T) {
	cmd := child(t, "echo")
	cmd.Stdin = strings.NewReader("through and through")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "THROUGH AND THROUGH") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestNamespaces checks that a run has an IPC namespace of its own and can mount a tmpfs.
func TestNamespaces(t *testing.T) {
	isolate.Require(t)
	mine, err := os.Readlink("/proc/self/ns/ipc")
	if err != nil {
		t.Fatal(err)
	}
	out, err := child(t, "world").CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	if !strings.Contains(string(out), "ipc ipc:[") || strings.Contains(string(out), mine) {
		t.Errorf("child shares namespace %s:\n%s", mine, out)
	}
}

// TestTmpfsInUse checks that a file left open in a test's tmpfs fails that test.
func TestTmpfsInUse(t *testing.T) {
	isolate.Require(t)
	out, err := child(t, "busy").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "still open or mapped") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestUnisolated checks that a run without isolation says so and still runs.
func TestUnisolated(t *testing.T) {
	cmd := child(t, "fd")
	cmd.Env = append(cmd.Env, "SHOAL_ISOLATE=off")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "running unisolated; tests that need a tmpfs of their own will be skipped\n") ||
		!strings.Contains(string(out), "(/dev/null)") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestUnprivileged checks the way through a user namespace. Only root can try it as somebody else.
func TestUnprivileged(t *testing.T) {
	isolate.Require(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	if ids, err := os.ReadFile("/proc/self/uid_map"); err != nil || !strings.Contains(string(ids), "4294967295") {
		t.Log("runs in a user namespace already: this whole run is the test")
		return
	}
	// Another user may not reach the directory in which go test has built this binary.
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/dev/shm", "unprivileged")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := child(t, "clean")
	cmd.Path = filepath.Join(dir, "test")
	cmd.Dir = dir
	if err := os.WriteFile(cmd.Path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if strings.Contains(string(out), "running unisolated") {
		t.Skipf("unprivileged users may not make namespaces here: %s", out)
	}
	if err != nil {
		t.Errorf("%v:\n%s", err, out)
	}
}

// TestKilledWithItsParent checks that killing the process that go test knows ends the isolated one too.
func TestKilledWithItsParent(t *testing.T) {
	isolate.Require(t)
	cmd := child(t, "hang")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := 0
	for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
		if text, ok := strings.CutPrefix(lines.Text(), "pid "); ok {
			pid, _ = strconv.Atoi(text)
		}
	}
	if pid == 0 || pid == cmd.Process.Pid {
		t.Fatalf("tests run in process %d, child of %d", pid, cmd.Process.Pid)
	}
	// A pidfd polls readable when its process has ended, whoever its parent is by then.
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	cmd.Process.Kill()
	cmd.Wait()
	poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for deadline := time.Now().Add(10 * time.Second); ; {
		n, err := unix.Poll(poll, 1000)
		if n == 1 {
			break
		}
		if (err != nil && err != unix.EINTR) || time.Now().After(deadline) {
			t.Fatalf("isolated process %d outlived its parent: poll %d, %v", pid, n, err)
		}
	}
}

// TestInterrupt checks that a signal to the outer process reaches the tests.
func TestInterrupt(t *testing.T) {
	cmd := child(t, "hang")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var trace bytes.Buffer
	cmd.Stderr = &trace
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(out); lines.Scan() && !strings.HasPrefix(lines.Text(), "pid "); {
	}
	cmd.Process.Signal(unix.SIGQUIT) // what go test sends when a test has hung
	io.Copy(io.Discard, out)
	if err := cmd.Wait(); err == nil || !strings.Contains(trace.String(), "SIGQUIT") || !strings.Contains(trace.String(), "TestChild(") {
		t.Errorf("%v: no stack trace of the tests:\n%s", err, trace.String())
	}
}

// TestCoverage checks that coverage is written by the process that ran the tests, and by it alone.
func TestCoverage(t *testing.T) {
	if testing.CoverMode() == "" {
		// Build a covered binary of this very package, unless that is what this is.
		bin := filepath.Join(t.TempDir(), "cover.test")
		if out, err := exec.Command("go", "test", "-c", "-cover", "-o", bin, ".").CombinedOutput(); err != nil {
			t.Fatalf("%v:\n%s", err, out)
		}
		profile := filepath.Join(t.TempDir(), "profile")
		cmd := child(t, "clean", "-test.coverprofile="+profile)
		cmd.Path = bin
		out, err := cmd.CombinedOutput()
		if err != nil || strings.Contains(string(out), "GOCOVERDIR") || !strings.Contains(string(out), "coverage: ") {
			t.Errorf("%v:\n%s", err, out)
		}
		if data, err := os.ReadFile(profile); err != nil || !bytes.Contains(data, []byte("leaks_linux.go")) {
			t.Errorf("%v: no profile:\n%s", err, data)
		}
	}
}
