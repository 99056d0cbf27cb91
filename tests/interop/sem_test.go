//go:build linux && (amd64 || arm64)

package interop

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/sysv"
)

// The semaphores of testdata/sem.c.
const (
	lock    = 0
	counter = 1
)

// patience is for what should take microseconds: reaching it is a failure.
const patience = 20 * time.Second

// cSemaphores has C make a set, and opens it.
func cSemaphores(t *testing.T) (program string, id sysv.SemID) {
	t.Helper()
	program = compile(t, "sem")
	output(t, program, "0x5e3", "create")
	id, err := sysv.SemGet(0x5e3, 2, 0o600)
	must(t, err)
	t.Cleanup(func() { id.Remove() })
	return program, id
}

// TestSemaphoreStat compares what C and Go see of a set.
func TestSemaphoreStat(t *testing.T) {
	program, id := cSemaphores(t)
	must(t, id.SetValue(counter, 7))
	info, err := id.Stat()
	must(t, err)
	if info.Key != 0x5e3 || info.Mode != 0o640 || info.Count != 2 || info.OTime.IsZero() {
		t.Errorf("Stat: %+v", info)
	}
	must(t, id.Op(sysv.SemBuf{Num: lock, Op: -1}, sysv.SemBuf{Num: counter, Op: +1}))
	wantOutput(t, line("id %d key 0x5e3 mode 0640 uid %d nsems 2 operated 1 values 0 8 pid %d", id, os.Geteuid(), os.Getpid()),
		program, "0x5e3", "stat")

	made, err := sysv.SemGet(0x5e4, 2, sysv.Create|sysv.Exclusive|0o604)
	must(t, err)
	defer made.Remove()
	wantOutput(t, line("id %d key 0x5e4 mode 0604 uid %d nsems 2 operated 0 values 0 0 pid 0", made, os.Geteuid()),
		program, "0x5e4", "stat")
}

// hold is what the C program does when told so: it locks, and ends without unlocking.
func hold() {
	id, err := sysv.SemGet(0x5e3, 2, 0o600)
	if err == nil {
		err = id.Op(sysv.SemBuf{Num: lock, Op: -1, Flags: sysv.Undo})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("held")
	fmt.Scanln()
	os.Exit(0)
}

// waiters waits until n threads sleep for the lock.
func waiters(t *testing.T, id sysv.SemID, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got, err := id.NCount(lock)
		must(t, err)
		if got == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d threads wait for the lock, want %d", got, n)
		}
	}
}

// TestSemaphoreUndo checks that a lock with SEM_UNDO comes back from a program that ends, or is killed, with it: from C
// to Go, and from Go to C.
func TestSemaphoreUndo(t *testing.T) {
	path, id := cSemaphores(t)
	fromC := func(t *testing.T) *program { return start(t, path, "0x5e3", "hold") }
	fromGo := func(t *testing.T) *program {
		t.Setenv(roleVariable, "hold")
		return start(t, "/proc/self/exe")
	}
	for _, c := range []struct {
		name           string
		holder, waiter func(*testing.T) *program
		kill           bool
	}{
		{"C to Go at exit", fromC, fromGo, false},
		{"C to Go by SIGKILL", fromC, fromGo, true},
		{"Go to C at exit", fromGo, fromC, false},
		{"Go to C by SIGKILL", fromGo, fromC, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			holder := c.holder(t)
			holder.says("held")
			if err := id.Op(sysv.SemBuf{Num: lock, Op: -1, Flags: sysv.NoWait}); !errors.Is(err, syscall.EAGAIN) {
				t.Fatalf("locking what another process holds: %v", err)
			}
			waiter := c.waiter(t)
			waiters(t, id, 1)
			if c.kill {
				holder.kill()
			} else {
				holder.release()
				holder.ends()
			}
			waiter.says("held")
			if pid, err := id.PID(lock); err != nil || pid != waiter.pid() {
				t.Errorf("last operated by process %d, %v; want %d", pid, err, waiter.pid())
			}
			waiter.release()
			waiter.ends()
			if v, err := id.Value(lock); err != nil || v != 1 {
				t.Errorf("the lock's value is %d, %v; want 1", v, err)
			}
		})
	}
}

// TestSemaphoreHandOver has C wait for what Go unlocks.
func TestSemaphoreHandOver(t *testing.T) {
	program, id := cSemaphores(t)
	must(t, id.OpContext(t.Context(), sysv.SemBuf{Num: lock, Op: -1}))
	waiter := start(t, program, "0x5e3", "hold")
	waiters(t, id, 1)
	must(t, id.Op(sysv.SemBuf{Num: lock, Op: +1}))
	waiter.says("held")
	waiter.release()
	waiter.ends()
}

// TestSemaphoreContention has C and Go count under one lock, carelessly: any overlap would lose counts.
func TestSemaphoreContention(t *testing.T) {
	program, id := cSemaphores(t)
	const n = 3000
	c := start(t, program, "0x5e3", "count", fmt.Sprint(n))
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			for range n {
				if err := id.Op(sysv.SemBuf{Num: lock, Op: -1}); err != nil {
					done <- err
					return
				}
				value, err := id.Value(counter)
				if err == nil {
					err = id.SetValue(counter, value+1)
				}
				if err == nil {
					err = id.Op(sysv.SemBuf{Num: lock, Op: +1})
				}
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		must(t, <-done)
	}
	c.ends()
	if v, err := id.Value(counter); err != nil || v != 3*n {
		t.Errorf("counted %d, %v; want %d", v, err, 3*n)
	}
}
