//go:build linux && (amd64 || arm64)

package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// pausing is a standard output that holds the demo.
type pausing struct {
	at, line int
	signals  chan os.Signal
}

func (p *pausing) Write(b []byte) (int, error) {
	n, err := os.Stdout.Write(b)
	for range bytes.Count(b, []byte("\n")) {
		if p.line++; p.line == p.at {
			<-p.signals
		}
	}
	return n, err
}

// tellAndPause, role tell, is what "shoal demo" does, except for the pause: it is held while it writes the line of a number, its
// argument, until it gets a signal. 0 does not hold it.
func tellAndPause(args []string) {
	at, err := strconv.Atoi(args[0])
	if err != nil {
		panic(err)
	}
	p := &pausing{at: at, signals: make(chan os.Signal, 1)}
	signal.Notify(p.signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if err := Run(context.Background(), Options{Stdout: p, Stderr: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A told is a demo in a process of its own, held at a line.
type told struct {
	*rerun.Process
	stderr bytes.Buffer
}

// tellUntil starts a demo and returns when it is held in writing line at.
func tellUntil(t *testing.T, at int) *told {
	t.Helper()
	d := &told{}
	cmd := rerun.Command("tell", strconv.Itoa(at))
	cmd.Stderr = &d.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	d.Process = rerun.StartCommand(t, cmd)
	for i := range at {
		if _, ok := <-d.Lines(); !ok {
			d.Wait()
			t.Fatalf("the demo ended in line %d: %s", i+1, d.stderr.String())
		}
	}
	return d
}

// end sends a signal to the demo's process group and waits for the demo's end.
func (d *told) end(t *testing.T, s syscall.Signal) (exitCode int) {
	t.Helper()
	must(t, syscall.Kill(-d.PID(), s))
	return d.Wait().ExitCode()
}

// others are the processes of this test's IPC namespace, except this one.
func others(t *testing.T) (found []string) {
	t.Helper()
	own, err := os.Readlink("/proc/self/ns/ipc")
	must(t, err)
	links, err := filepath.Glob("/proc/[0-9]*/ns/ipc")
	must(t, err)
	for _, link := range links {
		dir := filepath.Dir(filepath.Dir(link))
		if ns, err := os.Readlink(link); err != nil || ns != own || filepath.Base(dir) == strconv.Itoa(os.Getpid()) {
			continue
		}
		command, err := os.ReadFile(dir + "/cmdline")
		if err == nil && len(command) > 0 { // a zombie has none
			found = append(found, filepath.Base(dir)+" "+string(bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// objects are all shared objects of this test's namespaces.
func objects(t *testing.T) (found []string) {
	t.Helper()
	segments, err := shm.List()
	must(t, err)
	for _, o := range segments {
		found = append(found, o.Address.String())
	}
	sets, err := sysv.SemList()
	must(t, err)
	for _, s := range sets {
		found = append(found, fmt.Sprintf("semaphores %d", s.ID))
	}
	return found
}

// patience is for what should take milliseconds, on a busy machine, too: reaching it is a failure.
const patience = time.Minute

// eventually waits until nothing is left.
func eventually(t *testing.T, what string, left func(*testing.T) []string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		found := left(t)
		if len(found) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s left: %s", what, strings.Join(found, ", "))
		}
	}
}

// nothingLeft fails the test unless processes and objects are gone by now.
func nothingLeft(t *testing.T) {
	t.Helper()
	if found := others(t); len(found) > 0 {
		t.Errorf("processes left: %s", strings.Join(found, ", "))
	}
	if found := objects(t); len(found) > 0 {
		t.Errorf("objects left: %s", strings.Join(found, ", "))
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// adopt makes the orphans of killed demos children of this test, reaped at its end.
func adopt(t *testing.T) {
	t.Helper()
	must(t, unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// processorTime returns what this process, and those that it has waited for, have used of the processors.
func processorTime(t *testing.T) (total time.Duration) {
	t.Helper()
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var use unix.Rusage
		must(t, unix.Getrusage(who, &use))
		total += time.Duration(use.Utime.Nano() + use.Stime.Nano())
	}
	return total
}
