//go:build linux && (amd64 || arm64)

package park

import (
	"bufio"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/mem"
)

// role is the environment variable that makes a test binary another process of a
// test.
const role = "SHOAL_PARK_ROLE"

// roles are what such processes do. Descriptor 3 is the shared memory.
var roles = map[string]func(shared []mem.Uint32){}

func TestMain(m *testing.M) {
	if f := roles[os.Getenv(role)]; f != nil {
		f(mapShared(3))
		os.Exit(0)
	}
	isolate.Main(m)
}

const sharedSize = 1 << 16

func mapShared(fd int) []mem.Uint32 {
	b, err := unix.Mmap(fd, 0, sharedSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	words, err := mem.Array[mem.Uint32](b, 0, sharedSize/4)
	if err != nil {
		panic(err)
	}
	return words
}

// memory makes memory for processes to share.
func memory(t testing.TB) (*os.File, []mem.Uint32) {
	t.Helper()
	fd, err := unix.MemfdCreate("park", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "park")
	if err := f.Truncate(sharedSize); err != nil {
		t.Fatal(err)
	}
	words := mapShared(fd)
	t.Cleanup(func() {
		if err := unix.MunmapPtr(words[0].Pointer(), sharedSize); err != nil {
			t.Error(err)
		}
		f.Close()
	})
	return f, words
}

// process starts another process of the test, in a role. env are more variables.
func process(t testing.TB, name string, shared *os.File, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^$")
	cmd.Env = append(append(os.Environ(), role+"="+name), env...)
	cmd.ExtraFiles = []*os.File{shared}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return cmd, bufio.NewScanner(out)
}

// backends runs a test on each backend that this kernel has. Nothing must be
// watched before and after.
func backends(t *testing.T, test func(t *testing.T)) {
	before := chosen()
	for _, k := range []kind{kindUring, kindWaitv, kindFutex} {
		t.Run(string(k), func(t *testing.T) {
			if k == kindUring && probeUring() != nil || k == kindWaitv && !haveWaitv() {
				t.Skip("this kernel has none")
			}
			use(t, k)
			test(t)
		})
	}
	use(t, before)
}

// use changes the backend.
func use(t *testing.T, k kind) {
	t.Helper()
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if n := len(shared.armed); n != 0 {
		t.Fatalf("%d words are watched still", n)
	}
	chosen()
	choice.kind, choice.why = k, "asked for by a test"
	shared.backend = k.make()
}

// noDirect makes all sleep with the shared waiter until the test ends.
func noDirect(t testing.TB) {
	t.Helper()
	for range directSleepers {
		s := acquire()
		if s == nil {
			t.Fatal("somebody sleeps directly")
		}
		t.Cleanup(s.release)
	}
}

// sleepsOn waits until n watches or direct sleepers are armed.
func sleepsOn(t testing.TB, l *list, n int) {
	t.Helper()
	eventually(t, strconv.Itoa(n)+" sleepers", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.armed) == n
	})
}

func eventually(t testing.TB, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !true(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in 20 s: ", what)
		}
	}
}

// within fails the test, with all stacks, if f takes longer than d.
func within(t testing.TB, d time.Duration, f func()) {
	t.Helper()
	timer := time.AfterFunc(d, func() { panic("stuck: " + t.Name()) })
	defer timer.Stop()
	f()
}

// The kernel's answer decides, and the variable.
func TestBackend(t *testing.T) {
	f, _ := memory(t)
	for value, want := range map[string]kind{"uring": kindUring, "waitv": kindWaitv, "futex": kindFutex, "": "", "bogus": ""} {
		_, out := process(t, "backend", f, variable+"="+value)
		var got [2]string
		if !out.Scan() {
			t.Fatal("no answer")
		}
		if err := json.Unmarshal(out.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if probeUring() != nil && (want == kindUring || want == "") {
			t.Logf("no io_uring here: %v", got)
			continue
		}
		if want == "" {
			want = kindUring
		}
		if kind(got[0]) != want {
			t.Errorf("%s=%s: %v; want %s", variable, value, got, want)
		}
		if explained := got[1] != ""; explained != (value != "") {
			t.Errorf("%s=%s: %s, because %q", variable, value, got[0], got[1])
		}
		if value == "bogus" && !strings.Contains(got[1], "bogus") {
			t.Errorf("%s=bogus: nobody complains: %q", variable, got[1])
		}
	}
}

func init() {
	roles["backend"] = func([]mem.Uint32) {
		name, why := Backend()
		json.NewEncoder(os.Stdout).Encode([2]string{name, why})
	}
}

var background = context.Background()
