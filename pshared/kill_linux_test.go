package pshared_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// The ledger of the kill test: plain words in a segment.
//
//	0       64 + 16 g
//	+-------+--- … --+------+-------+--- …
//	| total |        | done | acked |        a pair for each goroutine g
//	+-------+--- … --+------+-------+--- …
//
// In the lock a goroutine adds one to the total and then to what it has done, so
// that whoever comes after one that died in between can put the total right.
// Outside of it it notes what it knows to have done.
const (
	ledgerSize = 4096
	processes  = 4
	goroutines = 2
)

func doneAt(g int) int  { return 64 + 16*g }
func ackedAt(g int) int { return doneAt(g) + 8 }

type ledger struct{ words }

func (l *ledger) sum() (n uint64) {
	for g := range processes * goroutines {
		n += l.get64(doneAt(g))
	}
	return n
}

// enter is called with the lock held.
func (l *ledger) enter(mend bool) error {
	if mend {
		l.put64(0, l.sum())
	} else if total, sum := l.get64(0), l.sum(); total != sum {
		return fmt.Errorf("torn: the total is %d, the sum %d", total, sum)
	}
	return nil
}

func (l *ledger) add(g int) {
	l.put64(0, l.get64(0)+1)
	l.put64(doneAt(g), l.get64(doneAt(g))+1)
}

// object is what all primitives have.
type object interface {
	Stats() pshared.Stats
	Close() error
}

// counters are ways to add one to the ledger, each under another lock.
var counters = map[string]func(l *ledger) (add func(g int) error, p object, err error){
	"mutex": func(l *ledger) (func(int) error, object, error) {
		mu, err := pshared.OpenMutex("kill")
		return func(g int) error {
			err := mu.Lock()
			died := errors.Is(err, pshared.ErrOwnerDied)
			if err != nil && !died {
				return err
			}
			if err := l.enter(died); err != nil {
				return err
			}
			if died {
				if err := mu.MarkConsistent(); err != nil {
					return err
				}
			}
			l.add(g)
			return mu.Unlock()
		}, mu, err
	},
	"rwmutex": func(l *ledger) (func(int) error, object, error) {
		rw, err := pshared.OpenRWMutex("kill")
		return func(g int) error {
			for range 2 {
				switch err := rw.RLock(); {
				case errors.Is(err, pshared.ErrOwnerDied): // a writer's to mend
					continue
				case err != nil:
					return err
				}
				if err := l.enter(false); err != nil {
					return err
				}
				if err := rw.RUnlock(); err != nil {
					return err
				}
			}
			err := rw.Lock()
			died := errors.Is(err, pshared.ErrOwnerDied)
			if err != nil && !died {
				return err
			}
			if err := l.enter(died); err != nil {
				return err
			}
			if died {
				if err := rw.MarkConsistent(); err != nil {
					return err
				}
			}
			l.add(g)
			return rw.Unlock()
		}, rw, err
	},
	"semaphore": func(l *ledger) (func(int) error, object, error) {
		s, err := pshared.OpenSemaphore("kill", pshared.SemaphoreConfig{Value: 1, Undo: true})
		return func(g int) error {
			if err := s.Acquire(); err != nil {
				return err
			}
			l.enter(true) // it does not tell of deaths: mend each time
			l.add(g)
			return s.Release()
		}, s, err
	},
}

func init() {
	// count KIND PROCESS: adds to the ledger with all its goroutines until it is told to stop.
	roles["count"] = func(args []string) {
		seg, err := shm.Open("/ledger", nil)
		rerun.Check(err)
		l := &ledger{words{seg, 0}}
		add, p, err := counters[args[0]](l)
		rerun.Check(err)
		process, err := strconv.Atoi(args[1])
		rerun.Check(err)
		rerun.Say("ready")
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for g := process * goroutines; g < (process+1)*goroutines; g++ {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					rerun.Check(add(g))
					l.put64(ackedAt(g), l.get64(ackedAt(g))+1)
				}
			})
		}
		rerun.Hear()
		close(stop)
		wg.Wait()
		rerun.Check(p.Close())
		rerun.Say("done")
	}
}

