//go:build linux && (amd64 || arm64)

package posix_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/posix"
)

// newMutex makes a mutex at offset 0 of a new room.
func newMutex(t testing.TB, typ posix.MutexType) (room []byte, m *posix.Mutex) {
	t.Helper()
	room = newRoom(t)
	m, err := posix.MutexInit(room, 0, typ)
	must(t, err)
	t.Cleanup(func() { m.Close() })
	return room, m
}

// image is what lies in a mutex's bytes, without what differs from process to
// process: thread ids become 1, addresses 2.
func image(b []byte) string {
	b = bytes.Clone(b[:posix.MutexSize])
	for _, at := range []int{0, mutexOwner} {
		if w := word(b, at); w&threadMask != 0 && w != 0x7fffffff && w != 0x7ffffffe {
			binary.LittleEndian.PutUint32(b[at:], w&^threadMask|1)
		}
	}
	for _, at := range []int{24, 32} {
		if binary.LittleEndian.Uint64(b[at:]) != 0 {
			binary.LittleEndian.PutUint64(b[at:], 2)
		}
	}
	return hex(b)
}

// TestMutexBytes does the same in C and in Go and compares the memory after
// every step.
func TestMutexBytes(t *testing.T) {
	room := newRoom(t)
	c := startC(t, buildPeer(t))
	if got, want := c.do("size"), fmt.Sprintf("%d %d", posix.MutexSize, posix.SemSize); got != want {
		t.Fatalf("C has sizes %s, Go %s", got, want)
	}
	for typ, typeInC := range map[posix.MutexType]int{posix.MutexNormal: -1, posix.MutexErrorCheck: 2} {
		inGo := room[1024:]
		copy(inGo[:posix.MutexSize], bytes.Repeat([]byte{0xa5}, posix.MutexSize))
		copy(room, inGo[:posix.MutexSize])

		c.want(0, "init %d %d %d 0", typeInC, shared, robust)
		m, err := posix.MutexInit(room, 1024, typ)
		must(t, err)
		die := func(b []byte) { // as the kernel writes it
			binary.LittleEndian.PutUint32(b, diedBit)
			binary.LittleEndian.PutUint32(b[mutexOwner:], 1<<21+1)
			binary.LittleEndian.PutUint32(b[12:], 1)
		}
		for i, step := range []struct {
			c    string
			code syscall.Errno
			gone func() error
			held bool
		}{
			{c: ""},
			{"lock", 0, m.Lock, true},
			{"unlock", 0, m.Unlock, false},
			{"unlock", syscall.EPERM, m.Unlock, false},
			{"consistent", syscall.EINVAL, m.MarkConsistent, false},
			{"trylock", 0, m.TryLock, true},
			{"consistent", syscall.EINVAL, m.MarkConsistent, true},
			{"unlock", 0, m.Unlock, false},
			{c: "died"},
			{"lock", syscall.EOWNERDEAD, m.Lock, true},
			{"consistent", 0, m.MarkConsistent, true},
			{"unlock", 0, m.Unlock, false},
			{c: "died"},
			{"trylock", syscall.EOWNERDEAD, m.TryLock, true},
			{"unlock", 0, m.Unlock, false}, // not consistent
			{"lock", syscall.ENOTRECOVERABLE, m.Lock, false},
		} {
			switch step.c {
			case "":
			case "died":
				die(room)
				die(inGo)
			default:
				c.want(step.code, "%s", step.c)
				err := step.gone()
				if step.code == 0 && err != nil || step.code != 0 && !errors.Is(err, step.code) {
					t.Fatalf("step %d: %s: Go returned %v, C %d", i, step.c, err, step.code)
				}
			}
			want, got := image(room), image(inGo)
			if step.held {
				// A Go owner's list has no use for backward links.
				want = strings.Replace(want, "00000002 00000000 00000002", "00000000 00000000 00000002", 1)
			}
			if step.code == syscall.ENOTRECOVERABLE {
				// C takes it, and clears the count, to see that; Go looks.
				want = want[:9] + "00000001" + want[17:]
			}
			if got != want {
				t.Errorf("type %d, step %d: after %q\n Go: %s\n C:  %s", typ, i, step.c, got, want)
			}
		}
		must(t, m.Close())
	}
}

