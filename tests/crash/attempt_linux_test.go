//go:build linux && (amd64 || arm64)

package crash

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// attempt is one run of a scenario. The survivors are members in the test's
// process, each with an open file description of its own, as if in another.
type attempt struct {
	*testing.T
	scenario
	kill   int      // where the victim dies
	stop   int      // the store at which it is stopped meanwhile; 0 for none
	long   bool     // and stays so for longer than anybody's patience
	want   []string // the outcomes that docs/CRASH.md promises
	object string

	segment *shm.Segment
	table   int                // offset of the member table
	body    int                // of the structure, if the object has a name
	members []*pshared.Members // survivors ...
	named   []io.Closer        // ... and those by name
	checks  []func() error
	sleeps  []*sleep // in the order in which they began

	// What the scenario is about: a handle for each survivor.
	mutex     []*pshared.Mutex
	rwmutex   []*pshared.RWMutex
	cond      []*pshared.Cond
	semaphore []*pshared.Semaphore
	event     []*pshared.Event
	barrier   []*pshared.Barrier
	once      []*pshared.Once
	met       bool          // a survivor has met ErrOwnerDied by the way
	said      atomic.Value  // what a survivor that slept has to say
	finish    chan struct{} // closed to let a survivor's function return

	victim *rerun.Process
	passed int // stores of an operation that came to its end
	ended  bool
	halted bool      // it was stopped
	died   time.Time // when the victim, or the test about it, knew
	lost   uint64    // wake-ups, as the object counts them
}

// sleep is a survivor's wait.
type sleep struct {
	done  chan struct{}
	err   error
	ended time.Time
}

var attempts atomic.Int64

// run makes the attempt and returns the outcome.
func (a *attempt) run(binary string) (outcome string) {
	a.object = fmt.Sprintf("kill-%d", attempts.Add(1))
	if a.between != nil && a.kill != 0 && a.kill != 1 {
		a.stop = 1
	}
	defer a.close()
	a.open(a)
	var dying, second *rerun.Process
	if a.dead != nil {
		dying = rerun.Start(a.T, "dead", a.name, a.object)
		dying.Expect("ready")
		if !a.fresh {
			dying.Kill()
		}
	}
	if a.second != nil {
		second = rerun.Start(a.T, "second", a.name, a.object)
		eventually(a.T, "second sleeps", func() bool { return a.sleepers(at+8) > 0 })
		second.Stop()
	}
	a.victim = rerun.StartProgram(a.T, binary, "victim", a.name, a.object, strconv.Itoa(a.kill), strconv.Itoa(a.stop))
	a.victim.Expect("ready")
	if a.fresh && (a.second == nil || a.blocked == nil) {
		dying.Kill()
	}
	if a.scenario.sleep != nil {
		a.scenario.sleep(a)
	}
	if a.kill != 0 {
		a.victim.Say("go")
		a.perform(dying)
	}
	if a.died.IsZero() {
		a.died = time.Now()
	}
	if !a.spent || !a.ended {
		a.victim.Kill()
	}
	a.letGo(dying)
	if second != nil {
		second.Continue()
		outcome = second.ExpectWithin(bound, "")
		second.Kill()
	} else {
		outcome = a.outcome(a)
	}
	a.victim.Kill()
	deaths := uint64(0)
	if a.unborn == nil || !a.unborn(a) {
		deaths++
	}
	if a.dead != nil {
		deaths++
	}
	if second != nil {
		deaths++
	}
	a.verify(deaths)
	return outcome
}