// killRounds are the kills in an ordinary run; SHOAL_SOAK, a duration, kills for
// so long with every kind of lock.
const killRounds = 100

// Processes with several goroutines each count under a lock while they are killed
// and stopped at random. The total stays exact: nothing acknowledged is missing,
// and of each of the killed goroutines at most one addition was not acknowledged.
// After every kill the others go on.
func TestKill(t *testing.T) {
	rounds, until := killRounds, time.Time{}
	soak, err := time.ParseDuration(os.Getenv("SHOAL_SOAK"))
	if err == nil {
		rounds = 1 << 30
	} else if os.Getenv("SHOAL_SOAK") != "" {
		t.Fatal("SHOAL_SOAK: ", err)
	}
	for kind, open := range counters {
		t.Run(kind, func(t *testing.T) {
			if soak > 0 {
				until = time.Now().Add(soak)
			}
			seg := got(shm.Create("/ledger", ledgerSize, nil))(t)
			defer shm.Remove("/ledger")
			defer seg.Close()
			l := &ledger{words{seg, 0}}
			add, p, err := open(l)
			must(t, err)
			defer pshared.Remove("kill")
			defer p.Close()
			begin := func(i int) *rerun.Process {
				p := rerun.Start(t, "count", kind, strconv.Itoa(i))
				p.Expect("ready")
				return p
			}
			var all [processes]*rerun.Process
			for i := range all {
				all[i] = begin(i)
			}
			kills := 0
			for ; kills < rounds && (until.IsZero() || time.Now().Before(until)); kills++ {
				i := rand.IntN(processes)
				stopped := rand.IntN(4) == 0
				if stopped {
					all[i].Stop()
				}
				time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
				if stopped && rand.IntN(2) == 0 {
					all[i].Continue()
				}
				all[i].Kill()
				for g := i * goroutines; g < (i+1)*goroutines; g++ {
					done, acked := l.get64(doneAt(g)), l.get64(ackedAt(g))
					if done != acked && done != acked+1 {
						t.Fatalf("kill %d: goroutine %d has done %d, and knows of %d", kills, g, done, acked)
					}
					l.put64(ackedAt(g), done)
				}
				before := make([]uint64, processes)
				for k := range all {
					before[k] = l.get64(ackedAt(k * goroutines))
				}
				eventually(t, fmt.Sprintf("kill %d: every survivor goes on", kills), func() bool {
					for k := range all {
						if k != i && l.get64(ackedAt(k*goroutines)) == before[k] {
							return false
						}
					}
					return true
				})
				all[i] = begin(i)
			}
			for i := range all {
				all[i].Say("stop")
				all[i].Expect("done")
				all[i].Kill()
			}
			// The last owner may have been killed in the lock: mend, as anybody would.
			must(t, add(0))
			if total, sum := l.get64(0), l.sum(); total != sum {
				t.Errorf("total %d; want %d", total, sum)
			}
			for g := range processes * goroutines {
				want := l.get64(ackedAt(g))
				if g == 0 {
					want++ // ours
				}
				if done := l.get64(doneAt(g)); done != want {
					t.Errorf("goroutine %d has done %d, and knows of %d", g, done, want)
				}
			}
			s := p.Stats()
			t.Logf("%d kills, total %d, %+v", kills, l.get64(0), s)
			if s.Deaths != uint64(kills) {
				t.Errorf("%d deaths; want %d", s.Deaths, kills)
			}
		})
	}
}

