//go:build linux && (amd64 || arm64)

package conformance

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/shm"
)

// TestBell measures how soon a waiter in one language hears that an owner in the other has died. The net below the
// bells is drawn every 100 ms: what is well below that was heard.
func TestBell(t *testing.T) {
	const rounds = 15
	all := languages(t)
	for _, owner := range all {
		for _, waiter := range all {
			t.Run(owner.name+","+waiter.name, func(t *testing.T) {
				defer object.Remove("object", func(layout.Kind) bool { return true })
				w := waiter.start(t)
				w.Say("mutex open object")
				w.Expect("ok")
				o, err := object.Open("object", object.Spec{})
				must(t, err)
				defer o.Segment.Close()
				state, err := mem.At[mem.Uint64](o.Segment.Bytes(), o.Body+8)
				must(t, err)
				var took []time.Duration
				for range rounds {
					victim := owner.start(t)
					for _, line := range []string{"mutex open object", "mutex lock"} {
						victim.Say(line)
						victim.Expect("ok")
					}
					w.Say("mutex lock")
					eventually(t, "the waiter sleeps", func() bool { return state.Load()&layout.LockWaiters != 0 })
					begin := time.Now()
					go victim.Kill()
					w.Expect("ownerdied")
					took = append(took, time.Since(begin))
					victim.Kill()
					for _, line := range []string{"mutex mark", "mutex unlock"} {
						w.Say(line)
						w.Expect("ok")
					}
				}
				slices.Sort(took)
				t.Logf("from SIGKILL to the lock: median %v, worst %v", took[rounds/2], took[rounds-1])
				if took[rounds/2] > 20*time.Millisecond {
					t.Errorf("half of the waiters needed more than %v", took[rounds/2])
				}
			})
		}
	}
}

// crew is the workers of a kill test, of all languages in turn, and their ledger.
type crew struct {
	t         *testing.T
	languages []language
	open      string // what a worker says first
	work      string // and then, with its number
	processes []*rerun.Process
	ledger    []mem.Uint64
	bytes     []byte // all of it
}

func hire(t *testing.T, n int, open, work string) *crew {
	t.Helper()
	seg, err := shm.Create("/ledger", 4096+numbers/2, nil)
	must(t, err)
	t.Cleanup(func() {
		seg.Close()
		must(t, shm.Remove("/ledger"))
	})
	ledger, err := mem.Array[mem.Uint64](seg.Bytes(), 0, n)
	must(t, err)
	c := &crew{t: t, languages: languages(t), open: open, work: work, processes: make([]*rerun.Process, n), ledger: ledger, bytes: seg.Bytes()}
	for i := range c.processes {
		c.employ(i)
	}
	return c
}

// employ starts worker i.
func (c *crew) employ(i int) {
	c.t.Helper()
	p := c.languages[i%len(c.languages)].start(c.t)
	for _, line := range []string{"segment open /ledger", c.open} {
		p.Say(line)
		p.Expect("ok")
	}
	p.Say(fmt.Sprintf("%s %d", c.work, i))
	c.processes[i] = p
}

// done is how many rounds the workers have acknowledged.
func (c *crew) done() (n uint64) {
	for i := range c.ledger {
		n += c.ledger[i].Load()
	}
	return n
}

// kill kills n workers, one after another, each after some work, and employs new ones.
func (c *crew) kill(n int) {
	c.t.Helper()
	for range n {
		before := c.done()
		eventually(c.t, "work goes on", func() bool { return c.done() > before+20 })
		time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
		i := rand.IntN(len(c.processes))
		select {
		case line := <-c.processes[i].Lines():
			c.t.Fatalf("worker %d has ended by itself: %q", i, line)
		default:
		}
		c.processes[i].Kill()
		c.employ(i)
	}
	before := c.done()
	eventually(c.t, "work goes on", func() bool { return c.done() > before+1000 })
	for _, p := range c.processes {
		p.Kill()
	}
}

// TestKillMutex kills workers of both languages at any moment: what they have acknowledged has been counted, nobody has
// seen a half-changed count, and the others go on.
func TestKillMutex(t *testing.T) {
	const kills, workers = 120, 4
	defer object.Remove("object", func(layout.Kind) bool { return true })
	c := hire(t, workers, "mutex open object", "mutex work")
	c.kill(kills)

	mu, err := options.OpenMutex("object")
	must(t, err)
	defer mu.Close()
	data, err := dataOf("object")
	must(t, err)
	defer mapped.Swap(nil).Close()
	err = mu.Lock()
	if err != nil && !strings.HasPrefix(wordFor(err), "ownerdied") {
		t.Fatal(err)
	}
	counted, acknowledged := word(data, 0).Load(), c.done()
	if counted < acknowledged || counted > acknowledged+kills+workers {
		t.Errorf("%d rounds were counted, %d acknowledged, %d processes killed", counted, acknowledged, kills+workers)
	}
	must(t, mu.MarkConsistent())
	must(t, mu.Unlock())
	must(t, mu.Check())
	s := mu.Stats()
	t.Logf("%d rounds; %+v", counted, s)
	checkDeaths(t, s, kills+workers)
}

