//go:build linux && (amd64 || arm64)

package ring_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/shm"
)

// book is what the two ends of a stream know, for the test and for those who come
// after them.
type book struct {
	Writers mem.Uint64 // that there have been
	Acked   mem.Uint64 // number of the last record that was acknowledged to a writer
	Stop    mem.Uint64 // the writer comes to its end
	Read    mem.Uint64 // writer<<40 | number of the last record that was read: one word, so that no death is in between
	Again   mem.Uint64 // records that came twice
}

// number is that of the last record that was read.
func (b *book) number() uint64 { return b.Read.Load() & (1<<40 - 1) }

func openBook() *book {
	seg, err := shm.Open("/book", nil)
	rerun.Check(err)
	b, err := mem.At[book](seg.Bytes(), 0)
	rerun.Check(err)
	return b
}

var streamOptions = &ring.Options{Size: 64 << 10}

func init() {
	// send: sends numbers from behind the last one that was acknowledged, until it is
	// told to stop.
	roles["send"] = func([]string) {
		b := openBook()
		r, err := ring.OpenOrCreate[[]byte]("stream", streamOptions)
		rerun.Check(err)
		w, err := r.Writer()
		rerun.Check(err)
		m := message{number: b.Acked.Load() + 1, from: b.Writers.Add(1)}
		m.base = m.number
		rerun.Say("ready")
		var buf [20][]byte
		for b.Stop.Load() == 0 {
			switch rand.IntN(3) {
			case 0:
				buf[0] = m.append(buf[0][:0])
				rerun.Check(w.Send(background, buf[0]))
				m.number++
			case 1:
				n := 28 + filling(m.number)
				l, err := w.LoanBytes(background, n)
				rerun.Check(err)
				m.append((*l.Value)[:0])
				rerun.Check(l.Commit())
				m.number++
			case 2:
				vs := buf[:1+rand.IntN(len(buf))]
				for i := range vs {
					vs[i] = m.append(vs[i][:0])
					m.number++
				}
				_, err := w.SendBatch(background, vs)
				rerun.Check(err)
			}
			b.Acked.Store(m.number - 1)
		}
		rerun.Check(r.Close())
		rerun.Say("done", m.number-1)
	}
	// receive: reads and checks until everything has come that was acknowledged and
	// the writer has stopped.
	roles["receive"] = func([]string) {
		b := openBook()
		r, err := ring.OpenOrCreate[[]byte]("stream", streamOptions)
		rerun.Check(err)
		rd, err := r.Reader()
		rerun.Check(err)
		rerun.Say("ready")
		number, from, fresh := b.number(), b.Read.Load()>>40, true
		for p, err := range rd.All(background) {
			rerun.Check(err)
			m, err := parse(*p)
			rerun.Check(err)
			switch {
			case m.from == from && m.number == number+1:
			case m.from == from && m.number == number && fresh:
				b.Again.Add(1) // it was read, and not released
			case m.from > from && m.number == m.base && m.base <= number+1:
				// The next writer. It does not know of what was committed and not acknowledged.
			default:
				rerun.Check(fmt.Errorf("number %d of writer %d, who began with %d, after %d of %d",
					m.number, m.from, m.base, number, from))
			}
			number, from, fresh = m.number, m.from, false
			b.Read.Store(from<<40 | number)
			if b.Stop.Load() == 2 && number >= b.Acked.Load() {
				break
			}
		}
		rerun.Check(r.Close())
		rerun.Say("done", number)
	}
}

// streamRecords and streamKills are what an ordinary run passes; SHOAL_SOAK, a
// duration, kills for so long.
const (
	streamRecords = 1_000_000
	streamKills   = 300
)