// Without kills no wake-up is lost.
func TestNoKill(t *testing.T) {
	for kind, open := range counters {
		t.Run(kind, func(t *testing.T) {
			seg := got(shm.Create("/ledger", ledgerSize, nil))(t)
			defer shm.Remove("/ledger")
			defer seg.Close()
			l := &ledger{words{seg, 0}}
			_, p, err := open(l)
			must(t, err)
			defer pshared.Remove("kill")
			defer p.Close()
			var all [processes]*rerun.Process
			for i := range all {
				all[i] = rerun.Start(t, "count", kind, strconv.Itoa(i))
				all[i].Expect("ready")
			}
			time.Sleep(500 * time.Millisecond)
			for i := range all {
				all[i].Say("stop")
				all[i].Expect("done")
			}
			if total, sum := l.get64(0), l.sum(); total != sum || total == 0 {
				t.Errorf("total %d; want %d", total, sum)
			}
			s := p.Stats()
			t.Logf("total %d, %+v", l.get64(0), s)
			if s.LostWakes != 0 || s.Deaths != 0 || s.Repairs != 0 {
				t.Errorf("%+v; want nothing lost, nobody dead", s)
			}
		})
	}
}

func init() {
	// own: takes one of everything, and looks on command whether it is all there.
	roles["own"] = func([]string) {
		mu, err := pshared.OpenMutex("stop-mutex")
		rerun.Check(err)
		rw, err := pshared.OpenRWMutex("stop-rwmutex")
		rerun.Check(err)
		reader, err := pshared.OpenRWMutex("stop-reader")
		rerun.Check(err)
		s, err := pshared.OpenSemaphore("stop-semaphore", pshared.SemaphoreConfig{Value: 1, Undo: true})
		rerun.Check(err)
		b, err := pshared.OpenBarrier("stop-barrier", 2)
		rerun.Check(err)
		o, err := pshared.OpenOnce("stop-once")
		rerun.Check(err)
		rerun.Check(mu.Lock())
		rerun.Check(rw.Lock())
		rerun.Check(reader.RLock())
		rerun.Check(s.Acquire())
		rerun.Check(o.Do(func() error {
			rerun.Say("ready")
			rerun.Hear()
			return nil
		}))
		rerun.Check(mu.Unlock())
		rerun.Check(rw.Unlock())
		rerun.Check(reader.RUnlock())
		rerun.Check(s.Release())
		rerun.Check(b.Wait())
		rerun.Say("done")
		rerun.Hear()
	}
}

