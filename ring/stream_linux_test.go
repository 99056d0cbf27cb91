//go:build linux && (amd64 || arm64)

package ring_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
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
	check(err)
	b, err := mem.At[book](seg.Bytes(), 0)
	check(err)
	return b
}

var streamOptions = &ring.Options{Size: 64 << 10}

func init() {
	// send: sends numbers from behind the last one that was acknowledged, until it is
	// told to stop.
	roles["send"] = func() {
		b := openBook()
		r, err := ring.OpenOrCreate[[]byte]("stream", streamOptions)
		check(err)
		w, err := r.Writer()
		check(err)
		m := message{number: b.Acked.Load() + 1, from: b.Writers.Add(1)}
		m.base = m.number
		say("ready")
		var buf [20][]byte
		for b.Stop.Load() == 0 {
			switch rand.IntN(3) {
			case 0:
				buf[0] = m.append(buf[0][:0])
				check(w.Send(background, buf[0]))
				m.number++
			case 1:
				n := 28 + filling(m.number)
				l, err := w.LoanBytes(background, n)
				check(err)
				m.append((*l.Value)[:0])
				check(l.Commit())
				m.number++
			case 2:
				vs := buf[:1+rand.IntN(len(buf))]
				for i := range vs {
					vs[i] = m.append(vs[i][:0])
					m.number++
				}
				_, err := w.SendBatch(background, vs)
				check(err)
			}
			b.Acked.Store(m.number - 1)
		}
		check(r.Close())
		say("done", m.number-1)
	}
	// receive: reads and checks until everything has come that was acknowledged and
	// the writer has stopped.
	roles["receive"] = func() {
		b := openBook()
		r, err := ring.OpenOrCreate[[]byte]("stream", streamOptions)
		check(err)
		rd, err := r.Reader()
		check(err)
		say("ready")
		number, from, fresh := b.number(), b.Read.Load()>>40, true
		for p, err := range rd.All(background) {
			check(err)
			m, err := parse(*p)
			check(err)
			switch {
			case m.from == from && m.number == number+1:
			case m.from == from && m.number == number && fresh:
				b.Again.Add(1) // it was read, and not released
			case m.from > from && m.number == m.base && m.base <= number+1:
				// The next writer. It does not know of what was committed and not acknowledged.
			default:
				check(fmt.Errorf("number %d of writer %d, who began with %d, after %d of %d", m.number, m.from, m.base, number, from))
			}
			number, from, fresh = m.number, m.from, false
			b.Read.Store(from<<40 | number)
			if b.Stop.Load() == 2 && number >= b.Acked.Load() {
				break
			}
		}
		check(r.Close())
		say("done", number)
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
	begin := func(role string) *process {
		p := start(t, role)
		p.expect("ready")
		return p
	}
	all := map[string]*process{"send": begin("send"), "receive": begin("receive")}
	var slowest time.Duration
	killed := 0
	for ; killed < kills && (until.IsZero() || time.Now().Before(until)); killed++ {
		role := []string{"send", "receive"}[rand.IntN(2)]
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		if rand.IntN(4) == 0 {
			all[role].signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
			if rand.IntN(2) == 0 {
				all[role].signal(syscall.SIGCONT)
			}
		}
		all[role].kill()
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
	fmt.Sscan(all["send"].expect("done"), &sent)
	b.Stop.Store(2)
	// The reader may have read the last one before it could know.
	w := got(r.Writer())(t)
	must(t, w.Send(background, message{number: sent + 1, from: b.Writers.Add(1), base: sent + 1}.append(nil)))
	fmt.Sscan(all["receive"].expect("done"), &received)
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
	w, rd := start(t, "send"), start(t, "receive")
	w.expect("ready")
	rd.expect("ready")

	// A stopped process keeps its end.
	for role, p := range map[string]*process{"writer": w, "reader": rd} {
		p.signal(syscall.SIGSTOP)
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
		}
		before := b.number()
		p.signal(syscall.SIGCONT)
		eventually(t, "the stream goes on", func() bool { return b.number() > before })
	}
	eventually(t, "records come", func() bool { return b.number() > streamRecords/10 })
	b.Stop.Store(1)
	var sent, received uint64
	fmt.Sscan(w.expect("done"), &sent)
	b.Stop.Store(2)
	last := got(r.Writer())(t)
	must(t, last.Send(background, message{number: sent + 1, from: b.Writers.Add(1), base: sent + 1}.append(nil)))
	fmt.Sscan(rd.expect("done"), &received)
	if received < sent {
		t.Errorf("sent %d, received %d", sent, received)
	}
	if s := r.Stats(); s.LostWakes != 0 || s.Deaths != 0 || b.Again.Load() != 0 {
		t.Errorf("%+v, %d twice", s, b.Again.Load())
	}
}
