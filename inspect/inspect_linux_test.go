package inspect

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// file makes a file in /dev/shm.
func file(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile("/dev/shm/"+name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove("/dev/shm/" + name) })
}

func find(t *testing.T, addr string) Object {
	t.Helper()
	o, _, err := Find(addr)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestLifeOfASegment(t *testing.T) {
	const addr = "sysv:0x77"
	p := startCreator(t, addr)
	pid := p.cmd.Process.Pid

	o := find(t, addr)
	if o.State != InUse || o.Creator != (Creator{pid, Alive}) || o.Attached != 1 || len(o.Holders) != 1 ||
		o.Holders[0].PID != pid || o.Holders[0].Command != "exe" || o.LastPID != pid || o.Size != 1000 || o.Mode != 0o600 || o.Own {
		t.Errorf("while its creator lives: %+v", o)
	}
	if v := Judge(o, Policy{Foreign: true, Age: -1}); v.Remove || !strings.Contains(v.Reason, "in use by pid") {
		t.Errorf("verdict: %+v", v)
	}

	p.kill()
	o = find(t, addr)
	if o.State != Orphan || !o.Certain || o.Creator != (Creator{pid, Dead}) || o.Attached != 0 || len(o.Holders) != 0 {
		t.Errorf("after its creator's death: %+v", o)
	}
	if v := Judge(o, Policy{Foreign: true, Age: -1}); !v.Remove || !strings.Contains(v.Reason, "is dead, and nobody has it attached") {
		t.Errorf("verdict: %+v", v)
	}

	// By id it is the same object.
	byID := find(t, idAddress(o))
	if byID.ID != o.ID || byID.Address != addr {
		t.Errorf("by id: %+v", byID)
	}

	// Attached by us, it is in use, whoever made it; removed, it has no name.
	seg, err := shm.Open(addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Close()
	if o = find(t, addr); o.State != InUse || o.Creator.Life != Dead || Judge(o, Policy{Foreign: true, Age: -1}).Remove {
		t.Errorf("attached by another: %+v", o)
	}
	if err := seg.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Find(addr); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("by key after removal: %v", err)
	}
	if o = find(t, idAddress(o)); o.State != Removed || Judge(o, Policy{Foreign: true, Age: -1}).Remove {
		t.Errorf("removed while attached: %+v", o)
	}
}

func idAddress(o Object) string { return shm.IDAddress(sysv.ShmID(o.ID)).String() }

func TestLifeOfAPosixObject(t *testing.T) {
	const addr = "/shoal.test"
	p := startCreator(t, addr)
	if o := find(t, addr); o.State != InUse || !o.Own || o.Creator.PID != 0 || len(o.Holders) != 1 || o.Attached != -1 {
		t.Errorf("held: %+v", o)
	}
	p.kill()
	if o := find(t, addr); o.State != Orphan || !Judge(o, Policy{Age: -1}).Remove || Judge(o, Policy{}).Remove {
		t.Errorf("after its creator's death: %+v", o)
	}
}

// TestZombieIsDead: a process that has ended but was not waited for holds
// nothing, though its number is still taken.
func TestZombieIsDead(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	pid := cmd.Process.Pid
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		if err != nil {
			t.Fatal(err)
		}
		if state, _, ok := parseStat(stat); ok && state == 'Z' {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not end")
		}
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("a zombie's number should be taken: %v", err)
	}
	if c := creator(pid, time.Now()); c.Life != Dead {
		t.Errorf("%+v", c)
	}
}

func TestNumberOfAYoungerProcess(t *testing.T) {
	self := os.Getpid()
	if c := creator(self, time.Now()); c.Life != Alive {
		t.Errorf("myself, now: %+v", c)
	}
	// An object older than this process was made by an earlier owner of its number.
	if c := creator(self, time.Now().Add(-time.Hour)); c.Life != Dead {
		t.Errorf("an hour ago: %+v", c)
	}
	if c := creator(self, time.Time{}); c.Life != Alive {
		t.Errorf("no time known: %+v", c)
	}
	for _, pid := range []int{0, -1} {
		if c := creator(pid, time.Now()); c != (Creator{}) {
			t.Errorf("pid %d: %+v", pid, c)
		}
	}
	if c := creator(1<<22+1, time.Now()); c.Life != Dead { // above PID_MAX_LIMIT
		t.Errorf("no process: %+v", c)
	}
}

