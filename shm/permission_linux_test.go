//go:build linux && (amd64 || arm64)

package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
)

func init() {
	// reach ADDR…: what another user may do with each.
	roles["reach"] = func(args []string) {
		for _, addr := range args {
			open := func(opts *shm.Options) string {
				seg, err := shm.Open(addr, opts)
				if err == nil {
					err = seg.Close()
				}
				return verdict(err)
			}
			_, statErr := shm.Stat(addr)
			_, createErr := shm.Create(addr, 4096, nil)
			fmt.Printf("open %s, read-only %s, stat %s, create %s, remove unused %s, remove %s\n",
				open(nil), open(&shm.Options{ReadOnly: true}), verdict(statErr), verdict(createErr),
				verdict(shm.RemoveUnused(addr)), verdict(shm.Remove(addr)))
		}
	}
	roles["open"] = func(args []string) {
		_, err := shm.Open(args[0], nil)
		rerun.Say(err)
	}
}

// stickyDir is a directory like /dev/shm, into which other users may look.
func stickyDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "shoal")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o777|fs.ModeSticky))
	return dir
}

func TestOtherUsers(t *testing.T) {
	dir := stickyDir(t)
	for kind, addr := range map[string]string{"posix": "/shoal-test-", "sysv": "sysv:0x5a0b", "file": "file:" + dir + "/segment-"} {
		t.Run(kind, func(t *testing.T) {
			closed, readable := addr+"1", addr+"2"
			copy(create(t, closed, 4096, nil).Bytes(), "secret")
			copy(create(t, readable, 4096, &shm.Options{Mode: 0o444}).Bytes(), "public")
			got := outputAsNobody(t, "reach", closed, readable)
			want := []string{
				"open permission, read-only permission, stat ok, create exists, remove unused permission, remove permission",
				"open permission, read-only ok, stat ok, create exists, remove unused permission, remove permission",
			}
			if kind == "sysv" { // the count of attachments is for everybody to see
				for i := range want {
					want[i] = strings.Replace(want[i], "remove unused permission", "remove unused in use", 1)
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("another user got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			for addr, text := range map[string]string{closed: "secret", readable: "public"} {
				seg, err := shm.Open(addr, nil)
				must(t, err)
				if string(seg.Bytes()[:6]) != text {
					t.Errorf("%s holds %q afterwards", addr, seg.Bytes()[:6])
				}
				seg.Close()
			}
			// Who may, and who asked: a person wants to know.
			said := outputAsNobody(t, "open", closed)[0]
			if !strings.Contains(said, "its mode is 0600, its owner uid 0, gid 0; this process is uid 65534, gid 65534") {
				t.Errorf("the error does not tell: %s", said)
			}
		})
	}
}

func init() {
	// create ADDR GROUP: as somebody who is not in the group.
	roles["create"] = func(args []string) {
		seg, err := shm.Create(args[0], 4096, &shm.Options{Group: args[1]})
		rerun.Say(verdict(err))
		if err == nil {
			seg.Remove()
			seg.Close()
		}
	}
}

func TestGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give objects to any group")
	}
	dir := stickyDir(t)
	for kind, addr := range map[string]string{
		"posix": "/shoal-group", "sysv": "sysv:0x5a0a3", "file": "file:" + dir + "/group", "memfd": "memfd:group",
	} {
		t.Run(kind, func(t *testing.T) {
			for group, gid := range map[string]uint32{"65534": nobody, "daemon": 1, "0": 0} {
				seg, err := shm.Create(addr, 4096, &shm.Options{Group: group, Mode: 0o660})
				if errors.Is(err, unix.EINVAL) {
					t.Skipf("this user namespace has one group only: %v", err)
				}
				must(t, err)
				if info, err := seg.Stat(); err != nil || info.GID != gid || info.Mode != 0o660 || info.UID != 0 {
					t.Errorf("group %s: %+v, %v", group, info, err)
				}
				if kind != "memfd" {
					must(t, seg.Remove())
				}
				must(t, seg.Close())
			}
			if _, err := shm.Create(addr, 4096, &shm.Options{Group: "no-such-group"}); err == nil || !strings.Contains(err.Error(), "no-such-group") {
				t.Errorf("unknown group: %v", err)
			}
			if _, err := shm.Create(addr, 4096, &shm.Options{Group: "4294967295"}); err == nil {
				t.Error("group -1, which means none to chown(2), was accepted")
			}
			want := "permission"
			if kind == "sysv" { // IPC_SET lets the owner give it to anybody
				want = "ok"
			}
			if got := outputAsNobody(t, "create", addr, "0")[0]; got != want {
				t.Errorf("somebody else's group: %s, want %s", got, want)
			}
			if kind != "memfd" {
				if _, err := shm.Stat(addr); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("left behind: %v", err)
				}
			}
		})
	}
}

func init() {
	// lock ADDR: locks memory under a limit of one page.
	roles["lock"] = func(args []string) {
		if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 4096, Max: 4096}); err != nil {
			rerun.Say(err)
			return
		}
		_, err := shm.Create(args[0], 1<<20, &shm.Options{LockMemory: true})
		rerun.Say(err)
		rerun.Say(errors.Is(err, unix.ENOMEM) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EPERM))
		if !strings.HasPrefix(args[0], "memfd:") {
			_, err = shm.Stat(args[0])
			rerun.Say(verdict(err))
		} else {
			rerun.Say("not there")
		}
		seg, err := shm.Create(args[0], 4096, &shm.Options{LockMemory: true})
		rerun.Say(verdict(err))
		if err == nil {
			rerun.Say(locked())
			seg.Remove()
			seg.Close()
		}
	}
}

// locked is how much memory this process has locked.
func locked() string {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmLck:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "?"
}

func TestLockMemoryWithinItsLimit(t *testing.T) {
	dir := stickyDir(t)
	for kind, addr := range map[string]string{
		"posix": "/shoal-lock", "sysv": "sysv:0x5a0a4", "file": "file:" + dir + "/lock", "memfd": "memfd:lock",
	} {
		t.Run(kind, func(t *testing.T) {
			got := outputAsNobody(t, "lock", addr)
			if len(got) != 5 || !strings.Contains(got[0], "mlock of 1 MiB: ") || !strings.Contains(got[0], "RLIMIT_MEMLOCK is 4 KiB: raise it") ||
				!slices.Equal(got[1:], []string{"true", "not there", "ok", "4 kB"}) {
				t.Errorf("said %q", got)
			}
		})
	}
}
