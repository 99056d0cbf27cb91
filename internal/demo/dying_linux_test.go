//go:build linux && (amd64 || arm64)

package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// dyingVariable makes the processes of a demo that this test binary runs die: "chapter role place victim".
const dyingVariable = "SHOAL_DEMO_TEST_DYING"

// A maker is a role that makes an object.
type maker struct {
	chapter int
	role    string
	speaker string // what the story calls it
	addr    func(pid int) string
}

var makers = []maker{
	{1, "sysv-writer", "writer", func(int) string { return sysvAddress }},
	{2, "posix-writer", "writer", func(int) string { return posixName }},
	{3, "sender", "sender", func(pid int) string { return objectPrefix + strconv.Itoa(pid) }},
	{4, "victim", "victim", func(pid int) string { return objectPrefix + strconv.Itoa(pid) }},
}

// prepareDying reads dyingVariable, in a demo and in its processes.
func prepareDying() {
	var chapter int
	var role, victim string
	var where place
	if _, err := fmt.Sscan(os.Getenv(dyingVariable), &chapter, &role, &where, &victim); err != nil {
		panic(err)
	}
	chapters = chapters[chapter-1 : chapter]
	if os.Getenv(roleVariable) != role {
		return
	}
	reached = func(p place) {
		if p == where {
			die(role, p, victim)
		}
	}
}

// die has the victim die while this process is at a place, and stays there if it is not the victim itself.
func die(role string, p place, victim string) {
	i := slices.IndexFunc(makers, func(m maker) bool { return m.role == role })
	_, err := shm.Stat(makers[i].addr(os.Getpid()))
	if is := err == nil; is != (p == made) {
		panic(fmt.Sprintf("at %q: does the object exist? %v (%v)", p, is, err))
	}
	switch victim {
	case "itself":
		killNow(os.Getpid())
	case "demo": // which takes this process with it
		killNow(os.Getppid())
	case "warden": // then the demo ends this process
		killNow(wardenOf(os.Getppid()))
	case "warden,itself":
		killNow(wardenOf(os.Getppid()))
		killNow(os.Getpid())
	case "warden,later": // this process goes on
		killNow(wardenOf(os.Getppid()))
		return
	default:
		panic(victim)
	}
	panic(stop())
}

// killNow kills a process and waits until it has ended: until it has let go of its pipes, too.
func killNow(pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
	for err == nil {
		_, err = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err == nil {
			return
		}
		if err == unix.EINTR {
			err = nil
		}
	}
	panic(fmt.Sprintf("kill %d: %v", pid, err))
}

// wardenOf finds the warden of a demo.
func wardenOf(demo int) int {
	commands, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		panic(err)
	}
	for _, path := range commands {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if command, _ := os.ReadFile(path); bytes.HasPrefix(command, []byte("shoal-demo-warden\x00")) && parentOf(pid) == demo {
			return pid
		}
	}
	panic("no warden")
}

// parentOf returns the parent of a process, or 0.
func parentOf(pid int) int {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if m := regexp.MustCompile(`(?m)^PPid:\s+(\d+)$`).FindSubmatch(status); m != nil {
		parent, _ := strconv.Atoi(string(m[1]))
		return parent
	}
	return 0
}

// TestDying kills the maker of each object, the demo and the warden exactly at the places between which the object, and the
// knowledge of it, come into being. Nothing may be left.
func TestDying(t *testing.T) {
	adopt(t)
	for _, m := range makers {
		for _, where := range []place{unannounced, announced, made} {
			for _, victim := range []string{"itself", "demo", "warden", "warden,itself", "warden,later"} {
				t.Run(fmt.Sprintf("%s/%s/%s", m.role, where, victim), func(t *testing.T) {
					cmd := rerun.Command("tell", "0")
					cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d %s %s %s", dyingVariable, m.chapter, m.role, where, victim))
					cmd.Stderr = nil // it goes with the rest
					out, err := cmd.CombinedOutput()
					if victim == "demo" {
						if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
							t.Errorf("%v: %s", err, out)
						}
						eventually(t, "processes", others)
						nothingLeft(t)
						return
					}
					who := m.speaker
					if strings.HasPrefix(victim, "warden") {
						who = "warden"
					}
					if victim == "warden,itself" { // whoever is seen first
						who = "(warden|" + m.speaker + ")"
					}
					want := regexp.MustCompile(`(chapter \d+|demo): ` + who + ` \(process \d+\) ended early: signal: killed`)
					if cmd.ProcessState.ExitCode() != 1 || !want.Match(out) {
						t.Errorf("%v: %s\nwant %v", err, out, want)
					}
					nothingLeft(t)
				})
			}
		}
	}
}

