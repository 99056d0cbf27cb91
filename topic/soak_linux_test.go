//go:build linux && (amd64 || arm64)

package topic_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

// How many there are in the soak test.
const (
	soakPublishers  = 4
	soakSubscribers = 4
)

// book is what those who take part know, for the test and for those who come after
// them.
type book struct {
	Stop        mem.Uint64 // publishers come to their end
	Incarnation mem.Uint64 // of publishers, counted over all
	Publishers  [soakPublishers]struct {
		Acked mem.Uint64 // number of the last record that was acknowledged
		_     [15]uint64
	}
	Subscribers [soakSubscribers]struct {
		Read   [soakPublishers]mem.Uint64 // incarnation<<40 | number of the last record read, by publisher
		Missed mem.Uint64
		Again  mem.Uint64 // records that came twice
		Total  mem.Uint64
	}
}

const numberMask = 1<<40 - 1

func openBook() *book {
	seg, err := shm.Open("/book", nil)
	rerun.Check(err)
	b, err := mem.At[book](seg.Bytes(), 0)
	rerun.Check(err)
	return b
}

// The topic of the soak test: a lane for each publisher, and one for a last word.
var soakOptions = &topic.Options{Publishers: soakPublishers + 1, Subscribers: soakSubscribers + 2, LaneSize: 32 << 10}

// streams encodes whose a message is: the publisher's number in the test and its
// incarnation, in one word.
func stream(publisher int, incarnation uint64) uint64 { return incarnation<<8 | uint64(publisher) }

func init() {
	// publish K: sends numbers from behind the last one that was acknowledged, until it
	// is told to stop.
	roles["publish"] = func(args []string) {
		k, err := strconv.Atoi(args[0])
		rerun.Check(err)
		b := openBook()
		tp, err := topic.OpenOrCreate[[]byte]("soak", soakOptions)
		rerun.Check(err)
		p, err := tp.Publisher()
		rerun.Check(err)
		acked := &b.Publishers[k].Acked
		m := message{number: acked.Load() + 1, from: stream(k, b.Incarnation.Add(1))}
		m.base = m.number
		rerun.Say("ready")
		var buf [20][]byte
		for b.Stop.Load() == 0 {
			switch rand.IntN(3) {
			case 0:
				buf[0] = m.append(buf[0][:0])
				rerun.Check(p.Send(background, buf[0]))
				m.number++
			case 1:
				l, err := p.LoanBytes(background, messageHead+filling(m.number))
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
				_, err := p.SendBatch(background, vs)
				rerun.Check(err)
			}
			acked.Store(m.number - 1)
		}
		rerun.Check(tp.Close())
		rerun.Say("done", m.number-1)
		rerun.Hear()
	}
	// subscribe I KIND: reads and checks until it is killed, or has read all that was
	// acknowledged after the publishers have stopped. KIND is named, lossy or reliable.
	roles["subscribe"] = func(args []string) {
		i, err := strconv.Atoi(args[0])
		rerun.Check(err)
		kind := args[1]
		b := openBook()
		tp, err := topic.OpenOrCreate[[]byte]("soak", soakOptions)
		rerun.Check(err)
		o := &topic.SubscribeOptions{Lossy: kind == "lossy"}
		if kind == "named" {
			o.Name = "named-" + args[0]
		}
		s, err := tp.Subscribe(o)
		rerun.Check(err)
		rerun.Say("ready")
		me := &b.Subscribers[i]
		// Without a name it knows nothing of what came before.
		var known, gap [soakPublishers]bool
		var lanes [soakPublishers + 1]uint64 // number of the next record, by lane
		for l := range lanes {
			lanes[l] = 1<<64 - 1
		}
		fresh := [soakPublishers]bool{true, true, true, true} // nothing has come yet since it was started
		for p, err := range s.All(background) {
			var missed *topic.MissedError
			if errors.As(err, &missed) && kind == "lossy" {
				me.Missed.Add(missed.Count)
				if lanes[missed.Publisher]>>63 == 0 {
					lanes[missed.Publisher] += missed.Count // exact, or what follows tells
				}
				for k := range gap {
					gap[k] = true
				}
				continue
			}
			rerun.Check(err)
			if string(*p) == "the end" {
				break
			}
			m, err := parse(*p)
			rerun.Check(err)
			k := int(m.from & 0xff)
			at := s.Last()
			if next := lanes[at.Publisher]; next>>63 == 0 && next != at.Number {
				rerun.Check(fmt.Errorf("record %d of lane %d, want %d", at.Number, at.Publisher, next))
			}
			lanes[at.Publisher] = at.Number + 1
			read := me.Read[k].Load()
			number, from := read&numberMask, read>>40
			incarnation := m.from >> 8
			first := !known[k] && kind != "named" || gap[k]
			switch {
			case first && (incarnation > from || incarnation == from && m.number >= number):
				gap[k] = false
			case incarnation == from && m.number == number+1:
			case incarnation == from && m.number <= number && number-m.number < 64 && fresh[k]:
				me.Again.Add(1) // it was read, and not released
			case incarnation > from && m.number == m.base && m.base <= number+1:
				// The next publisher. It does not know of what was committed and not acknowledged.
			default:
				rerun.Check(fmt.Errorf("%s: publisher %d: number %d of incarnation %d, which began with %d, after %d of %d",
					kind, k, m.number, incarnation, m.base, number, from))
			}
			known[k], fresh[k] = true, false
			me.Read[k].Store(incarnation<<40 | m.number)
			me.Total.Add(1)
		}
		rerun.Check(tp.Close())
		rerun.Say("done")
		rerun.Hear()
	}
}