// perform sees the victim through its operation, to an end of some kind.
func (a *attempt) perform(dying *rerun.Process) {
	slept, stopped := false, a.stop == 0
	for end := time.Now().Add(bound); ; {
		select {
		case line, ok := <-a.victim.Lines():
			switch {
			case !ok:
				a.died = time.Now()
				return
			case line == "inside":
				a.midway(a)
				a.victim.Say("go")
			default:
				if _, err := fmt.Sscanf(line, "done %d", &a.passed); err != nil {
					a.Fatalf("the victim says %q: %v", line, err)
				}
				a.ended = true
				return
			}
		case <-time.After(100 * time.Microsecond):
		}
		if !stopped && a.victim.Stopped() {
			stopped, a.halted = true, true
			if a.between != nil {
				a.between(a)
			} else {
				a.watch()
			}
			a.victim.Continue()
			end = time.Now().Add(bound)
		}
		if !slept && a.blocked != nil && a.blocked(a) {
			slept = true
			if a.kill == asleep {
				a.died = time.Now()
				a.victim.Kill()
				return
			}
			a.letGo(dying)
		}
		if time.Now().After(end) {
			a.Fatal("the victim is stuck")
		}
	}
}

// letGo lets happen what the victim may be waiting for, once.
func (a *attempt) letGo(dying *rerun.Process) {
	if a.late != nil && a.stop == 0 { // who comes while the victim is stopped could get to sleep before it
		a.late(a)
		a.late = nil
	}
	if a.release != nil {
		a.release(a)
		a.release = nil
	}
	if dying != nil {
		dying.Kill()
	}
}

// watch looks at a victim that is stopped.
func (a *attempt) watch() {
	if a.segment == nil {
		return
	}
	table := got(mem.At[layout.Members](a.segment.Bytes(), a.table))
	claims := got(mem.Array[layout.Slot](a.segment.Bytes(), a.table+layout.SlotOffset(slots, 0), slots))
	var before, after [slots]uint64
	note := func(to *[slots]uint64) {
		for i := range claims {
			to[i] = claims[i].Claim.Load()
		}
	}
	note(&before)
	deaths := table.Deaths.Load()
	if a.scenario.stopped != nil {
		a.scenario.stopped(a, a.stop)
	}
	if a.long {
		time.Sleep(300 * time.Millisecond) // the patrol and the search for lost wake-ups come by
		if a.scenario.stopped != nil {
			a.scenario.stopped(a, a.stop)
		}
	}
	note(&after)
	if before != after || table.Deaths.Load() != deaths {
		a.Errorf("while the victim was stopped, claims went from %x to %x, and %d died", before, after, table.Deaths.Load()-deaths)
	}
	if a.dead != nil || a.second != nil || a.unborn != nil {
		return // some slot is about to change hands
	}
	if free := a.fill(); free != slots-a.survivors()-1 {
		a.Errorf("while the victim was stopped, %d slots were free beside it and %d survivors", free, a.survivors())
	}
}

// fill joins until nobody can, leaves, and returns how often it could.
func (a *attempt) fill() (free int) {
	for {
		m, err := member.Join(a.segment, a.table, member.Options{})
		if errors.Is(err, member.ErrNoSlot) {
			return free
		}
		must(a.T, err)
		defer m.Leave()
		free++
	}
}

// verify checks what is true after every death, whoever died where.
func (a *attempt) verify(deaths uint64) {
	if a.segment == nil {
		return
	}
	verify := func() {
		for _, check := range a.checks {
			if err := check(); err != nil {
				a.Error(err)
			}
		}
	}
	verify()
	// Joining buries the dead: every slot without a live owner is to be had.
	if free := a.fill(); free != slots-a.survivors() {
		a.Errorf("%d of %d slots are free beside %d survivors", free, slots, a.survivors())
	}
	verify()
	table := got(mem.At[layout.Members](a.segment.Bytes(), a.table))
	a.lost = table.LostWakes.Load()
	least := deaths
	if a.dead != nil && !a.ended {
		least-- // who buries and dies may have retired an epoch and not counted it
	}
	if d := table.Deaths.Load(); d < least || d > deaths {
		a.Errorf("the object counts %d deaths, want %d to %d", d, least, deaths)
	}
	claims := uint64(1) // of one structure, by the victim and by who died before it
	if a.dead != nil {
		claims++
	}
	if r := table.Repairs.Load(); r > claims {
		a.Errorf("the object counts %d repairs, of at most %d claims", r, claims)
	}
}