// TestMutexRefuses looks at what is no mutex for us.
func TestMutexRefuses(t *testing.T) {
	room := newRoom(t)
	c := startC(t, buildPeer(t))
	for _, kind := range []struct {
		name                           string
		typ, pshared, robust, protocol int
		says                           string
	}{
		{"not robust", 0, 1, 0, 0, "not robust"},
		{"private", 0, 0, 0, 0, "not robust"}, // glibc makes every robust one process-shared
		{"recursive", 1, 1, 1, 0, "recursive"},
		{"inheriting", 0, 1, 1, 1, "priority"},
		{"protected", 0, 1, 0, 2, "priority"},
	} {
		c.want(0, "init %d %d %d %d", kind.typ, kind.pshared, kind.robust, kind.protocol)
		before := bytes.Clone(room)
		_, err := posix.MutexAt(room, 0)
		wantErr(t, err, "pthread_mutex", "offset 0", syscall.EINVAL)
		if err != nil && !strings.Contains(err.Error(), kind.says) {
			t.Errorf("%s: error %q does not say %q", kind.name, err, kind.says)
		}
		if !bytes.Equal(before, room) {
			t.Errorf("%s: refused, but changed", kind.name)
		}
	}
	c.want(0, "init 0 1 1 0")
	c.want(0, "destroy")
	if _, err := posix.MutexAt(room, 0); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "destroyed") {
		t.Errorf("destroyed: %v", err)
	}
	clear(room)
	if _, err := posix.MutexAt(room, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("zeros: %v", err)
	}
	for _, offset := range []int{-8, 4, roomSize - posix.MutexSize + 8, roomSize, 1 << 62} {
		_, err := posix.MutexInit(room, offset, posix.MutexNormal)
		wantErr(t, err, "pthread_mutex_init", fmt.Sprintf("offset %d", offset), syscall.EINVAL)
		if _, err := posix.MutexAt(room, offset); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("at %d: %v", offset, err)
		}
	}
	if _, err := posix.MutexInit(room, 0, 1); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("recursive: %v", err)
	}
	if !bytes.Equal(room, make([]byte, roomSize)) {
		t.Error("a refused mutex was written all the same")
	}
}

// TestMutexMadeInC locks every type that C can make for us.
func TestMutexMadeInC(t *testing.T) {
	room := newRoom(t)
	c := startC(t, buildPeer(t))
	for _, typ := range []int{-1, 0, 2, 3} { // by default, normal, error-checking, adaptive
		c.want(0, "init %d 1 1 0", typ)
		m, err := posix.MutexAt(room, 0)
		must(t, err)
		must(t, m.Lock())
		c.want(syscall.EBUSY, "trylock")
		c.want(syscall.EPERM, "unlock")
		c.want(syscall.ETIMEDOUT, "timedlock 5")
		must(t, m.Unlock())
		c.want(0, "lock")
		wantErr(t, m.TryLock(), "pthread_mutex_trylock", "offset 0", syscall.EBUSY)
		wantErr(t, m.Unlock(), "pthread_mutex_unlock", "offset 0", syscall.EPERM)
		wantErr(t, m.MarkConsistent(), "pthread_mutex_consistent", "offset 0", syscall.EINVAL)

		locked := make(chan error)
		go func() { locked <- m.Lock() }()
		eventually(t, "Go sleeps", func() bool { return word(room, 0)&waitersBit != 0 })
		c.want(0, "unlock")
		must(t, within(t, "Go gets the mutex", locked))

		c.send("lock")
		eventually(t, "C sleeps", func() bool { return word(room, 0)&waitersBit != 0 })
		c.silent()
		must(t, m.Unlock())
		if got := c.answer(); got != "0" {
			t.Fatalf("C: lock: %s", got)
		}
		c.want(0, "unlock")

		// Destroyed and made anew as something else, under our feet.
		c.want(0, "destroy")
		wantErr(t, m.Lock(), "pthread_mutex_lock", "offset 0", syscall.EINVAL)
		must(t, m.Close())
	}
}

