package isolate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shmSize is the size of the tmpfs on /dev/shm of an isolated run.
const shmSize = 256 << 20

// Main runs the tests of m in namespaces of their own, looks for what they left behind, and exits the process: with the
// tests' exit code, or 1 if all passed but something was left. It never returns.
//
// Arguments, standard streams and signals reach the tests as if Main were not there. If the process is killed, so are
// the tests.
func Main(m *testing.M) {
	switch os.Getenv(variable) {
	case "":
		code, err := startIsolated()
		if err != nil {
			runUnisolated(m, fmt.Sprintf("namespaces not permitted (%v)", err))
		}
		// Not os.Exit: its hooks would report coverage of a process that has run no test.
		unix.Exit(code)
	case off:
		runUnisolated(m, "switched off by "+variable)
	case enter:
		report := os.NewFile(reportFD, "report")
		if err := furnish(); err != nil {
			fmt.Fprint(report, err)
			unix.Exit(1)
		}
		report.Close()
		os.Setenv(variable, inside)
		os.Exit(runAndLook(m))
	default:
		os.Exit(m.Run())
	}
}

// runUnisolated says why there is no isolation, runs the tests all the same, and exits.
func runUnisolated(m *testing.M, why string) {
	fmt.Fprintf(os.Stderr, "isolate: %s, running unisolated; tests that need a tmpfs of their own will be skipped\n", why)
	os.Setenv(variable, outside)
	os.Exit(runAndLook(m))
}

// reportFD is the descriptor on which the isolated process says why it could not furnish its namespaces. It closes it
// without a word when all is well.
const reportFD = 3

// startIsolated runs this program again in fresh namespaces and returns its exit code. It returns an error, and no test
// has run, if the system does not permit that.
func startIsolated() (code int, err error) {
	const namespaces = unix.CLONE_NEWIPC | unix.CLONE_NEWNS
	uid, gid := os.Geteuid(), os.Getegid()
	if uid == 0 {
		code, err = start(&syscall.SysProcAttr{Cloneflags: namespaces})
		if err == nil {
			return code, nil
		}
	}
	code, userErr := start(&syscall.SysProcAttr{
		Cloneflags:  namespaces | unix.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: gid, Size: 1}},
	})
	if userErr != nil {
		return 0, errors.Join(err, userErr)
	}
	return code, nil
}

// start runs this program again with attr and waits for it. An error means that the tests have not begun.
func start(attr *syscall.SysProcAttr) (code int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	reason, report, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer reason.Close()

	// The kernel sends the death signal when the parent *thread* ends, so this goroutine keeps its thread.
	runtime.LockOSThread()
	attr.Pdeathsig = unix.SIGKILL
	cmd := &exec.Cmd{
		Path:        self,
		Args:        os.Args,
		Env:         append(os.Environ(), variable+"="+enter),
		Stdin:       os.Stdin,
		Stdout:      os.Stdout,
		Stderr:      os.Stderr,
		ExtraFiles:  []*os.File{report}, // becomes reportFD
		SysProcAttr: attr,
	}
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM)
	defer signal.Stop(signals)
	err = cmd.Start()
	report.Close()
	if err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			cmd.Process.Signal(s)
		}
	}()
	refusal, err := io.ReadAll(reason)
	waitErr := cmd.Wait()
	switch {
	case err != nil:
		return 0, err
	case len(refusal) > 0:
		return 0, errors.New(string(refusal))
	case cmd.ProcessState == nil:
		return 0, waitErr
	}
	if ws := cmd.ProcessState.Sys().(syscall.WaitStatus); ws.Signaled() {
		fmt.Fprintf(os.Stderr, "isolate: the tests were ended by a signal: %v\n", ws.Signal())
		return 128 + int(ws.Signal()), nil
	}
	return cmd.ProcessState.ExitCode(), nil
}

// furnish makes the fresh mount namespace private and mounts in it what tests expect.
func furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := mountTmpfs(shmDir, shmSize); err != nil {
		return err
	}
	// Message queues work without their directory, so its absence is no reason to refuse.
	unix.Mount("mqueue", mqueueDir, "mqueue", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	return nil
}

func mountTmpfs(dir string, size int64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, fmt.Sprintf("size=%d,mode=1777", size)); err != nil {
		return fmt.Errorf("mount a tmpfs on %s: %w", dir, err)
	}
	return nil
}

// Tmpfs mounts an empty tmpfs of size bytes (rounded up to pages by the kernel) over dir, for instance a tiny one over
// /dev/shm, until the test ends. It skips the test where the process is not isolated, and fails it if something there is
// still open or mapped at the end. The mount is seen by the whole process: not for parallel tests.
func Tmpfs(t testing.TB, size int64, dir string) {
	t.Helper()
	Require(t)
	if size <= 0 {
		t.Fatalf("isolate.Tmpfs: size %d; want at least 1 (0 would mean no limit)", size)
	}
	if err := mountTmpfs(dir, size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := retry(func() error { return unix.Unmount(dir, unix.UMOUNT_NOFOLLOW) })
		if err != nil {
			t.Errorf("unmount %s: %v: something in it is still open or mapped", dir, err)
			unix.Unmount(dir, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
		}
	})
}

// retry calls f until it returns nil, for at most the time that things take to go away by themselves: a killed process
// to be gone, a descriptor to be closed by a goroutine that is about to end.
func retry(f func() error) (err error) {
	// A thread of package park that sleeps at a word which has been unmapped looks again after 3 s.
	for deadline := time.Now().Add(8 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if err = f(); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}