func (a *attempt) close() {
	if a.victim != nil {
		a.victim.Kill()
	}
	for _, m := range a.members {
		m.Leave()
	}
	for _, n := range a.named {
		n.Close()
	}
	for _, s := range a.sleeps {
		<-s.done
	}
	if a.segment != nil {
		if err := a.segment.Remove(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			a.Error(err)
		}
		a.segment.Close()
	}
}

// make makes the segment. init then makes something in it, as a survivor.
func (a *attempt) make() *pshared.Members {
	var err error
	a.segment, err = shm.Create("/"+a.object, size, nil)
	must(a.T, err)
	return a.join()
}

// join adds a survivor.
func (a *attempt) join() *pshared.Members {
	m, err := pshared.Join(a.segment, 0, slots)
	must(a.T, err)
	a.members = append(a.members, m)
	return m
}

func (a *attempt) survivors() int { return len(a.members) + len(a.named) }

// futexRequeue is FUTEX_REQUEUE of <linux/futex.h>.
const futexRequeue = 3

// sleepers returns how many goroutines of all processes sleep on the words at
// these offsets, and wakes none: the kernel moves them from each word to itself, and
// says how many it has moved.
func (a *attempt) sleepers(offsets ...int) (n int) {
	a.Helper()
	for _, offset := range offsets {
		word := got(mem.At[mem.Uint32](a.segment.Bytes(), offset)).Pointer()
		moved, _, errno := syscall.Syscall6(syscall.SYS_FUTEX, uintptr(word), futexRequeue, 0, math.MaxInt32, uintptr(word), 0)
		if errno != 0 {
			a.Fatalf("FUTEX_REQUEUE: %v", errno)
		}
		n += int(moved)
	}
	return n
}

// sleepsIn starts a survivor on something that waits, and waits until it sleeps on a
// word at one of these offsets.
func (a *attempt) sleepsIn(f func() error, offsets ...int) {
	a.Helper()
	before := a.sleepers(offsets...)
	a.goes(f)
	eventually(a.T, "a survivor sleeps", func() bool { return a.sleepers(offsets...) > before })
}

// goes starts a survivor on something that waits.
func (a *attempt) goes(f func() error) *sleep {
	s := &sleep{done: make(chan struct{})}
	a.sleeps = append(a.sleeps, s)
	go func() {
		defer close(s.done)
		s.err = f()
		s.ended = time.Now()
	}()
	return s
}

// latencies are how long after a victim's death survivors went on that slept.
var latencies record

// stuck fails the attempt, with the object for evidence.
func (a *attempt) stuck() {
	a.Helper()
	b := a.segment.Bytes()
	a.Fatalf("killed at %s: a survivor is stuck:\n%s", pointName(a.kill), hex.Dump(b[:min(len(b), 2*at)]))
}

// ends waits until the survivor has gone on, and says what it has met.
func (a *attempt) ends(s *sleep) string {
	a.Helper()
	select {
	case <-s.done:
	case <-time.After(bound):
		a.stuck()
	}
	if !a.ended {
		latencies.add(max(0, s.ended.Sub(a.died)))
	}
	return verdict(s.err)
}

// does has a survivor do something that must not wait for long.
func (a *attempt) does(f func() error) string {
	a.Helper()
	s := a.goes(f)
	select {
	case <-s.done:
	case <-time.After(bound):
		a.stuck()
	}
	return verdict(s.err)
}

// verdict says in a word what an error is.
func verdict(err error) string {
	for _, known := range []struct {
		err  error
		name string
	}{
		{pshared.ErrOwnerDied, "ErrOwnerDied"},
		{pshared.ErrNotRecoverable, "ErrNotRecoverable"},
		{pshared.ErrNotOwner, "ErrNotOwner"},
		{pshared.ErrPeerDied, "ErrPeerDied"},
		{pshared.ErrNoSlot, "ErrNoSlot"},
		{fs.ErrNotExist, "fs.ErrNotExist"},
		{fs.ErrExist, "fs.ErrExist"},
		{context.DeadlineExceeded, "DeadlineExceeded"},
	} {
		if errors.Is(err, known.err) {
			return known.name
		}
	}
	if err != nil {
		return err.Error()
	}
	return "nil"
}