// within receives from a channel.
func within[T any](t testing.TB, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("still waiting for: %s", what)
		panic("unreachable")
	}
}

// TestMutexWakesOneAfterTheOther has Go and C sleep in line: whoever has slept
// remembers that others may.
func TestMutexWakesOneAfterTheOther(t *testing.T) {
	room, m := newMutex(t, posix.MutexNormal)
	program := buildPeer(t)
	owner, last := startC(t, program), startC(t, program)
	first := 0
	for range 20 {
		owner.want(0, "lock")
		locked := make(chan error, 1)
		go func() { locked <- m.Lock() }()
		sleepers(t, room, 1)
		last.send("lock")
		sleepers(t, room, 2)
		owner.want(0, "unlock")
		// The kernel wakes the first in line, which is C if a signal has sent the
		// goroutine's thread to its end.
		select {
		case err := <-locked:
			first++
			must(t, err)
			last.silent()
			must(t, m.Unlock())
			if got := last.answer(); got != "0" {
				t.Fatalf("C: lock: %s", got)
			}
			last.want(0, "unlock")
		case got := <-last.lines:
			if got != "0" {
				t.Fatalf("C: lock: %s", got)
			}
			last.want(0, "unlock")
			must(t, within(t, "Go wakes", locked))
			must(t, m.Unlock())
		case <-time.After(patience):
			t.Fatal("nobody wakes")
		}
	}
	if t.Logf("Go was first %d times of 20", first); first == 0 {
		t.Error("Go was never first in line")
	}
}

// TestMutexOwnerDeathInC kills a C owner: a waiting goroutine gets the mutex and
// is told.
func TestMutexOwnerDeathInC(t *testing.T) {
	room, m := newMutex(t, posix.MutexNormal)
	program := buildPeer(t)
	for _, ends := range []string{"at rest", "waited for"} {
		c := startC(t, program)
		c.want(0, "lock")
		if ends == "at rest" {
			c.kill()
			wantErr(t, m.TryLock(), "pthread_mutex_trylock", "offset 0", posix.ErrOwnerDied)
		} else {
			locked := make(chan error)
			go func() { locked <- m.Lock() }()
			eventually(t, "Go sleeps", func() bool { return word(room, 0)&waitersBit != 0 })
			c.send("die")
			wantErr(t, within(t, "Go gets the mutex", locked), "pthread_mutex_lock", "offset 0", posix.ErrOwnerDied)
		}
		must(t, m.MarkConsistent())
		must(t, m.Unlock())
		must(t, m.Lock())
		must(t, m.Unlock())
	}

	// Not marked consistent: whoever waits, in C and in Go, learns that it is over.
	c, waiter := startC(t, program), startC(t, program)
	c.want(0, "lock")
	c.kill()
	if err := m.Lock(); !errors.Is(err, posix.ErrOwnerDied) || !errors.Is(err, syscall.EOWNERDEAD) {
		t.Fatal(err)
	}
	waiter.send("lock")
	eventually(t, "C sleeps", func() bool { return word(room, 0)&waitersBit != 0 })
	results := make(chan error)
	for range 3 {
		go func() { results <- m.Lock() }()
	}
	sleepers(t, room, 2)
	must(t, m.Unlock())
	for range 3 {
		if err := within(t, "a goroutine gives up", results); !errors.Is(err, posix.ErrNotRecoverable) || !errors.Is(err, syscall.ENOTRECOVERABLE) {
			t.Errorf("a goroutine: %v", err)
		}
	}
	if got := waiter.answer(); got != fmt.Sprint(int(syscall.ENOTRECOVERABLE)) {
		t.Errorf("C: lock: %s", got)
	}
	wantErr(t, m.TryLock(), "pthread_mutex_trylock", "offset 0", posix.ErrNotRecoverable)
}