func TestParseStat(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21\n"
	for line, want := range map[string]int64{
		"5 (sh)" + rest: 4711, "5 (a) b) (c" + ")" + rest: 4711, "5 ( )" + rest: 4711, "5 (x\ny)" + rest: 4711,
		"": -1, "5": -1, "5 (sh)": -1, "5 (sh) S 1 2": -1, strings.Replace("5 (sh)"+rest, "4711", "-5", 1): -1,
		strings.Replace("5 (sh)"+rest, "4711", "x", 1): -1,
	} {
		state, start, ok := parseStat([]byte(line))
		if ok != (want >= 0) || ok && (start != want || state != 'S') {
			t.Errorf("parseStat(%q) = %c, %d, %v", line, state, start, ok)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("5 (sh) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20\n"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, start, ok := parseStat(line); ok && start < 0 {
			t.Errorf("start %d", start)
		}
	})
}

func TestWhatTheNamesSay(t *testing.T) {
	isolate.Require(t)
	sem := strings.Repeat("\x00", 32)
	file(t, "sem.jobs", sem)
	file(t, "sem.short", "x")
	file(t, "plain", sem)
	file(t, "empty", "")
	file(t, "shoal.empty", "")
	file(t, ".shoal-draft-ABC", "")
	file(t, "shoalish", "x")
	for addr, want := range map[string]struct {
		t      Type
		s      State
		own    bool
		remove bool // by the default policy, once old enough
	}{
		"/sem.jobs":         {Semaphore, Idle, false, false},
		"/sem.short":        {Memory, Orphan, false, false},
		"/plain":            {Memory, Orphan, false, false},
		"/empty":            {Memory, Damaged, false, false},
		"/shoal.empty":      {Memory, Damaged, true, true},
		"/.shoal-draft-ABC": {Draft, Damaged, true, true},
		"/shoalish":         {Memory, Orphan, false, false},
	} {
		o := find(t, addr)
		if o.Type != want.t || o.State != want.s || o.Own != want.own || Judge(o, Policy{Age: -1}).Remove != want.remove {
			t.Errorf("%s: %v, %v, own %v; verdict %+v", addr, o.Type, o.State, o.Own, Judge(o, Policy{Age: -1}))
		}
		if all := Judge(o, Policy{Age: -1, Foreign: true}); all.Remove != (want.t != Semaphore) {
			t.Errorf("%s, foreign ones too: %+v", addr, all)
		}
		if Judge(o, Policy{Foreign: true}).Remove {
			t.Errorf("%s: removed in its first minute", addr)
		}
	}
	// Somebody has opened it and will give it bytes in a moment.
	f, err := os.Open("/dev/shm/empty")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if o := find(t, "/empty"); o.State != InUse {
		t.Errorf("open: %v", o.State)
	}
}

func TestSemaphoreSetsAndQueues(t *testing.T) {
	sem, err := sysv.SemGet(0x55, 3, sysv.Create|sysv.Exclusive|0o640)
	if err != nil {
		t.Fatal(err)
	}
	defer sem.Remove()
	msg, err := sysv.MsgGet(sysv.Private, sysv.Create|0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer msg.Remove()
	if err := msg.Send(1, []byte("12345"), 0); err != nil {
		t.Fatal(err)
	}
	s, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	set := s.Objects[slices.IndexFunc(s.Objects, func(o Object) bool { return o.Address == "sysv-sem:0x55" })]
	if set.Type != SemaphoreSet || set.Count != 3 || set.Size != -1 || set.Mode != 0o640 || set.State != Unknown || set.ID != int32(sem) {
		t.Errorf("set: %+v", set)
	}
	queueAddr := "sysv-msg-id:" + strconv.Itoa(int(msg))
	queue := s.Objects[slices.IndexFunc(s.Objects, func(o Object) bool { return o.Address == queueAddr })]
	if queue.Type != MessageQueue || queue.Count != 1 || queue.Size != 5 || queue.LastPID != os.Getpid() || queue.State != Unknown {
		t.Errorf("queue: %+v", queue)
	}
	for _, o := range []Object{set, queue} {
		if v := Judge(o, Policy{Age: -1, Foreign: true}); v.Remove || !strings.Contains(v.Reason, "remove it by name") {
			t.Errorf("%+v", v)
		}
		if found := find(t, o.Address); found.ID != o.ID || found.Type != o.Type {
			t.Errorf("found %+v", found)
		}
	}
	if found := find(t, "sysv-sem-id:"+strconv.Itoa(int(sem))); found.Address != "sysv-sem:0x55" {
		t.Errorf("by id: %+v", found)
	}
}

func TestPosixQueues(t *testing.T) {
	f, err := os.OpenFile("/dev/mqueue/shoal-test", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil || posixQueues() == nil {
		os.Remove("/dev/mqueue/shoal-test")
		t.Skip("no file system of message queues here:", err)
	}
	f.Close()
	defer os.Remove("/dev/mqueue/shoal-test")
	o := find(t, "mq:/shoal-test")
	if o.Type != MessageQueue || o.Size != 0 || o.State != Unknown || o.HasID() || Judge(o, Policy{Age: -1, Foreign: true}).Remove {
		t.Errorf("%+v", o)
	}
	if same := find(t, "mq:shoal-test"); same.Address != o.Address {
		t.Errorf("%+v", same)
	}
	if n := queueSize([]byte("QSIZE:129       NOTIFY:0     SIGNO:0     NOTIFY_PID:0     \n")); n != 129 {
		t.Errorf("QSIZE %d", n)
	}
	if n := queueSize([]byte("what?")); n != -1 {
		t.Errorf("no QSIZE: %d", n)
	}
}

func TestAddresses(t *testing.T) {
	for _, addr := range []string{"/x", "sysv:1", "sysv-id:1", "file:x", "sysv-sem:0x1", "sysv-sem-id:1", "sysv-msg:-1", "sysv-msg-id:0", "mq:/x", "mq:x"} {
		if err := CheckAddress(addr); err != nil {
			t.Error(err)
		}
		if _, _, err := Find(addr); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Find(%q): %v; want fs.ErrNotExist", addr, err)
		}
	}
	for _, addr := range []string{"", "x", "sysv:", "sysv-sem:", "sysv-sem-id:-1", "sysv-msg-id:99999999999", "mq:", "mq:/", "mq:/a/b", "mq:a\x00", "shm:1"} {
		if err := CheckAddress(addr); err == nil {
			t.Errorf("CheckAddress(%q) = nil", addr)
		}
		if _, _, err := Find(addr); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Find(%q): %v", addr, err)
		}
	}
	if IsMemory("sysv-sem:1") || IsMemory("mq:/x") || !IsMemory("sysv:1") || !IsMemory("/x") {
		t.Error("IsMemory")
	}
}

// TestJudgeIsCareful goes through what an object can be, and wants nothing
// removed but what nobody can miss.
func TestJudgeIsCareful(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	for typ := Memory; typ <= MessageQueue; typ++ {
		for state := Unknown; state <= Damaged; state++ {
			for life := Unrecorded; life <= Dead; life++ {
				for _, own := range []bool{true, false} {
					for _, foreign := range []bool{true, false} {
						o := Object{Type: typ, State: state, Own: own, Creator: Creator{1, life}, Changed: old, Certain: true}
						v := Judge(o, Policy{Foreign: foreign})
						want := (typ == Memory || typ == Draft) && (state == Orphan || state == Damaged) && life != Alive && (own || foreign)
						if typ <= Draft && state == Unknown {
							continue // memory always has a state
						}
						if v.Remove != want || v.Reason == "" {
							t.Errorf("%v %v, creator %v, own %v, foreign %v: %+v", typ, state, life, own, foreign, v)
						}
					}
				}
			}
		}
	}
}

func TestAgeCountsFromTheLastSignOfLife(t *testing.T) {
	now := time.Now()
	o := Object{State: Orphan, Own: true, Created: now.Add(-time.Hour), Changed: now.Add(-30 * time.Minute), Used: now.Add(-10 * time.Minute)}
	if !o.Since().Equal(o.Used) {
		t.Errorf("since %v", o.Since())
	}
	if !Judge(o, Policy{Age: 9 * time.Minute}).Remove || Judge(o, Policy{Age: 11 * time.Minute}).Remove {
		t.Error("age is not from the last use")
	}
	if v := Judge(o, Policy{Age: time.Hour}); v.Reason != "unused, but 10m0s ago it was not; 1h0m0s is asked" {
		t.Error(v.Reason)
	}
}

func TestUsersAreNamed(t *testing.T) {
	o := Object{State: InUse}
	for pid := range 5 {
		o.Holders = append(o.Holders, Holder{Holder: shm.Holder{PID: pid + 1}, Command: "w"})
	}
	if v := Judge(o, Policy{}); v.Reason != "in use by pid 1 (w), pid 2 (w), pid 3 (w), 2 more" {
		t.Error(v.Reason)
	}
	if v := Judge(Object{State: InUse, Attached: 2}, Policy{}); v.Reason != "in use by 2 attachments of processes out of sight" {
		t.Error(v.Reason)
	}
}

func TestJSONLeavesOutWhatIsUnknown(t *testing.T) {
	text, err := json.Marshal(bare("sysv-sem:0x1", SemaphoreSet))
	if want := `{"address":"sysv-sem:0x1","type":"semaphore set","state":"unknown","certain":true,"own":false,"id":0,"mode":"0000","uid":0,"gid":0}`; string(text) != want || err != nil {
		t.Errorf("%s, %v", text, err)
	}
}

// TestLookingChangesNothing takes a picture twice: the second shows what the
// first did.
func TestLookingChangesNothing(t *testing.T) {
	isolate.Require(t)
	file(t, "shoal.x", "x")
	p := startCreator(t, "sysv:0x77")
	p.kill()
	first, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	second, err := Take()
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(first.Objects)
	b, _ := json.Marshal(second.Objects)
	if string(a) != string(b) || len(first.Objects) != 2 {
		t.Errorf("first:\n%s\nsecond:\n%s", a, b)
	}
}
