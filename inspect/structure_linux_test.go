package inspect

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// remove removes a Shoal object when the test is over.
func remove1(t testing.TB, name string) {
	t.Cleanup(func() { pshared.Remove(name) })
}

// closing closes a handle when the test is over.
func closing[H io.Closer](t testing.TB, h H, err error) H {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func noError(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// state looks at an object that must be sound.
func state(t *testing.T, name, kind string) *Primitive {
	t.Helper()
	o := find(t, "/shoal."+name)
	s := o.Structure
	if s == nil || s.Kind != kind || s.State == nil || s.Damage != nil || s.Members == nil || s.Version != "1.0" ||
		s.Creator != os.Getpid() || s.Created.IsZero() || s.Size != o.Size || o.Name != name || !o.Own || o.Unread != nil {
		t.Fatalf("%+v, %+v", o, s)
	}
	return s.State
}

func TestStructures(t *testing.T) {
	self := os.Getpid()
	mine := func(c *Claim) bool {
		return c != nil && !c.Void() && c.Member.PID == self && c.Member.SameNamespace && c.Member.Command != ""
	}

	t.Run("mutex", func(t *testing.T) {
		remove1(t, "t")
		mu, err := pshared.OpenMutex("t")
		closing(t, mu, err)
		if s := state(t, "t", "mutex"); s.Owner != nil || s.Waiters || s.OwnerDied() {
			t.Errorf("free: %+v", s)
		}
		noError(t, mu.Lock())
		if s := state(t, "t", "mutex"); !mine(s.Owner) || s.Waiters || s.OwnerDied() {
			t.Errorf("locked: %+v", s)
		}
		o := find(t, "/shoal.t")
		if m := o.Structure.Members; m.Slots != pshared.DefaultMembers || len(m.Members) != 1 || m.Dead() != 0 || !m.Members[0].Alive ||
			m.Members[0].Epoch != 1 || m.Members[0].Joined.IsZero() {
			t.Errorf("members: %+v", m)
		}
	})

	t.Run("rwmutex", func(t *testing.T) {
		remove1(t, "t")
		a, err := pshared.OpenRWMutex("t")
		closing(t, a, err)
		b, err := pshared.OpenRWMutex("t")
		closing(t, b, err)
		noError(t, a.RLock())
		noError(t, a.RLock())
		noError(t, b.RLock())
		s := state(t, "t", "rwmutex")
		if s.Owner != nil || len(s.Readers) != 2 || s.Readers[0].Count != 2 || s.Readers[1].Count != 1 || !mine(&s.Readers[1]) {
			t.Errorf("read-locked: %+v", s)
		}
		noError(t, errors.Join(a.RUnlock(), a.RUnlock(), b.RUnlock(), b.Lock()))
		if s := state(t, "t", "rwmutex"); !mine(s.Owner) || s.Owner.Slot != 1 || s.Draining || len(s.Readers) != 0 {
			t.Errorf("locked: %+v", s)
		}
	})

	t.Run("semaphore", func(t *testing.T) {
		remove1(t, "t")
		sem, err := pshared.OpenSemaphore("t", pshared.SemaphoreConfig{Value: 7})
		closing(t, sem, err)
		noError(t, sem.Acquire())
		if s := state(t, "t", "semaphore"); s.Value == nil || *s.Value != 6 || s.Permits != 0 || s.Holders != nil {
			t.Errorf("plain: %+v", s)
		}
	})

	t.Run("semaphore with undo", func(t *testing.T) {
		remove1(t, "t")
		c := pshared.SemaphoreConfig{Value: 7, Undo: true}
		a, err := pshared.OpenSemaphore("t", c)
		closing(t, a, err)
		b, err := pshared.OpenSemaphore("t", c)
		closing(t, b, err)
		noError(t, errors.Join(a.Acquire(), b.Acquire(), b.Acquire()))
		s := state(t, "t", "semaphore")
		if *s.Value != 4 || s.Permits != 7 || len(s.Holders) != 2 || s.Holders[0].Count != 1 || s.Holders[1].Count != 2 || !mine(&s.Holders[1]) {
			t.Errorf("%+v", s)
		}
		noError(t, b.Close()) // what it holds is void
		s = state(t, "t", "semaphore")
		if *s.Value != 6 || len(s.Holders) != 2 || !s.Holders[1].Void() {
			t.Errorf("after a holder has left: %+v", s)
		}
	})

	t.Run("event", func(t *testing.T) {
		remove1(t, "t")
		e, err := pshared.OpenEvent("t", pshared.AutoReset)
		closing(t, e, err)
		if s := state(t, "t", "event"); *s.Set || !s.AutoReset {
			t.Errorf("%+v", s)
		}
		e.Set()
		if s := state(t, "t", "event"); !*s.Set {
			t.Errorf("set: %+v", s)
		}
	})

	t.Run("barrier", func(t *testing.T) {
		remove1(t, "t")
		a, err := pshared.OpenBarrier("t", 3)
		closing(t, a, err)
		b, err := pshared.OpenBarrier("t", 3)
		closing(t, b, err)
		s := state(t, "t", "barrier")
		if *s.Phase != 0 || len(s.Places) != 3 || !mine(s.Places[0].Party) || !mine(s.Places[1].Party) || s.Places[2] != (Place{}) || s.Places[1].Arrived {
			t.Errorf("%+v", s)
		}
		b.Leave()
		if s := state(t, "t", "barrier"); !s.Places[1].Vacant {
			t.Errorf("one has left: %+v", s)
		}
		c, err := pshared.OpenBarrier("t", 3) // takes the place that is free
		closing(t, c, err)
		d, err := pshared.OpenBarrier("t", 3)
		closing(t, d, err)
		done := make(chan error, 3)
		for _, p := range []*pshared.Barrier{a, c, d} {
			go func() { done <- p.Wait() }()
		}
		noError(t, errors.Join(<-done, <-done, <-done))
		s = state(t, "t", "barrier")
		if *s.Phase != 1 || s.Places[0].Arrived || s.Places[1].Vacant {
			t.Errorf("in the second phase: %+v", s)
		}
	})

	t.Run("once", func(t *testing.T) {
		remove1(t, "t")
		o, err := pshared.OpenOnce("t")
		closing(t, o, err)
		if s := state(t, "t", "once"); *s.Done || s.Owner != nil {
			t.Errorf("%+v", s)
		}
		noError(t, o.Do(func() error {
			if s := state(t, "t", "once"); *s.Done || !mine(s.Owner) || s.OwnerDied() {
				t.Errorf("at work: %+v", s)
			}
			return nil
		}))
		if s := state(t, "t", "once"); !*s.Done || s.Owner != nil {
			t.Errorf("done: %+v", s)
		}
	})

	t.Run("cond", func(t *testing.T) {
		remove1(t, "t")
		c, err := pshared.OpenCond("t")
		closing(t, c, err)
		if s := state(t, "t", "cond"); s.Waiters {
			t.Errorf("%+v", s)
		}
	})
}

// lockAndWait is a process that holds the mutex named by addr until its input
// ends; see create.
func lockAndWait(addr string) {
	mu, err := pshared.OpenMutex(strings.TrimPrefix(addr, "lock:"))
	if err == nil {
		err = mu.Lock()
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
}

// TestOwnerDiedIsRemembered: what the next one to lock must hear is neither an
// orphan nor garbage.
func TestOwnerDiedIsRemembered(t *testing.T) {
	remove1(t, "t")
	p := startCreator(t, "lock:t")
	o := find(t, "/shoal.t")
	if c := o.Structure.State.Owner; c == nil || c.Void() || c.Member.PID != p.cmd.Process.Pid || c.Member.Command != "exe" {
		t.Fatalf("held: %+v", o.Structure.State)
	}
	p.kill()
	o = find(t, "/shoal.t")
	s := o.Structure
	if !s.State.OwnerDied() || s.State.Owner == nil || !s.State.Owner.Void() || s.Members.Dead() != 1 || o.State != Idle {
		t.Errorf("its owner dead: %v, %+v", o.State, s.State)
	}
	if v := Judge(o, Policy{Age: -1}); v.Remove || !strings.Contains(v.Reason, "an owner of this mutex died") {
		t.Errorf("verdict: %+v", v)
	}
	mu, err := pshared.OpenMutex("t")
	closing(t, mu, err)
	if err := mu.Lock(); !errors.Is(err, pshared.ErrOwnerDied) {
		t.Fatal(err)
	}
	if s := unchecked(t, "t"); !s.Inconsistent || s.Owner == nil || s.Owner.Void() || s.NotRecoverable {
		t.Errorf("held after that: %+v", s)
	}
	if m := find(t, "/shoal.t").Structure.Members; m.Deaths != 1 || m.Dead() != 0 {
		t.Errorf("members: %+v", m)
	}
	noError(t, mu.Unlock())
	if s := unchecked(t, "t"); !s.NotRecoverable || s.Owner != nil {
		t.Errorf("given back: %+v", s)
	}
	noError(t, mu.Close())
	if v := Judge(find(t, "/shoal.t"), Policy{Age: -1}); v.Remove {
		t.Errorf("verdict: %+v", v)
	}
}

// unchecked looks at the state alone.
func unchecked(t *testing.T, name string) *Primitive {
	t.Helper()
	return find(t, "/shoal."+name).Structure.State
}

// TestUnusedKinds: which Shoal objects are garbage when nobody uses them.
func TestUnusedKinds(t *testing.T) {
	remove1(t, "t")
	for kind, tt := range map[string]struct {
		make    func() (io.Closer, error)
		garbage bool
	}{
		"mutex":     {func() (io.Closer, error) { return pshared.OpenMutex("t") }, true},
		"rwmutex":   {func() (io.Closer, error) { return pshared.OpenRWMutex("t") }, true},
		"cond":      {func() (io.Closer, error) { return pshared.OpenCond("t") }, true},
		"barrier":   {func() (io.Closer, error) { return pshared.OpenBarrier("t", 2) }, true},
		"event":     {func() (io.Closer, error) { return pshared.OpenEvent("t", pshared.ManualReset) }, false},
		"once":      {func() (io.Closer, error) { return pshared.OpenOnce("t") }, false},
		"semaphore": {func() (io.Closer, error) { return pshared.OpenSemaphore("t", pshared.SemaphoreConfig{}) }, false},
	} {
		h, err := tt.make()
		noError(t, err)
		if v := Judge(find(t, "/shoal.t"), Policy{Age: -1}); v.Remove {
			t.Errorf("%s in use: %+v", kind, v)
		}
		noError(t, h.Close())
		o := find(t, "/shoal.t")
		if v := Judge(o, Policy{Age: -1}); v.Remove != tt.garbage || (o.State == Orphan) != tt.garbage {
			t.Errorf("%s unused: %v, %+v", kind, o.State, v)
		}
		noError(t, pshared.Remove("t"))
	}
}

// TestLookingLeavesNoTrace compares every byte and time of an object.
func TestLookingLeavesNoTrace(t *testing.T) {
	remove1(t, "t")
	mu, err := pshared.OpenMutex("t")
	closing(t, mu, err)
	file(t, "sparse", "")
	noError(t, os.Truncate("/dev/shm/sparse", 1<<20))
	before, err := os.ReadFile("/dev/shm/shoal.t")
	noError(t, err)
	// Older than the last change: a look would set it, also on a file system that
	// spares itself most of that (relatime).
	for _, path := range []string{"/dev/shm/shoal.t", "/dev/shm/sparse"} {
		noError(t, os.Chtimes(path, time.Now().Add(-72*time.Hour), time.Now()))
	}
	stat, err := exec.Command("stat", "-c", "%X %Y %Z %b %n", "/dev/shm/shoal.t", "/dev/shm/sparse").Output()
	noError(t, err)
	_, err = Take()
	noError(t, err)
	find(t, "/shoal.t")
	find(t, "/sparse")
	again, err := exec.Command("stat", "-c", "%X %Y %Z %b %n", "/dev/shm/shoal.t", "/dev/shm/sparse").Output()
	noError(t, err)
	if string(stat) != string(again) {
		t.Errorf("before:\n%safter:\n%s", stat, again)
	}
	after, err := os.ReadFile("/dev/shm/shoal.t")
	noError(t, err)
	if string(before) != string(after) {
		t.Error("its bytes have changed")
	}
}

// TestDamage pokes words into objects that are sound.
func TestDamage(t *testing.T) {
	const table = layout.HeaderSize
	body := int64(table+layout.MembersFootprint(pshared.DefaultMembers)+layout.Line-1) &^ (layout.Line - 1)
	mutex := func() (io.Closer, error) { return pshared.OpenMutex("t") }
	rwmutex := func() (io.Closer, error) { return pshared.OpenRWMutex("t") }
	plain := func() (io.Closer, error) {
		return pshared.OpenSemaphore("t", pshared.SemaphoreConfig{Value: 1})
	}
	undo := func() (io.Closer, error) {
		return pshared.OpenSemaphore("t", pshared.SemaphoreConfig{Value: 2, Undo: true})
	}
	barrier := func() (io.Closer, error) { return pshared.OpenBarrier("t", 2) }
	event := func() (io.Closer, error) { return pshared.OpenEvent("t", pshared.ManualReset) }
	once := func() (io.Closer, error) { return pshared.OpenOnce("t") }
	owner := uint64(layout.MakeOwner(60, 1)) // a slot that is not there
	for _, tt := range []struct {
		name   string
		make   func() (io.Closer, error)
		offset int64
		word   uint64
		size   int // in bytes
		at     int64
		want   string
	}{
		{"magic", mutex, 0, 0x1122334455667788, 8, 0, "magic is 0x1122334455667788, a Shoal object has 0x6a626f4c414f4853"},
		{"version", mutex, 8, 2 << 16, 4, 8, "version is 2.0, this program knows 1.0"},
		{"size", mutex, 16, 1 << 62, 8, 16, "size is 4611686018427387904, the object has "},
		{"body", mutex, 32, 1 << 62, 8, 32, "the body is at 4611686018427387904 of "},
		{"body unaligned", mutex, 32, 65, 8, 32, "the body is at 65 of "},
		{"body at the end", mutex, 32, uint64(body) + 64, 8, body + 64, "the mutex does not fit into "},
		{"table magic", mutex, table, 1, 4, table, "the member table has magic 0x1, want 0x424d454d"},
		{"table version", mutex, table + 4, 9 << 16, 4, table + 4, "the member table has version 9.0, this program knows 1.0"},
		{"no slots", mutex, table + 8, 0, 4, table + 8, "the member table has 0 slots, want 1 to 1024"},
		{"slots", mutex, table + 8, 1025, 4, table + 8, "the member table has 1025 slots"},
		{"room for slots", mutex, table + 8, 1024, 4, table + 8, "a member table of 1024 slots does not fit into "},
		{"other primitive", mutex, body, uint64(layout.CondMagic), 4, body, `the mutex has magic 0x444e4f43 ("COND"), want 0x5854554d ("MUTX")`},
		{"kind", mutex, 12, uint64(layout.KindOnce), 4, body, `the once has magic 0x5854554d ("MUTX"), want 0x45434e4f ("ONCE")`},
		{"lock flags", mutex, body + 8, 1 << 7, 8, body + 8, "lock word is 0x80, which is impossible"},
		{"lock owner", mutex, body + 8, owner, 8, body + 8, "the owner has slot 60 of 48"},
		{"nobody's epoch", mutex, body + 8, 5 << 32, 8, body + 8, "the owner has slot -1 of 48"},
		{"draining mutex", mutex, body + 8, layout.LockDraining, 8, body + 8, "lock word is 0x8, which is impossible"},
		{"writer", rwmutex, body + 8, owner | layout.LockNotRecoverable, 8, body + 8, "lock word is "},
		{"readers", rwmutex, body + 4, 49, 4, body + 4, "it is made for 49 members, the table has 48 slots"},
		{"value", plain, body + 8, 0xffffffff, 4, body + 8, "value is 0xffffffff, which is impossible"},
		{"permits", undo, body + 4, 4097, 4, body + 4, "4097 permits, at most 4096 are possible"},
		{"room for permits", undo, body + 4, 4096, 4, body + 4, "room for 4096 is needed behind the semaphore, the object has "},
		{"permit", undo, body + 64 + 8, 1, 8, body + 64 + 8, "permit 1 is 0x1, which is impossible"},
		{"permit's owner", undo, body + 64 + 8, owner, 8, body + 64 + 8, "the owner has slot 60 of 48"},
		{"event", event, body + 4, 2, 4, body + 4, "the event's kind is 2, want 0 or 1"},
		{"no parties", barrier, body + 4, 0, 4, body + 4, "0 parties, want 1 to 1024"},
		{"room for parties", barrier, body + 4, 1000, 4, body + 4, "room for 1000 is needed behind the barrier, the object has "},
		{"place", barrier, body + 64 + 8, 1 << 5, 8, body + 64 + 8, "place 1 is 0x20, which is impossible"},
		{"once", once, body + 8, 1 << 7, 8, body + 8, "state is 0x80, which is impossible"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			remove1(t, "t")
			h, err := tt.make()
			noError(t, err)
			noError(t, h.Close())
			word := binary.LittleEndian.AppendUint64(nil, tt.word)[:tt.size]
			f, err := os.OpenFile("/dev/shm/shoal.t", os.O_WRONLY, 0)
			noError(t, err)
			_, err = f.WriteAt(word, tt.offset)
			noError(t, errors.Join(err, f.Close()))
			t.Cleanup(func() { os.Remove("/dev/shm/shoal.t") })

			o := find(t, "/shoal.t")
			if o.Structure == nil || len(o.Structure.Damage) == 0 {
				t.Fatalf("no damage: %+v", o.Structure)
			}
			if d := o.Structure.Damage[0]; d.Offset != tt.at || !strings.HasPrefix(d.Text, tt.want) {
				t.Errorf("%v; want at offset %d: %s", d, tt.at, tt.want)
			}
			if _, err := json.Marshal(o); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestForeignIsNotLookedInto: what is nothing of ours has no structure.
func TestForeignIsNotLookedInto(t *testing.T) {
	file(t, "empty", "")
	file(t, "short", "SHOAL")
	file(t, "shoal.text", strings.Repeat("text", 1000))
	for _, addr := range []string{"/empty", "/short", "/shoal.text"} {
		if o := find(t, addr); o.Structure != nil || o.Unread != nil || o.Name != "" {
			t.Errorf("%s: %+v", addr, o)
		}
	}
	file(t, "tail", "SHOALobj")
	if o := find(t, "/tail"); o.Structure != nil && len(o.Structure.Damage) == 0 {
		t.Errorf("a header of 8 bytes: %+v", o.Structure)
	}
}

// TestMembersOfASegment: a program has put primitives into a segment of its own.
func TestMembersOfASegment(t *testing.T) {
	for _, addr := range []string{"/plain", "sysv:0x77"} {
		seg, err := shm.Create(addr, 8192, nil)
		noError(t, err)
		t.Cleanup(func() { seg.Close(); shm.Remove(addr) })
		m, err := pshared.Join(seg, 0, 3)
		noError(t, err)
		o := find(t, addr)
		if s := o.Structure; s == nil || s.Kind != "" || s.Members == nil || s.Members.Slots != 3 || len(s.Members.Members) != 1 ||
			s.Members.Members[0].PID != os.Getpid() || s.State != nil || o.Unread != nil || o.Name != "" {
			t.Errorf("%s: %+v", addr, o)
		}
		m.Leave()
		if o.HasID() {
			noError(t, shm.Remove(lockFileName(o.ID)))
		}
	}
	// A segment without members is not attached.
	seg, err := shm.Create("sysv:0x78", 8192, nil)
	noError(t, err)
	t.Cleanup(func() { seg.Close(); shm.Remove("sysv:0x78") })
	before, err := seg.Stat()
	noError(t, err)
	used := find(t, "sysv:0x78").LastPID
	if after := find(t, "sysv:0x78"); after.LastPID != used || after.Structure != nil {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestLockFile(t *testing.T) {
	seg, err := shm.Create("sysv:0x77", 8192, nil)
	noError(t, err)
	t.Cleanup(func() { shm.Remove("sysv:0x77") })
	m, err := pshared.Join(seg, 0, 0)
	noError(t, err)
	info, err := seg.Stat()
	noError(t, err)
	name := member.CompanionName(info.ID)
	if lockFileName(info.ID) != name {
		t.Fatalf("lock files are called %s, not %s", name, lockFileName(info.ID))
	}
	t.Cleanup(func() { shm.Remove(name) })

	o := find(t, name)
	if o.Type != LockFile || o.LocksOf != idAddress(find(t, "sysv:0x77")) || o.State != InUse || !o.Own {
		t.Errorf("while a member lives: %+v", o)
	}
	m.Leave()
	noError(t, seg.Close())
	o = find(t, name)
	if v := Judge(o, Policy{Age: -1}); o.State != Idle || v.Remove || !strings.Contains(v.Reason, "to which it belongs, exists") {
		t.Errorf("unused: %v, %+v", o.State, v)
	}
	noError(t, shm.Remove("sysv:0x77"))
	o = find(t, name)
	if v := Judge(o, Policy{Age: -1}); o.State != Orphan || !v.Remove || !strings.Contains(v.Reason, "to which it belonged, is gone") {
		t.Errorf("its segment gone: %v, %+v", o.State, v)
	}
	for name, size := range map[string]int64{"shoal.sysv-7": 2, "shoal.sysv-07": 1, "shoal.sysv--1": 1, "shoal.sysv-x": 1, "sysv-7": 1, "shoal.sysv-2147483648": 1} {
		if _, ok := lockFileOf(name, size); ok {
			t.Errorf("%s of %d bytes taken for a lock file", name, size)
		}
	}
}

func TestSemaphoreStates(t *testing.T) {
	id, err := sysv.SemGet(0x77, 3, sysv.Create|sysv.Exclusive|0o600)
	noError(t, err)
	t.Cleanup(func() { id.Remove() })
	noError(t, id.SetAll([]uint16{1, 0, 5}))
	noError(t, id.Op(sysv.SemBuf{Num: 2, Op: 1}))
	o := find(t, "sysv-sem:0x77")
	if len(o.Semaphores) != 3 || o.Semaphores[2] != (SemaphoreState{Value: 6, LastPID: os.Getpid()}) || o.Unread != nil || o.Used.IsZero() {
		t.Errorf("%+v", o)
	}

	sem := make([]byte, 32)
	sem[0], sem[4], sem[8] = 3, 2, 0x80
	file(t, "sem.go", string(sem))
	if o := find(t, "/sem.go"); len(o.Semaphores) != 1 || o.Semaphores[0] != (SemaphoreState{Value: 3, Waiters: 2}) || o.Unread != nil {
		t.Errorf("%+v", o)
	}
	file(t, "sem.bad", strings.Repeat("x", 32))
	if o := find(t, "/sem.bad"); o.Semaphores != nil || !errors.Is(o.Unread, shm.ErrCorrupt) {
		t.Errorf("%+v", o)
	}
}

func TestBareNames(t *testing.T) {
	for addr, want := range map[string]string{"/shoal.ticks": "ticks", "/shoal.": "", "/ticks": "", "/shoal.a b": "", "sysv:0x1": "", "/shoal.a.b-c_D": "a.b-c_D"} {
		if got := BareName(addr); got != want {
			t.Errorf("BareName(%q) = %q; want %q", addr, got, want)
		}
	}
	for name, want := range map[string]string{"ticks": "/shoal.ticks", "/ticks": "/ticks", "sysv:0x1": "sysv:0x1", "a b": "", "": ""} {
		if got, err := Resolve(name); got != want || (err != nil) != (want == "") {
			t.Errorf("Resolve(%q) = %q, %v; want %q", name, got, err, want)
		}
	}
}

// FuzzExamine looks at objects in which anything may stand anywhere.
func FuzzExamine(f *testing.F) {
	for kind, open := range map[layout.Kind]func() (io.Closer, error){
		layout.KindMutex:   func() (io.Closer, error) { return pshared.Options{Members: 2}.OpenMutex("f") },
		layout.KindRWMutex: func() (io.Closer, error) { return pshared.Options{Members: 2}.OpenRWMutex("f") },
		layout.KindCond:    func() (io.Closer, error) { return pshared.Options{Members: 2}.OpenCond("f") },
		layout.KindSemaphore: func() (io.Closer, error) {
			return pshared.Options{Members: 2}.OpenSemaphore("f", pshared.SemaphoreConfig{Value: 3, Undo: true})
		},
		layout.KindEvent:   func() (io.Closer, error) { return pshared.Options{Members: 2}.OpenEvent("f", pshared.ManualReset) },
		layout.KindBarrier: func() (io.Closer, error) { return pshared.Options{Members: 2}.OpenBarrier("f", 2) },
		layout.KindOnce:    func() (io.Closer, error) { return pshared.Options{Members: 2}.OpenOnce("f") },
	} {
		h, err := open()
		noError(f, err)
		text, err := os.ReadFile("/dev/shm/shoal.f")
		noError(f, errors.Join(err, h.Close(), pshared.Remove("f")))
		f.Add(text)
		// Damaged, the same way each time.
		random := rand.New(rand.NewPCG(uint64(kind), 1))
		for range 20 {
			bad := append([]byte(nil), text...)
			for range 1 + random.IntN(8) {
				bad[random.IntN(len(bad))] = byte(random.Uint32())
			}
			f.Add(bad)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) == 0 || len(text) > 1<<18 {
			return
		}
		seg, err := shm.Create("memfd:fuzz", int64(len(text)), nil)
		noError(t, err)
		defer seg.Close()
		copy(seg.Bytes(), text)
		s, err := examine(seg)
		noError(t, err)
		if string(seg.Bytes()) != string(text) {
			t.Error("its bytes have changed")
		}
		if s == nil {
			return
		}
		for _, d := range s.Damage {
			if d.Offset < 0 || d.Offset > int64(len(text))+layout.HeaderSize {
				t.Errorf("damage outside of the object: %v", d)
			}
		}
		if s.State != nil && (len(s.State.Holders) > s.State.Permits || s.Members != nil && len(s.State.Readers) > s.Members.Slots) {
			t.Errorf("more than there can be: %+v", s.State)
		}
		if _, err := json.Marshal(s); err != nil {
			t.Error(err)
		}
	})
}