// TestMutexNotRecoverableInC has C give the mutex up while goroutines wait behind
// C threads.
func TestMutexNotRecoverableInC(t *testing.T) {
	room, m := newMutex(t, posix.MutexNormal)
	program := buildPeer(t)
	victim, c := startC(t, program), startC(t, program)
	victim.want(0, "lock")
	victim.kill()
	c.want(syscall.EOWNERDEAD, "lock")
	other, err := posix.MutexAt(enterRoom(t), 0)
	must(t, err)
	results := make(chan error)
	for range 3 {
		go func() { results <- m.Lock() }()
		go func() { results <- other.Lock() }()
	}
	sleepers(t, room, 2)
	c.want(0, "unlock")
	for range 6 {
		if err := within(t, "a goroutine gives up", results); !errors.Is(err, posix.ErrNotRecoverable) {
			t.Errorf("a goroutine: %v", err)
		}
	}
	must(t, other.Close())
}

func init() {
	roles["mutex hold"] = func() string {
		m := roleMutex()
		err := m.Lock()
		other, at := posix.MutexAt(roleRoom(), 1024)
		if at == nil && other.Lock() == nil && other.Unlock() == nil {
			fmt.Println("held", err)
		}
		time.Sleep(time.Hour) // killed meanwhile; not select: the runtime would call it a deadlock
		return "nobody has killed it"
	}
	roles["mutex wait"] = func() string {
		m := roleMutex()
		return fmt.Sprint("got ", m.Lock(), "\n") // and exits with it
	}
	roles["mutex count"] = func() string {
		b, m := roleRoom(), roleMutex()
		fmt.Println("ready")
		var done sync.WaitGroup
		for me := 1; me <= 3; me++ {
			done.Go(func() { count(b, m, me) })
		}
		done.Wait()
		return "0\n"
	}
}

// roleRoom maps the room, in a role.
func roleRoom() []byte {
	f, err := posix.ShmOpen(nameOfRoom, os.O_RDWR, 0)
	if err != nil {
		panic(err)
	}
	b, err := posix.Mmap(f, 0, roomSize, posix.ProtRead|posix.ProtWrite)
	if err != nil {
		panic(err)
	}
	return b
}

// roleMutex joins the mutex in the room, in a role.
func roleMutex() *posix.Mutex {
	m, err := posix.MutexAt(roleRoom(), 0)
	if err != nil {
		panic(err)
	}
	return m
}

// TestMutexOwnerDeathInGo kills a Go owner: a waiting C thread gets the mutex and
// is told.
func TestMutexOwnerDeathInGo(t *testing.T) {
	room, m := newMutex(t, posix.MutexErrorCheck)
	c := startC(t, buildPeer(t))
	other, err := posix.MutexInit(room, 1024, posix.MutexNormal) // held for a moment in between
	must(t, err)
	defer other.Close()

	owner := startGo(t, "mutex hold")
	if got := owner.answer(); got != "held <nil>" {
		t.Fatal(got)
	}
	owner.kill()
	owner = startGo(t, "mutex hold") // the next one is told, and dies too
	if got := owner.answer(); !strings.Contains(got, "last owner died") {
		t.Fatal(got)
	}
	owner.kill()
	c.want(syscall.EOWNERDEAD, "trylock")
	must(t, other.TryLock())
	must(t, other.Unlock())
	c.want(0, "consistent")
	c.want(0, "unlock")

	owner = startGo(t, "mutex hold")
	owner.answer()
	c.send("lock")
	eventually(t, "C sleeps", func() bool { return word(room, 0)&waitersBit != 0 })
	c.silent()
	owner.kill()
	if got := c.answer(); got != fmt.Sprint(int(syscall.EOWNERDEAD)) {
		t.Fatalf("C: lock: %s", got)
	}
	c.want(0, "consistent")

	// One that exits holding it, in the usual way, has died too.
	heir := startGo(t, "mutex wait")
	eventually(t, "Go sleeps", func() bool { return word(room, 0)&waitersBit != 0 })
	c.want(0, "unlock")
	if got := heir.answer(); got != "got <nil>" {
		t.Fatal(got)
	}
	if err := m.Lock(); !errors.Is(err, posix.ErrOwnerDied) {
		t.Fatal(err)
	}
	must(t, m.MarkConsistent())
	must(t, m.Unlock())
	c.want(0, "lock")
	c.want(0, "unlock")
}

