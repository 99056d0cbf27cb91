package member_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/internal/sys"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

func init() {
	// place locks the mutex in somebody's segment.
	roles["place"] = func(args []string) {
		seg, err := shm.Open(args[0], nil)
		rerun.Check(err)
		m, err := pshared.Join(seg, 0, 0)
		if err != nil {
			rerun.Say("refused", err)
			return
		}
		mu, err := pshared.JoinMutex(m, pshared.MembersFootprint(0))
		rerun.Check(err)
		rerun.Check(mu.Lock())
		rerun.Say("held")
		rerun.Hear()
		rerun.Check(mu.Unlock())
		m.Leave()
		rerun.Say("left")
	}
	// many locks many mutexes.
	roles["many"] = func(args []string) {
		n, err := strconv.Atoi(args[0])
		rerun.Check(err)
		for i := range n {
			mu, err := pshared.OpenMutex("many-" + strconv.Itoa(i))
			rerun.Check(err)
			rerun.Check(mu.Lock())
		}
		rerun.Say("held")
		rerun.Hear()
	}
	// elsewhere is place, with another /dev/shm.
	roles["elsewhere"] = func(args []string) {
		rerun.Check(unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		rerun.Check(unix.Mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=1m,mode=1777"))
		roles["place"](args)
	}
	// wait waits for the mutex.
	roles["wait"] = func(args []string) {
		mu, err := pshared.OpenMutex(args[0])
		rerun.Check(err)
		rerun.Say("waits")
		mu.Lock()
		rerun.Say("held")
		rerun.Hear()
	}
}

// patience is for what should take a millisecond.
const patience = 10 * time.Second

func open(t *testing.T, name string) *pshared.Mutex {
	t.Helper()
	mu, err := pshared.OpenMutex(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		mu.Close()
		pshared.Remove(name)
	})
	return mu
}

// takeOver locks a mutex whose owner is dead.
func takeOver(t *testing.T, mu *pshared.Mutex) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := mu.LockContext(ctx); !errors.Is(err, pshared.ErrOwnerDied) {
		t.Fatalf("Lock: %v, want ErrOwnerDied", err)
	}
	if err := errors.Join(mu.MarkConsistent(), mu.Unlock()); err != nil {
		t.Fatal(err)
	}
}

// TestStoppedIsNotRobbed: a stopped owner keeps its lock for longer than every
// bound inside (a tick of 100 ms, a scan of a second).
func TestStoppedIsNotRobbed(t *testing.T) {
	mu := open(t, "stopped")
	p := rerun.Start(t, "hold", "stopped")
	p.Expect("ready")
	p.Say("go")
	p.Expect("held")
	p.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
	defer cancel()
	if err := mu.LockContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock while the owner is stopped: %v", err)
	}
	if locked, err := mu.TryLock(); locked || err != nil {
		t.Errorf("TryLock while the owner is stopped: %t, %v", locked, err)
	}
	p.Kill() // SIGKILL ends a stopped process
	takeOver(t, mu)
}