// A process that is stopped for longer than anybody here waits for anything keeps
// what it has; nobody takes it for dead.
func TestStop(t *testing.T) {
	owner := rerun.Start(t, "own")
	owner.Expect("ready")
	mu := got(pshared.OpenMutex("stop-mutex"))(t)
	rw := got(pshared.OpenRWMutex("stop-rwmutex"))(t)
	reader := got(pshared.OpenRWMutex("stop-reader"))(t)
	s := got(pshared.OpenSemaphore("stop-semaphore", pshared.SemaphoreConfig{Value: 1, Undo: true}))(t)
	b := got(pshared.OpenBarrier("stop-barrier", 2))(t)
	o := got(pshared.OpenOnce("stop-once"))(t)
	all := map[string]object{"mutex": mu, "rwmutex": rw, "reader": reader, "semaphore": s, "barrier": b, "once": o}
	for name, p := range all {
		defer pshared.Remove("stop-" + name)
		defer p.Close()
	}
	owner.Stop()
	waiters := map[string]func() error{
		"mutex":     mu.Lock,
		"rwmutex":   rw.Lock,
		"rlock":     rw.RLock,
		"reader":    reader.Lock,
		"semaphore": s.Acquire,
		"barrier":   b.Wait,
		"once":      func() error { return o.Do(func() error { return errors.New("run twice") }) },
	}
	type result struct {
		what string
		err  error
	}
	results := make(chan result)
	for what, wait := range waiters {
		go func() {
			err := wait()
			switch { // one lets the other in
			case what == "rwmutex" && err == nil:
				err = rw.Unlock()
			case what == "rlock" && err == nil:
				err = rw.RUnlock()
			}
			results <- result{what, err}
		}()
	}
	const longer = 2500 * time.Millisecond // than ticks (0.1 s), scans (1 s) and naps
	for end := time.Now().Add(longer); time.Now().Before(end); {
		for what, robbed := range map[string]func() (bool, error){"mutex": mu.TryLock, "rwmutex": rw.TryLock, "rlock": rw.TryRLock,
			"reader": reader.TryLock, "semaphore": s.TryAcquire} {
			if ok, err := robbed(); ok || err != nil {
				t.Fatalf("%s: taken from a stopped process: %v, %v", what, ok, err)
			}
		}
		select {
		case r := <-results:
			t.Fatalf("%s: %v, while its owner is stopped", r.what, r.err)
		case <-time.After(5 * time.Millisecond):
		}
	}
	owner.Continue()
	owner.Say("go")
	owner.Expect("done")
	for range waiters {
		within(t, 20*time.Second, "the waiters", func() {
			if r := <-results; r.err != nil {
				t.Errorf("%s: %v", r.what, r.err)
			}
		})
	}
	for name, p := range all {
		if s := p.Stats(); s.Deaths != 0 || s.Repairs != 0 || s.LostWakes != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	owner.Say("end")
}

func init() {
	// init ADDRESS: makes what is not there, or joins it, and counts.
	roles["init"] = func(args []string) {
		seg, err := shm.Open(args[0], nil)
		rerun.Check(err)
		rerun.Say("ready")
		rerun.Hear()
		m, err := pshared.Join(seg, 0, 16)
		rerun.Check(err)
		at := pshared.MembersFootprint(16)
		made := 0
		mu, err := pshared.InitMutex(m, at)
		if err == nil {
			made++
		} else if errors.Is(err, os.ErrExist) {
			mu, err = pshared.JoinMutex(m, at)
		}
		rerun.Check(err)
		s, err := pshared.InitSemaphore(m, at+64, pshared.SemaphoreConfig{Value: 5})
		if err == nil {
			made++
		} else if errors.Is(err, os.ErrExist) {
			s, err = pshared.JoinSemaphore(m, at+64)
		}
		rerun.Check(err)
		if len(args) > 1 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		w := &words{seg, at}
		for range 500 {
			if err := mu.Lock(); errors.Is(err, pshared.ErrOwnerDied) {
				rerun.Check(mu.MarkConsistent())
			} else {
				rerun.Check(err)
			}
			w.put64(spare, w.get64(spare)+1)
			rerun.Check(mu.Unlock())
		}
		rerun.Check(s.Acquire())
		rerun.Check(s.Release())
		rerun.Say("made", made, s.Value())
		m.Leave()
	}
}

// Many processes come at the same moment; each primitive is made exactly once.
// Some die just after.
func TestInitRace(t *testing.T) {
	for round := range 10 {
		addr := []string{"/race", "sysv:0x5351"}[round%2]
		seg := got(shm.Create(addr, 1<<16, nil))(t)
		var all []*rerun.Process
		const n = 6
		for i := range n {
			args := []string{addr}
			if i == 0 {
				args = append(args, "die")
			}
			all = append(all, rerun.Start(t, "init", args...))
		}
		for _, p := range all {
			p.Expect("ready")
		}
		for _, p := range all {
			p.Say("go")
		}
		made := 0
		for _, p := range all[1:] {
			var k, value int
			fmt.Sscan(p.Expect("made"), &k, &value)
			made += k
			if value < 1 || value > 5 {
				t.Errorf("semaphore of value %d; want up to 5", value)
			}
		}
		for _, p := range all {
			p.Kill()
		}
		if made > 2 {
			t.Errorf("two primitives, made %d times", made)
		}
		at := pshared.MembersFootprint(16)
		if n, want := (&words{seg, at}).get64(spare), uint64(500*(n-1)); n != want {
			t.Errorf("counted %d; want %d", n, want)
		}
		if round%2 == 1 {
			info := got(seg.Stat())(t)
			shm.Remove(fmt.Sprintf("/shoal.sysv-%d", info.ID))
		}
		must(t, seg.Remove())
		seg.Close()
	}
}