// TestMutexOtherBuild runs the tests of death in a binary built with cgo if this
// one was not, and without if it was.
func TestMutexOtherBuild(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a test binary")
	}
	flag := "CGO_ENABLED=1"
	if cgo {
		flag = "CGO_ENABLED=0"
	}
	binary := filepath.Join(t.TempDir(), "test")
	build := exec.Command("go", "test", "-c", "-o", binary, ".")
	build.Env = append(os.Environ(), flag)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run := exec.Command(binary, "-test.v", "-test.run=^TestMutex(OwnerDeath|Goroutines|SharedByGoAndC|Context)", "-test.short")
	out, err := run.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestMutexOwnerDeathInGo") {
		t.Errorf("%s: %v\n%s", flag, err, out)
	}
}

// count counts with everybody else up to the target; see count in the C program.
func count(b []byte, m *posix.Mutex, me int) {
	at := func(offset int) int64 { return int64(binary.LittleEndian.Uint64(b[offset:])) }
	put := func(offset int, v int64) { binary.LittleEndian.PutUint64(b[offset:], uint64(v)) }
	for {
		err := m.Lock()
		if errors.Is(err, posix.ErrOwnerDied) {
			sum := int64(0)
			for i := range 8 {
				sum += at(mineAt + 8*i)
			}
			if total := at(totalAt); total != sum && total != sum+1 {
				panic(fmt.Sprintf("total %d of %d", total, sum))
			}
			put(totalAt, sum)
			put(deathsAt, at(deathsAt)+1)
			err = m.MarkConsistent()
		}
		if err != nil {
			panic(err)
		}
		total := at(totalAt)
		if total >= at(targetAt) {
			if err := m.Unlock(); err != nil {
				panic(err)
			}
			return
		}
		if total >= at(limitAt) {
			if err := m.Unlock(); err != nil {
				panic(err)
			}
			time.Sleep(50 * time.Microsecond)
			continue
		}
		put(totalAt, total+1)
		for range 5000 { // time to die in
			at(totalAt)
		}
		put(mineAt+8*me, at(mineAt+8*me)+1)
		if err := m.Unlock(); err != nil {
			panic(err)
		}
	}
}

// checkCount compares the total with what each has done.
func checkCount(t *testing.T, room []byte, target int) {
	t.Helper()
	sum, shares := uint64(0), []string(nil)
	for i := range 8 {
		n := binary.LittleEndian.Uint64(room[mineAt+8*i:])
		sum += n
		shares = append(shares, strconv.FormatUint(n, 10))
	}
	total := binary.LittleEndian.Uint64(room[totalAt:])
	t.Logf("total %d: %s", total, strings.Join(shares, " + "))
	if total != uint64(target) || sum != uint64(target) {
		t.Errorf("total %d, sum %d, want %d", total, sum, target)
	}
}

const rounds = 100_000

func setTarget(room []byte, target, limit int) {
	binary.LittleEndian.PutUint64(room[targetAt:], uint64(target))
	binary.LittleEndian.PutUint64(room[limitAt:], uint64(limit))
}

// TestMutexSharedByGoAndC counts in C and in Go processes at once.
func TestMutexSharedByGoAndC(t *testing.T) {
	room, _ := newMutex(t, posix.MutexNormal)
	setTarget(room, rounds, rounds)
	c, g := startC(t, buildPeer(t)), startGo(t, "mutex count")
	g.answer()
	c.send("count 0")
	for _, p := range []*peer{c, g} {
		if got := p.answer(); got != "0" {
			t.Error(got)
		}
	}
	checkCount(t, room, rounds)
}