// TestForgedBell: who writes into another's bell robs nobody, since the bell is
// no verdict.
func TestForgedBell(t *testing.T) {
	mu := open(t, "forged")
	p := rerun.Start(t, "hold", "forged")
	p.Expect("ready")
	p.Say("go")
	p.Expect("held")

	seg, err := shm.Open("/shoal.forged", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Close()
	bells, err := mem.Array[layout.Bell](seg.Bytes(), layout.HeaderSize+layout.BellOffset(0), 2)
	if err != nil {
		t.Fatal(err)
	}
	bell := &bells[1].Word // slot 0 is ours
	tid := bell.Load()
	bell.Store(sys.FUTEX_OWNER_DIED | sys.FUTEX_WAITERS)
	if locked, err := mu.TryLock(); locked || err != nil {
		t.Errorf("TryLock: %t, %v", locked, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := mu.LockContext(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Lock: %v", err)
	}
	bell.Store(tid)
	p.Kill()
	takeOver(t, mu)
}

// TestBrokenBell: without a bell at all, the patrol notices.
func TestBrokenBell(t *testing.T) {
	mu := open(t, "broken")
	p := rerun.Start(t, "hold", "broken")
	p.Expect("ready")
	p.Say("go")
	p.Expect("held")
	seg, err := shm.Open("/shoal.broken", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Close()
	bells, err := mem.Array[layout.Bell](seg.Bytes(), layout.HeaderSize+layout.BellOffset(0), 2)
	if err != nil {
		t.Fatal(err)
	}
	bells[1].Word.Store(1 | sys.FUTEX_WAITERS) // not the keeper's: the kernel leaves it alone
	p.Kill()
	takeOver(t, mu)
}

// TestStoppedListener: the kernel wakes one of those who listen to a bell. If
// that one is stopped the others go on all the same.
func TestStoppedListener(t *testing.T) {
	mu := open(t, "listener")
	for range 5 {
		victim := rerun.Start(t, "hold", "listener")
		victim.Expect("ready")
		victim.Say("go")
		victim.Expect("held")
		other := rerun.Start(t, "wait", "listener")
		other.Expect("waits")
		time.Sleep(20 * time.Millisecond) // until it sleeps
		other.Stop()
		victim.Kill()
		takeOver(t, mu)
		other.Continue()
		other.Expect("held")
		other.Kill()
		takeOver(t, mu)
	}
}

// TestHundreds: one process may be in hundreds of objects, and is missed in all
// of them.
func TestHundreds(t *testing.T) {
	const n = 300
	mutexes := make([]*pshared.Mutex, n)
	for i := range mutexes {
		mutexes[i] = open(t, fmt.Sprintf("many-%d", i))
	}
	p := rerun.Start(t, "many", strconv.Itoa(n))
	p.Expect("held")
	killed := time.Now()
	p.Kill()
	for _, mu := range mutexes {
		takeOver(t, mu)
	}
	t.Logf("%d locks of one dead process taken over in %v", n, time.Since(killed))
}

// segment makes a segment with a member table and a mutex.
func segment(t *testing.T, addr string) (*shm.Segment, *pshared.Mutex) {
	t.Helper()
	seg, err := shm.Create(addr, 64<<10, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := pshared.Join(seg, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	mu, err := pshared.InitMutex(m, pshared.MembersFootprint(0))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		m.Leave()
		if info, err := seg.Stat(); err == nil && seg.Address().Kind() == shm.SysV {
			shm.Remove(member.CompanionName(info.ID))
		}
		seg.Remove()
		seg.Close()
	})
	return seg, mu
}

func TestSystemV(t *testing.T) {
	_, mu := segment(t, "sysv:0x5ee1")
	p := rerun.Start(t, "place", "sysv:0x5ee1")
	p.Expect("held")
	if locked, err := mu.TryLock(); locked || err != nil {
		t.Fatalf("TryLock: %t, %v", locked, err)
	}
	p.Kill()
	takeOver(t, mu)
	p = rerun.Start(t, "place", "sysv:0x5ee1")
	p.Expect("held")
	p.Say("leave")
	p.Expect("left")
	if locked, err := mu.TryLock(); !locked || err != nil {
		t.Fatalf("TryLock: %t, %v", locked, err)
	}
	if s := mu.Stats(); s.Deaths != 1 || s.Members != 1 {
		t.Errorf("%+v", s)
	}
}

// TestSystemVRemoved: the file with the locks goes with the object.
func TestSystemVRemoved(t *testing.T) {
	mu, err := pshared.OpenMutex("sysv:0x5ee3")
	if err != nil {
		t.Fatal(err)
	}
	p := rerun.Start(t, "hold", "sysv:0x5ee3")
	p.Expect("ready")
	p.Say("go")
	p.Expect("held")
	if err := pshared.Remove("sysv:0x5ee3"); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir("/dev/shm"); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	p.Kill() // the members go on
	takeOver(t, mu)
	if err := mu.Close(); err != nil {
		t.Error(err)
	}
}

// TestCompanionElsewhere: processes that share System V memory but not /dev/shm
// would not see each other's locks, and take each other for dead.
func TestCompanionElsewhere(t *testing.T) {
	isolate.Require(t)
	_, mu := segment(t, "sysv:0x5ee2")
	if err := mu.Lock(); err != nil {
		t.Fatal(err)
	}
	p := startIn(t, "elsewhere", unix.CLONE_NEWNS, "sysv:0x5ee2")
	if why := p.Expect("refused"); !strings.Contains(why, "another /dev/shm") {
		t.Errorf("refused: %s", why)
	}
	if err := mu.Unlock(); err != nil {
		t.Error(err)
	}
}

// TestPIDNamespace: a member in a container has process ids that mean nothing to
// the others.
func TestPIDNamespace(t *testing.T) {
	isolate.Require(t)
	seg, mu := segment(t, "/contained")
	p := startIn(t, "place", unix.CLONE_NEWPID, "/contained")
	p.Expect("held")
	r, err := member.Read(seg, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Members) != 2 || r.Members[1].PID != 1 || r.Members[1].SameNamespace || !r.Members[1].Alive {
		t.Errorf("members: %+v", r.Members)
	}
	if r.Members[0].PID != os.Getpid() || !r.Members[0].SameNamespace || r.Find(r.Members[0].Owner) != &r.Members[0] {
		t.Errorf("this process: %+v", r.Members[0])
	}
	p.Kill()
	takeOver(t, mu)
}

// startIn starts a role in namespaces of its own.
func startIn(t *testing.T, role string, namespaces uintptr, args ...string) *rerun.Process {
	t.Helper()
	cmd := rerun.Command(role, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	return rerun.StartCommand(t, cmd)
}

func TestNoSlot(t *testing.T) {
	seg, err := shm.Create("/small", 64<<10, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Close()
	defer seg.Remove()
	var all []*member.Table
	for range 3 {
		table, err := member.Join(seg, 0, member.Options{Make: 3})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, table)
	}
	if _, err := member.Join(seg, 0, member.Options{}); !errors.Is(err, member.ErrNoSlot) {
		t.Errorf("a fourth of three: %v", err)
	}
	first := all[1].Self()
	all[1].Leave()
	all[1].Leave()
	again, err := member.Join(seg, 0, member.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if again.Self().Slot() != first.Slot() || again.Self().Epoch() != first.Epoch()+1 {
		t.Errorf("slot %d epoch %d after slot %d epoch %d", again.Self().Slot(), again.Self().Epoch(), first.Slot(), first.Epoch())
	}
	if current, valid := again.Current(first); current || !valid {
		t.Errorf("an owner of the past: current %t, valid %t", current, valid)
	}
	if _, valid := again.Current(layout.MakeOwner(3, 1)); valid {
		t.Error("slot 3 of 3 is valid")
	}
	again.Leave()
	all[0].Leave()
	all[2].Leave()
}

// TestDamagedTable: whatever the bytes of a table say, joining is an error and
// no more.
func TestDamagedTable(t *testing.T) {
	for name, c := range map[string]struct {
		offset int
		value  uint32
		want   error
	}{
		"magic":     {0, 1, shm.ErrCorrupt},
		"version":   {4, 2 << 16, shm.ErrVersion},
		"no slots":  {8, 0, shm.ErrCorrupt},
		"slots":     {8, layout.MaxSlots + 1, shm.ErrCorrupt},
		"too large": {8, layout.MaxSlots, shm.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			seg, err := shm.Create("/damaged", 8192, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer seg.Close()
			defer seg.Remove()
			if err := member.Make(seg.Bytes(), 0, 3); err != nil {
				t.Fatal(err)
			}
			w, err := mem.At[mem.Uint32](seg.Bytes(), c.offset)
			if err != nil {
				t.Fatal(err)
			}
			w.Store(c.value)
			if _, err := member.Join(seg, 0, member.Options{Make: 3}); !errors.Is(err, c.want) {
				t.Errorf("Join: %v, want %v", err, c.want)
			}
			if _, err := member.Read(seg, 0); !errors.Is(err, c.want) {
				t.Errorf("Read: %v, want %v", err, c.want)
			}
		})
	}
}