// TestHeld checks that the pid by which a System V segment is recognised is held: by the warden, dead or alive.
func TestHeld(t *testing.T) {
	checked := false
	out := writerFunc(func(b []byte) {
		if m := regexp.MustCompile(`  writer +(\d+)  shmget`).FindSubmatch(b); m != nil {
			checked = true
			writer, err := strconv.Atoi(string(m[1]))
			must(t, err)
			warden := wardenOf(os.Getpid())
			if group, err := unix.Getpgid(warden); group != writer || err != nil {
				t.Errorf("the warden is in group %d, %v; want the writer's, %d", group, err, writer)
			}
		}
	})
	must(t, Run(t.Context(), Options{Stdout: out, Stderr: os.Stderr}))
	if !checked {
		t.Error("the writer has not spoken")
	}
}

// TestProperty checks that what has come to the name of an object of the demo is left alone, and the object removed.
func TestProperty(t *testing.T) {
	t.Run("posix", func(t *testing.T) {
		const name = "/shoal-demo-test"
		var own property
		build := func() *shm.Segment {
			seg, err := shm.Build(name, 4096, nil, func(b []byte) (err error) {
				if own.Posix == nil {
					own, err = mapped(name, b)
				}
				return err
			})
			must(t, err)
			t.Cleanup(func() { seg.Close() })
			return seg
		}
		build()
		must(t, own.remove())
		if found := objects(t); len(found) > 0 {
			t.Errorf("left: %v", found)
		}
		must(t, own.remove())
		stranger := build()
		must(t, own.remove())
		must(t, stranger.Remove()) // fails if it is gone
		if _, err := mapped(name, make([]byte, 4096)); err == nil {
			t.Error("memory of this process alone is said to be an object")
		}
	})
	t.Run("sysv", func(t *testing.T) {
		id, err := sysv.ShmGet(sysvKey, 1024, sysv.Create|sysv.Exclusive|0o600)
		must(t, err)
		for _, other := range []sysvSegment{{Key: sysvKey, Maker: os.Getppid()}, {Key: sysvKey + 1, Maker: os.Getpid()}} {
			must(t, property{SysV: &other}.remove())
		}
		if found := objects(t); !slices.Equal(found, []string{sysvAddress}) {
			t.Fatalf("a stranger's segment is gone: %v", found)
		}
		own := property{SysV: &sysvSegment{Key: sysvKey, Maker: os.Getpid()}}
		must(t, own.remove())
		if _, err := id.Stat(); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("the segment is not gone: %v", err)
		}
		must(t, own.remove())
		must(t, property{SysV: &sysvSegment{Key: sysvKey, Maker: os.Getpid(), ID: &id}}.remove())
	})
}

// TestRefused checks that a pid which cannot be held is not promised to be.
func TestRefused(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"=understudy")
	must(t, cmd.Start()) // not the leader of a group
	err := hold(cmd.Process.Pid)
	cmd.Wait()
	if !errors.Is(err, syscall.EPERM) {
		t.Errorf("error %v", err)
	}

	// A warden that is asked says so, and goes on.
	var near, far [3]*os.File // events, will, answers
	for i := range near {
		near[i], far[i], err = os.Pipe()
		must(t, err)
		defer near[i].Close()
	}
	near[1], far[1] = far[1], near[1]
	defer near[1].Close()
	warden := exec.Command("/proc/self/exe")
	warden.Env = append(os.Environ(), roleVariable+"=warden")
	warden.ExtraFiles = far[:]
	must(t, warden.Start())
	for _, f := range far {
		f.Close()
	}
	must(t, put(near[1], property{SysV: &sysvSegment{Key: sysvKey, Maker: cmd.Process.Pid}}))
	var refusal string
	must(t, json.NewDecoder(near[2]).Decode(&refusal))
	if want := fmt.Sprintf("join process group %d: operation not permitted", cmd.Process.Pid); refusal != want {
		t.Errorf("the warden answers %q, want %q", refusal, want)
	}
	near[1].Close()
	must(t, warden.Wait())
}