// behind is how many records have not been released by all.
func behind(tp *topic.Topic[[]byte]) (records uint64) {
	for _, s := range tp.Stats().Subscribers {
		for _, lag := range s.Lag {
			records += lag.Records
		}
	}
	return records
}

// soakTime is how long an ordinary run kills; SHOAL_SOAK, a duration, says otherwise.
const soakTime = 4 * time.Second

// Four publishers and four subscribers are killed and stopped at random, and started
// again. No number is missing, torn, or comes out of order; everything goes on after
// each kill; what was acknowledged reaches those who have a name.
func TestSoakKill(t *testing.T) {
	length := soakTime
	if text := os.Getenv("SHOAL_SOAK"); text != "" {
		length = got(time.ParseDuration(text))(t)
	}
	seg := got(shm.Create("/book", 8192, nil))(t)
	defer shm.Remove("/book")
	defer seg.Close()
	b := got(mem.At[book](seg.Bytes(), 0))(t)
	tp := got(topic.Create[[]byte]("soak", soakOptions))(t)
	defer topic.Remove("soak")
	defer tp.Close()
	kinds := [soakSubscribers]string{"named", "named", "lossy", "reliable"}
	begin := func(n int) *rerun.Process {
		var p *rerun.Process
		if n < soakPublishers {
			p = rerun.Start(t, "publish", strconv.Itoa(n))
		} else {
			p = rerun.Start(t, "subscribe", strconv.Itoa(n-soakPublishers), kinds[n-soakPublishers])
		}
		p.Expect("ready")
		return p
	}
	total := func() (sum uint64) {
		for i := range b.Subscribers {
			sum += b.Subscribers[i].Total.Load()
		}
		return sum
	}
	var all [soakPublishers + soakSubscribers]*rerun.Process
	for n := len(all) - 1; n >= 0; n-- { // subscribers first: all is acknowledged to somebody
		all[n] = begin(n)
	}
	var slowest time.Duration
	killed, slow := 0, 0
	for end := time.Now().Add(length); time.Now().Before(end); killed++ {
		n := rand.IntN(len(all))
		for _, p := range all {
			select {
			case line := <-p.Lines():
				t.Fatalf("%v has ended by itself: %s", p, line)
			default:
			}
		}
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		if rand.IntN(4) == 0 {
			all[n].Stop()
			time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
			if rand.IntN(2) == 0 {
				all[n].Continue()
			}
		}
		all[n].Kill()
		if n < soakPublishers || kinds[n-soakPublishers] != "named" {
			// The others go on before anybody comes in its place.
			from, began := total(), time.Now()
			eventually(t, fmt.Sprintf("kill %d, of %d: the others go on", killed, n), func() bool { return total() != from })
			d := time.Since(began)
			if slowest = max(slowest, d); d > 50*time.Millisecond {
				slow++
			}
		}
		all[n] = begin(n)
		if killed%10 == 0 {
			must(t, tp.Check())
		}
	}
	b.Stop.Store(1)
	for n := range soakPublishers {
		var sent uint64
		fmt.Sscan(all[n].Expect("done"), &sent)
		if acked := b.Publishers[n].Acked.Load(); sent != acked {
			t.Errorf("publisher %d has sent %d, %d acknowledged", n, sent, acked)
		}
		all[n].Kill()
	}
	// All that was acknowledged comes to those who have a name. What a publisher had sent that
	// was killed before it could be told so may come, too, and be more than that, if the
	// next one has been stopped before it had sent anything.
	// Who has no name does not get what came while it was started again.
	eventually(t, "all is read", func() bool { return behind(tp) == 0 })
	for i := range b.Subscribers {
		for k := range soakPublishers {
			acked, read := b.Publishers[k].Acked.Load(), &b.Subscribers[i].Read[k]
			eventually(t, fmt.Sprintf("subscriber %d (%s) has read %d of publisher %d", i, kinds[i], acked, k), func() bool {
				return kinds[i] != "named" || read.Load()&numberMask >= acked
			})
		}
	}
	must(t, tp.Check())
	before := tp.Stats()
	p := got(tp.Publisher())(t)
	must(t, p.Send(background, []byte("the end")))
	for n := soakPublishers; n < len(all); n++ {
		all[n].Expect("done")
		all[n].Kill()
	}
	got(tp.Repair())(t)
	s := tp.Stats()
	named := 0
	for _, sub := range s.Subscribers {
		if sub.Name == "" || sub.Port.PID != 0 {
			t.Errorf("a place has leaked: %+v", sub)
		}
		named++
	}
	for _, pub := range s.Publishers {
		if pub.Port.PID != 0 && pub.Publisher != p.Number() {
			t.Errorf("a lane has leaked: %+v", pub)
		}
	}
	if s.Members != 1 || named != 2 || len(s.Publishers) > soakPublishers+1 {
		t.Errorf("%d members, %d names, %d lanes", s.Members, named, len(s.Publishers))
	}
	must(t, tp.Check())
	var again, missed uint64
	for i := range b.Subscribers {
		again += b.Subscribers[i].Again.Load()
		missed += b.Subscribers[i].Missed.Load()
	}
	t.Logf("%d kills, %d records received, %d of them twice, %d missed by the lossy one; slowest to go on %v, %d over 50ms; %d deaths, %d repairs, %d lost wake-ups",
		killed, total(), again, missed, slowest, slow, s.Deaths, s.Repairs, s.LostWakes)
	if slow > killed/50 {
		t.Errorf("%d of %d kills were not got over within 50ms", slow, killed)
	}
	if before.Deaths != uint64(killed) || again > uint64(killed)*soakPublishers*40 {
		t.Errorf("%d deaths, %d records twice; want %d deaths", before.Deaths, again, killed)
	}
}