// A writer and a reader are killed and stopped at random, and started again. No
// number is missing, torn, or comes out of order; the stream goes on after each kill.
func TestStreamKill(t *testing.T) {
	kills, until := streamKills, time.Time{}
	if text := os.Getenv("SHOAL_SOAK"); text != "" {
		kills, until = 1<<30, time.Now().Add(got(time.ParseDuration(text))(t))
	}
	seg := got(shm.Create("/book", 4096, nil))(t)
	defer shm.Remove("/book")
	defer seg.Close()
	b := got(mem.At[book](seg.Bytes(), 0))(t)
	r := got(ring.Create[[]byte]("stream", streamOptions))(t)
	defer ring.Remove("stream")
	defer r.Close()
	begin := func(role string) *rerun.Process {
		p := rerun.Start(t, role)
		p.Expect("ready")
		return p
	}
	all := map[string]*rerun.Process{"send": begin("send"), "receive": begin("receive")}
	var slowest time.Duration
	killed := 0
	for ; killed < kills && (until.IsZero() || time.Now().Before(until)); killed++ {
		role := []string{"send", "receive"}[rand.IntN(2)]
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		if rand.IntN(4) == 0 {
			all[role].Stop()
			time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
			if rand.IntN(2) == 0 {
				all[role].Continue()
			}
		}
		all[role].Kill()
		if killed%10 == 0 {
			must(t, r.Check())
		}
		all[role] = begin(role)
		from, began := b.number(), time.Now()
		eventually(t, fmt.Sprintf("kill %d, of %s: the stream goes on", killed, role), func() bool { return b.number() != from })
		slowest = max(slowest, time.Since(began))
	}
	for end := time.Now().Add(2 * time.Minute); b.number() < streamRecords; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d records in time", b.number())
		}
	}
	b.Stop.Store(1)
	var sent, received uint64
	fmt.Sscan(all["send"].Expect("done"), &sent)
	b.Stop.Store(2)
	// The reader may have read the last one before it could know.
	w := got(r.Writer())(t)
	must(t, w.Send(background, message{number: sent + 1, from: b.Writers.Add(1), base: sent + 1}.append(nil)))
	fmt.Sscan(all["receive"].Expect("done"), &received)
	if received != sent && received != sent+1 {
		t.Errorf("sent %d, received %d", sent, received)
	}
	must(t, r.Check())
	s := r.Stats()
	t.Logf("%d kills, %d records, %d of them read twice, slowest to go on %v; %+v", killed, received, b.Again.Load(), slowest, s)
	if s.Deaths != uint64(killed) || b.Again.Load() > uint64(killed) {
		t.Errorf("%d deaths, %d records twice; want %d deaths", s.Deaths, b.Again.Load(), killed)
	}
}

// Without kills no wake-up is lost.
func TestStream(t *testing.T) {
	seg := got(shm.Create("/book", 4096, nil))(t)
	defer shm.Remove("/book")
	defer seg.Close()
	b := got(mem.At[book](seg.Bytes(), 0))(t)
	r := got(ring.Create[[]byte]("stream", streamOptions))(t)
	defer ring.Remove("stream")
	defer r.Close()
	w, rd := rerun.Start(t, "send"), rerun.Start(t, "receive")
	w.Expect("ready")
	rd.Expect("ready")

	// A stopped process keeps its end.
	for role, p := range map[string]*rerun.Process{"writer": w, "reader": rd} {
		p.Stop()
		for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); time.Sleep(time.Millisecond) {
			var err error
			if role == "writer" {
				_, err = r.Writer()
			} else {
				_, err = r.Reader()
			}
			if !errors.Is(err, ring.ErrBusy) {
				t.Fatalf("the %s of a stopped process: %v", role, err)
			}
			if n, err := r.Repair(); n != 0 || err != nil {
				t.Fatalf("Repair has freed %d ports of a stopped %s, %v", n, role, err)
			}
		}
		before := b.number()
		p.Continue()
		eventually(t, "the stream goes on", func() bool { return b.number() > before })
	}
	eventually(t, "records come", func() bool { return b.number() > streamRecords/10 })
	b.Stop.Store(1)
	var sent, received uint64
	fmt.Sscan(w.Expect("done"), &sent)
	b.Stop.Store(2)
	last := got(r.Writer())(t)
	must(t, last.Send(background, message{number: sent + 1, from: b.Writers.Add(1), base: sent + 1}.append(nil)))
	fmt.Sscan(rd.Expect("done"), &received)
	if received < sent {
		t.Errorf("sent %d, received %d", sent, received)
	}
	if s := r.Stats(); s.LostWakes != 0 || s.Deaths != 0 || b.Again.Load() != 0 || s.Latency.Samples() < 100 || s.Latency.Quantile(0.5) == 0 {
		t.Errorf("%+v, %d twice", s, b.Again.Load())
	}
}
