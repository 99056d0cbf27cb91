//go:build linux && (amd64 || arm64)

package shm_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
)

func init() {
	// churn ADDR SIZE: creates and removes for ever.
	roles["churn"] = func(args []string) {
		size, _ := strconv.ParseInt(args[1], 10, 64)
		rerun.Say("ready")
		for {
			seg, err := shm.Create(args[0], size, &shm.Options{Mode: 0o640})
			if err == nil {
				for end := time.Now().Add(rand.N(time.Millisecond)); time.Now().Before(end); {
				}
				err = seg.Remove()
			}
			if err == nil {
				err = seg.Close()
			}
			if err != nil {
				rerun.Say(err)
				return
			}
		}
	}
}

// TestKilledCreatorLeavesAllOrNothing kills a creator, with SIGKILL, at random
// moments of its work. What can be opened then is complete, what cannot is
// nothing at all: neither names nor memory.
func TestKilledCreatorLeavesAllOrNothing(t *testing.T) {
	isolate.Require(t)
	const size = 4 << 20 // so that most of the time goes into reserving it
	free := func() uint64 {
		var st unix.Statfs_t
		must(t, unix.Statfs("/dev/shm", &st))
		return st.Bfree
	}
	empty := free()
	dir := filepath.Join("/dev/shm", "files")
	must(t, os.Mkdir(dir, 0o700))
	defer os.Remove(dir)
	for kind, addr := range map[string]string{"posix": "/shoal-killed", "file": "file:" + dir + "/killed"} {
		complete, rounds := 0, 0
		for start := time.Now(); rounds < 20 || rounds < 200 && time.Since(start) < 2*time.Second ||
			rounds < 500 && (complete == 0 || complete == rounds); rounds++ {
			p := rerun.Start(t, "churn", addr, strconv.Itoa(size))
			p.Expect("ready")
			end := time.Now().Add(rand.N(3 * time.Millisecond))
			for time.Now().Before(end) { // meanwhile nobody sees it incomplete
				seg, err := shm.Open(addr, &shm.Options{ReadOnly: true})
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				must(t, err)
				if seg.Size() != size {
					t.Errorf("%s: opened with %d bytes", kind, seg.Size())
				}
				seg.Close()
			}
			p.Kill()

			seg, err := shm.Open(addr, nil)
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				t.Errorf("%s: %v", kind, err)
			default:
				complete++
				if info, err := seg.Stat(); err != nil || info.Size != size || info.Resident != size || info.Mode != 0o640 {
					t.Errorf("%s: incomplete: %+v, %v", kind, info, err)
				}
				must(t, seg.Close())
				must(t, shm.RemoveUnused(addr)) // its dead maker does not hold it
			}
			if left := append(contents(t, dir), contents(t, "/dev/shm")...); len(left) != 1 || free() != empty {
				t.Fatalf("%s: left behind %v, and %d of %d blocks free", kind, left, free(), empty)
			}
		}
		t.Logf("%s: %d of %d kills left a complete object, the others nothing", kind, complete, rounds)
		if complete == 0 || complete == rounds {
			t.Errorf("%s: all kills came at the same stage", kind)
		}
	}
}

func init() {
	// meet ADDR INDEX: opens or creates, leaves a mark and stays till all have.
	roles["meet"] = func(args []string) {
		index, _ := strconv.Atoi(args[1])
		rerun.Say("ready")
		for round := 0; ; round++ {
			rerun.Hear()
			seg, created, err := shm.OpenOrCreate(fmt.Sprint(args[0], round), 4096, nil)
			if err != nil {
				rerun.Say(err)
				return
			}
			seg.Bytes()[index]++
			rerun.Say(map[bool]string{true: "created", false: "opened"}[created])
			rerun.Hear()
			seg.Close()
			rerun.Say("closed")
		}
	}
}

// TestProcessesMeetInOneObject lets processes open or create at once: one of
// them creates, and all see the same memory.
func TestProcessesMeetInOneObject(t *testing.T) {
	const processes, rounds = 6, 20
	for kind, addr := range map[string]string{
		"posix": "/shoal-meet-", "sysv": "sysv:0x5a0c00", "file": "file:" + t.TempDir() + "/meet-",
	} {
		t.Run(kind, func(t *testing.T) {
			var peers [processes]*rerun.Process
			for i := range peers {
				peers[i] = rerun.Start(t, "meet", addr, strconv.Itoa(i))
				peers[i].Expect("ready")
			}
			for round := range rounds {
				name := fmt.Sprint(addr, round)
				for _, p := range peers {
					p.Say()
				}
				counts := map[string]int{}
				for _, p := range peers {
					counts[p.Expect("")]++
				}
				if counts["created"] != 1 || counts["opened"] != processes-1 {
					t.Errorf("round %d: %v", round, counts)
				}
				seg, err := shm.Open(name, nil)
				must(t, err)
				for i := range processes {
					if seg.Bytes()[i] != 1 {
						t.Errorf("round %d: the mark of process %d is missing", round, i)
					}
				}
				if err := shm.RemoveUnused(name); !errors.Is(err, shm.ErrInUse) {
					t.Errorf("round %d: RemoveUnused: %v", round, err)
				}
				for _, p := range peers {
					p.Say()
					p.Expect("closed")
				}
				must(t, seg.Close())
				must(t, shm.RemoveUnused(name))
			}
			for _, p := range peers {
				ends(t, p)
			}
		})
	}
}