// TestMutexSharedWithKills does the same in stages, and kills one side in the
// middle of each.
func TestMutexSharedWithKills(t *testing.T) {
	room, _ := newMutex(t, posix.MutexNormal)
	stages, target := 100, rounds
	if testing.Short() {
		stages, target = stages/5, rounds/5
	}
	setTarget(room, target, 0)
	program := buildPeer(t)
	starts := []func() *peer{
		func() *peer {
			p := startC(t, program)
			p.send("count 0")
			return p
		},
		func() *peer {
			p := startGo(t, "mutex count")
			p.answer()
			return p
		},
	}
	done := []func() uint64{
		func() uint64 { return binary.LittleEndian.Uint64(room[mineAt:]) },
		func() (n uint64) {
			for me := 1; me <= 3; me++ {
				n += binary.LittleEndian.Uint64(room[mineAt+8*me:])
			}
			return n
		},
	}
	peers := []*peer{starts[0](), starts[1]()}
	total := func() uint64 { return binary.LittleEndian.Uint64(room[totalAt:]) }
	for stage := range stages {
		limit := uint64(target * (stage + 1) / stages)
		victim := stage % 2
		before := done[victim]()
		setTarget(room, target, int(limit))
		eventually(t, fmt.Sprintf("side %d counts after %d kills: total %d, %s", victim, stage, total(), hex(room[:posix.MutexSize])),
			func() bool { return done[victim]() > before+uint64(stage%37) || total() >= limit })
		peers[victim].kill()
		peers[victim] = starts[victim]()
		eventually(t, fmt.Sprintf("the others go on after %d kills: total %d, %s", stage+1, total(), hex(room[:posix.MutexSize])),
			func() bool { return total() >= limit })
	}
	for _, p := range peers {
		if got := p.answer(); got != "0" {
			t.Errorf("a peer: %s", got)
		}
	}
	deaths := binary.LittleEndian.Uint64(room[deathsAt:])
	t.Logf("%d kills, %d of them of an owner", stages, deaths)
	if deaths == 0 {
		t.Error("nobody was killed holding the mutex: this tests nothing")
	}
	checkCount(t, room, target)
}

// TestMutexGoroutines has goroutines of this process contend, through one handle
// and through two.
func TestMutexGoroutines(t *testing.T) {
	room, m := newMutex(t, posix.MutexNormal)
	other, err := posix.MutexAt(enterRoom(t), 0)
	must(t, err)
	const target = 20_000
	setTarget(room, target, target)
	var done sync.WaitGroup
	for me := range 8 {
		done.Go(func() {
			if me%2 == 0 {
				count(room, m, me)
			} else {
				count(room, other, me)
			}
		})
	}
	done.Wait()
	checkCount(t, room, target)
	must(t, other.Close())

	// Two mutexes, locked in turn and unlocked in either order: the list holds both.
	second, err := posix.MutexInit(room, 1024, posix.MutexNormal)
	must(t, err)
	for i := range 4 {
		must(t, m.Lock())
		must(t, second.Lock())
		wantErr(t, second.Close(), "close", "offset 1024", syscall.EBUSY)
		first, last := m, second
		if i%2 == 0 {
			first, last = last, first
		}
		must(t, first.Unlock())
		must(t, last.Unlock())
	}
	must(t, second.Close())
}

// TestMutexContext ends waits by their context, and sees that nobody sleeps on
// beside a free mutex.
func TestMutexContext(t *testing.T) {
	room, m := newMutex(t, posix.MutexNormal)
	c := startC(t, buildPeer(t))
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	wantErr(t, m.LockContext(canceled), "pthread_mutex_timedlock", "offset 0", context.Canceled)

	must(t, m.Lock())
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	wantErr(t, m.LockContext(ctx), "pthread_mutex_timedlock", "offset 0", context.DeadlineExceeded)
	cancel()

	// Many who give up at all times, while the mutex goes back and forth.
	must(t, m.Unlock())
	var done sync.WaitGroup
	locked := 0 // guarded by the mutex
	for g := range 4 {
		done.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(g*i%200)*time.Microsecond)
				switch err := m.LockContext(ctx); {
				case err == nil:
					locked++
					if err := m.Unlock(); err != nil {
						t.Error(err)
					}
				case !errors.Is(err, context.DeadlineExceeded):
					t.Error(err)
				}
				cancel()
			}
		})
	}
	for range 2000 {
		c.want(0, "timedlock 20000")
		c.want(0, "unlock")
	}
	done.Wait()
	if locked == 0 {
		t.Error("no goroutine ever got the mutex")
	}
	c.want(0, "trylock")
	c.want(0, "unlock")
	if w := word(room, 0); w != 0 {
		t.Errorf("free mutex: word %#x", w)
	}
}