// TestKillSemaphore does the same to holders of permits: in the end all are there.
func TestKillSemaphore(t *testing.T) {
	const kills, workers, permits = 80, 4, 2
	defer object.Remove("object", func(layout.Kind) bool { return true })
	c := hire(t, workers, fmt.Sprintf("semaphore open object undo %d", permits), "semaphore work")
	c.kill(kills)

	s, err := options.OpenSemaphore("object", pshared.SemaphoreConfig{Value: permits, Undo: true})
	must(t, err)
	defer s.Close()
	if got := s.Value(); got != permits {
		t.Errorf("%d permits are left of %d", got, permits)
	}
	must(t, s.Check())
	t.Logf("%d rounds; %+v", c.done(), s.Stats())
	checkDeaths(t, s.Stats(), kills+workers)
}

// TestKillRing kills the writer or the reader of a ring in mid-stream, at any moment, in all pairs of languages: the
// next one goes on, no record is lost, torn or out of order, and none comes again that was released.
func TestKillRing(t *testing.T) {
	const kills = 25
	all := languages(t)
	for _, writes := range all {
		for _, reads := range all {
			t.Run(writes.name+","+reads.name, func(t *testing.T) {
				defer object.Remove("object", func(layout.Kind) bool { return true })
				seg, err := shm.Create("/ledger", 4096, nil)
				must(t, err)
				defer func() {
					seg.Close()
					must(t, shm.Remove("/ledger"))
				}()
				next := word(seg.Bytes(), 0) // as the reader has acknowledged it
				ends := []struct {
					language
					port, work string
					process    *rerun.Process
					died       int
				}{{language: writes, port: "writer", work: "flow"}, {language: reads, port: "reader", work: "follow"}}
				begin := func(i int) {
					p := ends[i].start(t)
					say(p, "ok", "segment open /ledger", "ring open object 4096", "ring "+ends[i].port)
					p.Say("ring " + ends[i].work)
					ends[i].process = p
				}
				progress := func(n uint64) {
					t.Helper()
					before := next.Load()
					eventually(t, "records come", func() bool {
						for _, e := range ends {
							select {
							case line := <-e.process.Lines():
								t.Fatalf("the %s has ended by itself: %q", e.port, line)
							default:
							}
						}
						return next.Load() > before+n
					})
				}
				begin(0)
				begin(1)
				for range kills {
					progress(20)
					time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
					i := rand.IntN(2)
					ends[i].process.Kill()
					ends[i].died++
					begin(i)
				}
				progress(1000)
				ends[0].process.Kill()
				ends[1].process.Kill()

				r, err := ring.Open[[]byte]("object", nil)
				must(t, err)
				defer r.Close()
				must(t, r.Check())
				s := r.Stats()
				if int(s.WriterRepairs) != ends[0].died || int(s.ReaderRepairs) != ends[1].died || s.LostWakes > s.Deaths {
					t.Errorf("%d writers and %d readers have died, and then both: %+v", ends[0].died, ends[1].died, s)
				}
				w, err := r.Writer() // counts
				must(t, err)
				must(t, w.Close())
				rd, err := r.Reader()
				must(t, err)
				sent := r.Stats().Sent
				at := next.Load()
				for first := true; ; first = false {
					p, ok, err := rd.TryReceive()
					must(t, err)
					if !ok {
						break
					}
					n := binary.LittleEndian.Uint64(p)
					if first && n < at && at-n <= 2 {
						at = n
					}
					if n != at {
						t.Fatalf("in the end record %d comes, want %d", n, at)
					}
					at++
				}
				if at != sent {
					t.Errorf("the last record is %d, %d were sent", at-1, sent)
				}
				t.Logf("%d records; %d writers and %d readers killed", sent, ends[0].died+1, ends[1].died+1)
			})
		}
	}
}

// checkDeaths checks that of so many who died each has been buried, or is still counted as a member, beside us.
func checkDeaths(t *testing.T, s pshared.Stats, died int) {
	t.Helper()
	if int(s.Deaths)+s.Members != died+1 || s.LostWakes > s.Deaths {
		t.Errorf("%+v; %d have died, and we are a member", s, died)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !so(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
