//go:build linux && (amd64 || arm64)

package shm_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
)

func TestHoldersInOtherProcesses(t *testing.T) {
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			create(t, addr, 5000, nil).Close()
			holders, _, err := shm.Holders(addr)
			if err != nil || len(holders) != 0 {
				t.Errorf("nobody holds it, but: %+v, %v", holders, err)
			}
			a, b := rerun.Start(t, "hold", addr), rerun.Start(t, "hold", addr)
			for _, p := range []*rerun.Process{a, b} {
				p.Expect("ok")
			}
			descriptors := 1
			if kind == "sysv" {
				descriptors = 0
			}
			want := []shm.Holder{{PID: a.PID(), Mapped: 8192, Descriptors: descriptors}, {PID: b.PID(), Mapped: 8192, Descriptors: descriptors}}
			slices.SortFunc(want, func(a, b shm.Holder) int { return a.PID - b.PID })
			holders, _, err = shm.Holders(addr)
			if err != nil || !slices.Equal(holders, want) {
				t.Errorf("%+v, %v; want %+v", holders, err, want)
			}

			// The other way round: what the process has.
			census, err := shm.TakeCensus()
			must(t, err)
			held := census.Objects(a.PID())
			i := slices.IndexFunc(held, func(h shm.Held) bool { return h.Mapped == 8192 && h.Descriptors == descriptors && !h.Removed })
			if i < 0 {
				t.Fatalf("%+v", held)
			}
			if got := held[i].Address.String(); kind != "sysv" && got != addr || kind == "sysv" && !strings.HasPrefix(got, "sysv-id:") {
				t.Errorf("it has %s", got)
			}
			a.Kill()
			ends(t, b)
			if holders, _, err := shm.Holders(addr); err != nil || len(holders) != 0 {
				t.Errorf("after their end: %+v, %v", holders, err)
			}
		})
	}
}

func init() {
	// make ADDR: creates it, and holds it as long as it may.
	roles["make"] = func(args []string) {
		seg, err := shm.Create(args[0], 8192, nil)
		rerun.Say(verdict(err))
		if err != nil {
			return
		}
		rerun.Hear()
		rerun.Say(verdict(seg.Remove()))
		rerun.Hear()
		seg.Close()
	}
}

// TestRemovedObjectsThatAreHeld looks at an object through its maker, for which
// /proc never shows the name, before and after the name is gone.
func TestRemovedObjectsThatAreHeld(t *testing.T) {
	file := "file:" + t.TempDir() + "/segment"
	for _, addr := range []string{"/shoal-removed", file} {
		maker := rerun.Start(t, "make", addr)
		maker.Expect("ok")
		info, err := shm.Stat(addr)
		must(t, err)
		census, err := shm.TakeCensus()
		must(t, err)
		if holders := census.Holders(info); len(holders) != 1 || holders[0] != (shm.Holder{PID: maker.PID(), Mapped: 8192, Descriptors: 1}) {
			t.Errorf("%s: holders %+v", addr, holders)
		}
		// Processes that have nothing to do with this test may hold others.
		removed := func() (mine []shm.Info) {
			for _, info := range census.Removed() {
				if slices.ContainsFunc(census.Holders(info), func(h shm.Holder) bool { return h.PID == maker.PID() }) {
					mine = append(mine, info)
				}
			}
			return mine
		}
		if r := removed(); r != nil {
			t.Errorf("%s is not removed, but: %+v", addr, r)
		}
		held := func() shm.Held {
			for _, h := range census.Objects(maker.PID()) {
				if h.Mapped == 8192 && h.Descriptors == 1 {
					return h
				}
			}
			t.Fatalf("%s: not among %+v", addr, census.Objects(maker.PID()))
			panic("unreachable")
		}
		if h := held(); h.Removed || h.Address.String() != addr {
			t.Errorf("its maker has %+v, want %s", h, addr)
		}

		maker.Say()
		maker.Expect("ok")
		if census, err = shm.TakeCensus(); err != nil {
			t.Fatal(err)
		}
		if h := held(); !h.Removed {
			t.Errorf("after its removal: %+v", h)
		}
		if addr == file {
			ends(t, maker)
			continue
		}
		r := removed()
		if len(r) != 1 || !r[0].Removed || r[0].Size != 8192 || r[0].Resident != 8192 || r[0].Mode != 0o600 || int(r[0].UID) != os.Geteuid() {
			t.Fatalf("removed: %+v", r)
		}
		if holders := census.Holders(r[0]); len(holders) != 1 {
			t.Errorf("held by %+v", holders)
		}
		ends(t, maker)
		if census, err = shm.TakeCensus(); err != nil || len(census.Holders(r[0])) != 0 {
			t.Errorf("after its holder's end: %+v, %v", census.Holders(r[0]), err)
		}
	}
}

func init() {
	roles["census"] = func([]string) {
		census, err := shm.TakeCensus()
		if err != nil {
			rerun.Say(err)
			return
		}
		rerun.Say(census.Partial())
	}
}

func TestCensusSaysWhatItMisses(t *testing.T) {
	census, err := shm.TakeCensus()
	must(t, err)
	// Not even root may look into every process of every machine.
	processes, err := filepath.Glob("/proc/[0-9]*/maps")
	must(t, err)
	hidden := slices.ContainsFunc(processes, func(maps string) bool {
		_, err := os.ReadFile(maps)
		return errors.Is(err, fs.ErrPermission)
	})
	ns, err := os.Readlink("/proc/self/ns/pid")
	must(t, err)
	if why := census.Partial(); (why != "") != (hidden || ns != "pid:[4026531836]") {
		t.Errorf("processes out of reach: %v, PID namespace %s, and the census says %q", hidden, ns, why)
	}
	if why := outputAsNobody(t, "census")[0]; !strings.Contains(why, "(run as root to see all)") {
		t.Errorf("another user's census says %q", why)
	}
}
