//go:build linux && (amd64 || arm64)

package keeper

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"structs"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

const (
	roleVariable = "SHOAL_KEEPER_ROLE"
	fileName     = "/dev/shm/keeper"
	nodes        = 30
	patience     = 20 * time.Second
)

// node is a lock word and its entry, as far apart as in a pthread_mutex_t.
type node struct {
	_     structs.HostLayout
	word  mem.Uint32
	_     [28]byte
	entry sys.RobustEntry
	_     [24]byte
}

var roles = map[string]func(all []node){"list": list, "sleep": sleep}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		all, _, err := mapNodes()
		if err != nil {
			panic(err)
		}
		roles[role](all)
		bufio.NewReader(os.Stdin).ReadByte() // until killed
	}
	isolate.Main(m)
}

func mapNodes() (all []node, unmap func(), err error) {
	f, err := os.OpenFile(fileName, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	b, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, nil, err
	}
	all, err = mem.Array[node](b, 0, nodes)
	return all, func() { unix.Munmap(b) }, err
}

// newNodes makes the memory that a test shares with its victim.
func newNodes(t *testing.T) []node {
	t.Helper()
	if err := os.WriteFile(fileName, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	all, unmap, err := mapNodes()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unmap()
		os.Remove(fileName)
	})
	return all
}

// victim starts this test binary in a role, and returns once it is ready. kill
// ends it.
func victim(t *testing.T, role string) (lines *bufio.Scanner, kill func()) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	kill = func() {
		cmd.Process.Kill()
		cmd.Wait()
		in.Close()
	}
	t.Cleanup(kill)
	lines = bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the victim is not ready")
	}
	return lines, kill
}

// What becomes of node i in the role list.
func listed(i int) bool { return i != 7 && i%3 != 0 && i != nodes-1 } // in the list when the process dies
func stays(i int) bool  { return !listed(i) && i != 7 }

// list puts nodes into the list, takes some of them out, of all places, and dies
// in the middle of a transaction on node 7.
func list(all []node) {
	k, err := Mutexes()
	if err != nil {
		panic(err)
	}
	links := map[int]*sys.RobustLink{}
	for i := range all {
		all[i].word.Store(k.TID())
		if i == 7 {
			continue
		}
		links[i] = sys.NewRobustLink(&all[i].entry)
		k.Begin(&all[i].entry)
		k.Push(links[i])
		k.End()
	}
	for _, i := range []int{12, 0, 29, 27, 15, 3, 24, 6, 9, 18, 21} { // the newest and the oldest too
		k.Begin(&all[i].entry)
		k.Drop(links[i])
		k.End()
	}
	k.Begin(&all[7].entry)
	fmt.Println("ready")
}

// TestDeathMarksTheList kills a process and looks which words the kernel has
// marked: those in the list, and that of the open transaction.
func TestDeathMarksTheList(t *testing.T) {
	all := newNodes(t)
	_, kill := victim(t, "list")
	for i := range all {
		if all[i].word.Load()&^sys.FUTEX_TID_MASK != 0 {
			t.Fatalf("word %d is marked already", i)
		}
	}
	kill()
	for i := range all {
		died := all[i].word.Load()&sys.FUTEX_OWNER_DIED != 0
		if died == stays(i) {
			t.Errorf("word %d: marked %v", i, died)
		}
	}
}

// sleep is woken as the chosen one of several sleepers, and never acts on it.
func sleep(all []node) {
	fmt.Println("ready")
	s := Sleep(&all[0].entry)
	sys.FutexWait(&all[0].word, 1|sys.FUTEX_WAITERS, nil)
	fmt.Println("woken")
	defer s.Wake()
	bufio.NewReader(os.Stdin).ReadByte()
}

// TestDeathOfTheChosenSleeper wakes one of two sleepers and kills it before it
// does anything: the other one is woken in its place.
func TestDeathOfTheChosenSleeper(t *testing.T) {
	all := newNodes(t)
	word := &all[0].word
	word.Store(1 | sys.FUTEX_WAITERS) // owned by somebody
	lines, kill := victim(t, "sleep")
	asleep(t, word, &all[1].word, 1)
	woken := make(chan error)
	go func() { woken <- sys.FutexWait(word, 1|sys.FUTEX_WAITERS, nil) }()
	asleep(t, word, &all[1].word, 2)

	word.Store(0)
	if n, err := sys.FutexWake(word, 1); n != 1 || err != nil {
		t.Fatalf("woken: %d, %v", n, err)
	}
	if !lines.Scan() || lines.Text() != "woken" {
		t.Fatalf("the first sleeper was not the chosen one: %q", lines.Text())
	}
	select {
	case <-woken:
		t.Fatal("both were woken")
	default:
	}
	kill()
	select {
	case err := <-woken:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Error("the wake-up died with the chosen one")
		sys.FutexWake(word, sys.FutexAll)
		<-woken
	}
}

// asleep waits until n threads, of any process, sleep on a word. To count them it
// moves them to another word and back, which keeps their order.
func asleep(t *testing.T, word, spare *mem.Uint32, n int) {
	t.Helper()
	const requeue = 3 // FUTEX_REQUEUE
	move := func(from, to *mem.Uint32) int {
		moved, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(from.Pointer()), requeue, 0, sys.FutexAll, uintptr(to.Pointer()), 0)
		if errno != 0 {
			t.Fatal(errno)
		}
		return int(moved)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		found := move(word, spare)
		move(spare, word)
		if found == n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d threads sleep, want %d", found, n)
		}
	}
}

// TestSleepLeavesTheThreadAsItWas announces and looks at the thread's list before
// and after.
func TestSleepLeavesTheThreadAsItWas(t *testing.T) {
	all := newNodes(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := robustList(t)
	for range 3 {
		s := Sleep(&all[0].entry)
		if s.s == nil {
			t.Fatal("nothing was announced")
		}
		during := robustList(t)
		if before != 0 && during != before {
			t.Errorf("the C library's list %#x was replaced by %#x", before, during)
		}
		if during == 0 {
			t.Error("the thread has no list")
		}
		s.Wake()
		if after := robustList(t); after != before {
			t.Errorf("list %#x before, %#x after", before, after)
		}
	}
	if len(idle.sleepers) != 1 {
		t.Errorf("%d announcements kept, want the one in use again and again", len(idle.sleepers))
	}
}

// robustList returns the address of the calling thread's robust list.
func robustList(t *testing.T) uint64 {
	t.Helper()
	head, err := sys.CurrentRobustList()
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// TestFull fills the list to the kernel's limit.
func TestFull(t *testing.T) {
	k, err := start(-8)
	if err != nil {
		t.Fatal(err)
	}
	entries := make([]sys.RobustEntry, sys.RobustLimit+1)
	for i := range sys.RobustLimit {
		if err := k.Add(&entries[i]); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	if err := k.Add(&entries[sys.RobustLimit]); err == nil || !strings.Contains(err.Error(), "2048") {
		t.Errorf("one too many: %v", err)
	}
	k.Remove(&entries[1000])
	if err := k.Add(&entries[sys.RobustLimit]); err != nil {
		t.Error(err)
	}
	for i := range entries {
		if i != 1000 {
			k.Remove(&entries[i])
		}
	}
	if k.Full() || len(k.entries) != 0 || k.list.Len() != 0 {
		t.Errorf("%d entries left, length %d", len(k.entries), k.list.Len())
	}
}
