// Package examples runs the example programs: against each other, and with every flag.
package examples

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

func TestMain(m *testing.M) { isolate.Main(m) }

// programs builds all examples and returns the directory where they are.
func programs(t *testing.T) string {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("shared memory needs Linux; here the examples are only compiled")
	}
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir+"/", "./...").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return dir
}

// run runs a program and checks what it says on standard output. A program that is to fail must end with 1 and say
// fails on standard error.
func run(t *testing.T, dir, command, says, fails string) {
	t.Helper()
	args := strings.Fields(command)
	cmd := exec.Command(filepath.Join(dir, args[0]), args[1:]...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Run()
	code := 0
	if fails != "" {
		code = 1
	}
	if stdout.String() != says || cmd.ProcessState.ExitCode() != code || !strings.Contains(stderr.String(), fails) || fails == "" && stderr.Len() > 0 {
		t.Errorf("%s: exit code %d, %q on standard output, %q on standard error; want %d, %q, %q",
			command, cmd.ProcessState.ExitCode(), &stdout, &stderr, code, says, fails)
	}
}

// wantMode checks an object's size and mode.
func wantMode(t *testing.T, addr string, mode fs.FileMode) {
	t.Helper()
	info, err := shm.Stat(addr)
	if err != nil || info.Size != 1024 || info.Mode != mode {
		t.Errorf("%s has %d bytes and mode %04o, %v; want 1024 and %04o", addr, info.Size, info.Mode, err, mode)
	}
}

func TestSysV(t *testing.T) {
	dir := programs(t)
	const wrote, read = "Data written to shared memory: Hello, Shared Memory!\n", "Data read from shared memory: Hello, Shared Memory!\n"
	run(t, dir, "sysv-reader", "", "shmget key 0x1234: no such file")
	run(t, dir, "sysv-writer", wrote, "")
	wantMode(t, "sysv:0x1234", 0o666)
	run(t, dir, "sysv-reader", read, "")
	run(t, dir, "sysv-writer", wrote, "")
	run(t, dir, "sysv-writer -exclusive", "", "shmget key 0x1234: file exists")
	run(t, dir, "sysv-reader -remove", read, "")
	run(t, dir, "sysv-reader", "", "shmget key 0x1234: no such file")
	run(t, dir, "sysv-writer -mode 600", "", "mode 01130 has more than permission bits")
	run(t, dir, "sysv-writer -exclusive -mode 0600", wrote, "")
	wantMode(t, "sysv:0x1234", 0o600)
	run(t, dir, "sysv-reader -remove", read, "")

	id, err := sysv.ShmGet(0x1234, 10, sysv.Create|0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer id.Remove()
	run(t, dir, "sysv-reader", "", "1024 bytes asked, the segment with this key (id ")
}

func TestPosix(t *testing.T) {
	dir := programs(t)
	const wrote, read = "Message written to shared memory: Hello, Shared Memory!\n", "Message read from shared memory: Hello, Shared Memory!\n"
	run(t, dir, "posix-reader", "", "shm_open /my_shm: no such file")
	run(t, dir, "posix-writer", wrote, "")
	run(t, dir, "posix-reader", "", "shm_open /my_shm: no such file")

	release := hold(t, dir, wrote, "-hold")
	wantMode(t, "/my_shm", 0o644) // 0666 less the umask
	run(t, dir, "posix-reader", read, "")
	run(t, dir, "posix-writer -exclusive", "", "shm_open /my_shm: file exists")
	release("")
	run(t, dir, "posix-reader", "", "shm_open /my_shm: no such file")

	release = hold(t, dir, wrote, "-hold", "-exclusive", "-mode", "0600")
	wantMode(t, "/my_shm", 0o600)
	run(t, dir, "posix-reader -unlink", read, "")
	run(t, dir, "posix-reader", "", "shm_open /my_shm: no such file")
	release("shm_unlink /my_shm: no such file")

	// Between shm_open and ftruncate of somebody else.
	f, err := posix.ShmOpen("/my_shm", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer posix.ShmUnlink("/my_shm")
	defer f.Close()
	run(t, dir, "posix-reader", "", "mmap")
}

// hold starts posix-writer and returns, when it has written, the function that lets it end: with what it then says on
// standard error.
func hold(t *testing.T, dir, wrote string, flags ...string) (release func(fails string)) {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, "posix-writer"), flags...)
	// The umask as the test expects it, whatever the caller's.
	cmd = exec.Command("sh", append([]string{"-c", `umask 022; exec "$@"`, "sh"}, cmd.Args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	got := make([]byte, len(wrote))
	if _, err := io.ReadFull(stdout, got); err != nil || string(got) != wrote {
		t.Fatalf("posix-writer %v says %q (%v, %s), want %q", flags, got, err, &stderr, wrote)
	}
	return func(fails string) {
		t.Helper()
		io.WriteString(stdin, "\n")
		err := cmd.Wait()
		if failed := err != nil; failed != (fails != "") || !strings.Contains(stderr.String(), fails) {
			t.Errorf("posix-writer %v at the end: %v, %q on standard error, want %q", flags, err, &stderr, fails)
		}
	}
}

// TestShort keeps the examples what they are.
func TestShort(t *testing.T) {
	files, err := filepath.Glob("*/main.go")
	if err != nil || len(files) < 4 {
		t.Fatalf("examples: %v, %v", files, err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte("\n")); n >= 40 {
			t.Errorf("%s has %d lines, promised are fewer than 40", f, n)
		}
	}
}
