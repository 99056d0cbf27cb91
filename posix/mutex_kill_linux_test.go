//go:build linux && (amd64 || arm64)

package posix_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/posix"
)

// TestMutexKilledAtEveryStore kills a Go process at every store to shared memory
// that its operations make, with a C thread waiting where there can be one. C
// always gets the mutex, or learns that it is not recoverable where that is the
// operation's purpose.
func TestMutexKilledAtEveryStore(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary")
	}
	victim := filepath.Join(t.TempDir(), "victim")
	if out, err := exec.Command("go", "test", "-c", "-tags", "shoalcrash", "-o", victim, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	program := buildPeer(t)
	room := newRoom(t)
	for _, op := range []struct {
		name   string
		dead   bool   // the last owner has died
		waiter bool   // C sleeps meanwhile
		free   string // what C may get beside EOWNERDEAD when the victim has died
	}{
		{"lock", false, false, "0"},
		{"lock dead", true, false, ""},
		{"wait", false, false, "0"},
		{"unlock", false, true, "0"},
		{"unlock inconsistent", true, true, strconv.Itoa(int(syscall.ENOTRECOVERABLE))},
		{"consistent", true, true, ""},
	} {
		store := 1
		for ; ; store++ {
			where := fmt.Sprintf("%s, store %d", op.name, store)
			m, err := posix.MutexInit(room, 0, posix.MutexNormal)
			must(t, err)
			must(t, m.Close())
			c := startC(t, program)
			if op.dead {
				before := startC(t, program)
				before.want(0, "lock")
				before.kill()
			}
			if op.name == "wait" {
				c.want(0, "lock")
			}
			cmd := exec.Command(victim)
			cmd.Env = append(os.Environ(), roleVariable+"=mutex crash", "SHOAL_POSIX_OPERATION="+op.name, "SHOAL_POSIX_STORE="+strconv.Itoa(store))
			v := start(t, cmd)
			if got := v.answer(); got != "ready" {
				t.Fatalf("%s: %s", where, got)
			}
			if op.waiter {
				c.send("lock")
				eventually(t, where+": C sleeps", func() bool { return word(room, 0)&waitersBit != 0 })
			}
			v.send("go")
			if op.name == "wait" {
				eventually(t, where+": the victim waits", func() bool { return word(room, 0)&waitersBit != 0 })
				c.want(0, "unlock")
			}
			end := v.answer()
			v.kill()
			if !op.waiter {
				c.send("timedlock 10000")
			}
			got, died := c.answer(), strconv.Itoa(int(syscall.EOWNERDEAD))
			if end != "dead" {
				// Nothing was left to be killed at; it exited holding what it had.
				if !strings.HasPrefix(end, "stores ") || end == "stores 0" {
					t.Fatalf("%s: the victim says %s", where, end)
				}
				break
			}
			switch {
			case got == died:
				c.want(0, "consistent")
				c.want(0, "unlock")
				c.want(0, "lock")
			case got != op.free:
				t.Fatalf("%s: C: lock: %s; %s", where, got, hex(room[:posix.MutexSize]))
			}
			c.kill()
		}
		t.Logf("%s: killed at %d stores", op.name, store-1)
		if store < 2 {
			t.Errorf("%s: never killed", op.name)
		}
	}
}