// TestMutexCanceledWaiterPassesOn cancels a sleeper that an unlock has chosen. The
// next sleeper must not notice.
func TestMutexCanceledWaiterPassesOn(t *testing.T) {
	room, m := newMutex(t, posix.MutexNormal)
	c := startC(t, buildPeer(t))
	for range 200 {
		must(t, m.Lock())
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error)
		go func() { result <- m.LockContext(ctx) }()
		eventually(t, "Go sleeps", func() bool { return word(room, 0)&waitersBit != 0 })
		c.send("lock")
		go cancel()
		must(t, m.Unlock())
		if err := <-result; err == nil {
			must(t, m.Unlock())
		}
		if got := c.answer(); got != "0" {
			t.Fatalf("C: lock: %s", got)
		}
		c.want(0, "unlock")
		cancel()
	}
}

// TestMutexClose sees waiters off.
func TestMutexClose(t *testing.T) {
	room, m := newMutex(t, posix.MutexNormal)
	other, err := posix.MutexAt(room, 0)
	must(t, err)
	must(t, other.Lock())
	wantErr(t, m.Unlock(), "pthread_mutex_unlock", "offset 0", syscall.EPERM) // not through this handle
	results := make(chan error)
	for range 3 {
		go func() { results <- m.Lock() }()
	}
	eventually(t, "Go sleeps", func() bool { return word(room, 0)&waitersBit != 0 })
	must(t, m.Close())
	for range 3 {
		wantErr(t, within(t, "a waiter leaves", results), "pthread_mutex_lock", "offset 0", os.ErrClosed)
	}
	for _, err := range []error{m.Lock(), m.TryLock(), m.Unlock(), m.MarkConsistent(), m.Close()} {
		if !errors.Is(err, os.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	}
	must(t, other.Unlock())
	must(t, other.Close())
	if w := word(room, 0); w != 0 {
		t.Errorf("free mutex: word %#x", w)
	}
}

// TestMutexDamage has a faulty peer write over a locked mutex.
func TestMutexDamage(t *testing.T) {
	room, m := newMutex(t, posix.MutexNormal)
	second, err := posix.MutexInit(room, 1024, posix.MutexNormal)
	must(t, err)
	must(t, m.Lock())
	must(t, second.Lock())
	for i := range 8 { // the links of the list, and then the word
		room[24+i], room[32+i], room[1024+32+i] = 0xff, 0x55, 0x77
	}
	binary.LittleEndian.PutUint32(room, 12345)
	wantErr(t, m.Unlock(), "pthread_mutex_unlock", "offset 0", syscall.EPERM)
	if w := word(room, 0); w != 12345 {
		t.Errorf("word of another owner: %#x", w)
	}
	must(t, second.Unlock())
	must(t, second.Lock())
	must(t, second.Unlock())
	must(t, second.Close())
}

// BenchmarkMutex locks and unlocks without contention, beside C in the same run.
func BenchmarkMutex(b *testing.B) {
	_, m := newMutex(b, posix.MutexNormal)
	c := startC(b, buildPeer(b))
	for b.Loop() {
		m.Lock()
		m.Unlock()
	}
	here := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
	there, err := strconv.ParseFloat(c.do("bench_mutex 1000000"), 64)
	must(b, err)
	b.ReportMetric(there, "C-ns/op")
	b.ReportMetric(here/there, "ratio")
}
