//go:build linux && (amd64 || arm64)

package queue_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/shm"
)

// Each producer has a number, and its messages have numbers from 1 to perProducer.
// When it is killed, the next one goes on behind the last number that was acknowledged
// to it, or, if it was about to acknowledge another, with that one again.
const (
	soakProducers = 4
	soakConsumers = 4
	perProducer   = 1 << 22
)

// ledger is what all take down, in shared memory.
type ledger struct {
	Stop     mem.Uint64
	Began    mem.Uint64                // nanoseconds since 1970
	Lasts    mem.Uint64                // nanoseconds
	Consumed mem.Uint64                // messages, all together
	Acked    [soakProducers]mem.Uint64 // the last number that Send returned for
}

// book is the ledger and how often each message has been consumed.
type book struct {
	*ledger
	seen []mem.Uint32 // by producer and number
}

func openLedger() book {
	seg, err := shm.Open("/ledger", nil)
	rerun.Check(err)
	return ledgerIn(seg)
}

func ledgerIn(seg *shm.Segment) book {
	l, err := mem.At[ledger](seg.Bytes(), 0)
	rerun.Check(err)
	seen, err := mem.Array[mem.Uint32](seg.Bytes(), 4096, soakProducers*perProducer)
	rerun.Check(err)
	return book{l, seen}
}

func (b book) of(m message) *mem.Uint32 { return &b.seen[int(m.from)*perProducer+int(m.number)] }

// ahead reports whether a producer would run out of numbers before the end.
func (b book) ahead(number uint64) bool {
	elapsed := float64(uint64(time.Now().UnixNano())-b.Began.Load()) / float64(b.Lasts.Load())
	return float64(number) > perProducer*0.9*elapsed+1000
}

var soakOptions = &queue.Options{Slots: 256, MaxMessage: 400}

func init() {
	// produce NUMBER: sends what follows until it is told to stop.
	roles["produce"] = func(args []string) {
		from, err := strconv.Atoi(args[0])
		rerun.Check(err)
		b := openLedger()
		q, err := queue.OpenOrCreate[[]byte]("soak", soakOptions)
		rerun.Check(err)
		acked := &b.Acked[from]
		m := message{from: uint64(from), number: acked.Load() + 1}
		rerun.Say("ready")
		var buf [8][]byte
		for b.Stop.Load() == 0 && m.number+8 < perProducer {
			switch rand.IntN(3) {
			case 0:
				buf[0] = m.append(buf[0][:0])
				rerun.Check(q.Send(background, buf[0]))
				m.number++
			case 1:
				l, err := q.LoanBytes(background, m.size())
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
				_, err := q.SendBatch(background, vs)
				rerun.Check(err)
			}
			acked.Store(m.number - 1)
			for b.ahead(m.number) && b.Stop.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		rerun.Check(q.Close())
		rerun.Say("done")
	}
	// consume: receives, takes down and acknowledges until it is told to stop.
	roles["consume"] = func([]string) {
		b := openLedger()
		q, err := queue.OpenOrCreate[[]byte]("soak", soakOptions)
		rerun.Check(err)
		rerun.Say("ready")
		ms := make([]queue.Message[[]byte], 4)
		for {
			n, err := q.ReceiveBatch(background, ms[:1+rand.IntN(len(ms))])
			rerun.Check(err)
			stop := false
			for _, m := range ms[:n] {
				if len(*m.Value) == 0 {
					stop = true
					rerun.Check(m.Ack())
					continue
				}
				p, err := parse(*m.Value)
				rerun.Check(err)
				if rand.IntN(64) == 0 {
					rerun.Check(m.Nack())
					continue
				}
				b.of(p).Add(1)
				b.Consumed.Add(1)
				rerun.Check(m.Ack())
			}
			if stop {
				break
			}
		}
		rerun.Check(q.Close())
		rerun.Say("done")
	}
}

// soakTime is how long an ordinary run takes; SHOAL_SOAK is another duration.
func soakTime(t *testing.T) time.Duration {
	if text := os.Getenv("SHOAL_SOAK"); text != "" {
		return got(time.ParseDuration(text))(t)
	}
	return 8 * time.Second
}

// Producers and consumers are killed and stopped at random, and started again. Every
// message whose sending was acknowledged is consumed; twice at most as often as somebody
// was killed with it in hand; the others go on after each kill.
func TestSoakKill(t *testing.T) {
	seg := got(shm.Create("/ledger", 4096+4*soakProducers*perProducer, nil))(t)
	defer shm.Remove("/ledger")
	defer seg.Close()
	b := ledgerIn(seg)
	lasts := soakTime(t)
	b.Began.Store(uint64(time.Now().UnixNano()))
	b.Lasts.Store(uint64(lasts))
	q := got(queue.Create[[]byte]("soak", soakOptions))(t)
	defer queue.Remove("soak")
	defer q.Close()
	begin := func(role string, args ...string) *rerun.Process {
		p := rerun.Start(t, role, args...)
		p.Expect("ready")
		return p
	}
	var all [soakProducers + soakConsumers]*rerun.Process
	start := func(i int) {
		if i < soakProducers {
			all[i] = begin("produce", strconv.Itoa(i))
		} else {
			all[i] = begin("consume")
		}
	}
	for i := range all {
		start(i)
	}
	var slowest time.Duration
	late, producerKills, consumerKills := 0, 0, 0
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
		i := rand.IntN(len(all))
		if rand.IntN(4) == 0 {
			all[i].Stop()
			time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond)
		}
		if rand.IntN(8) == 0 {
			all[i].Continue()
			continue
		}
		if i < soakProducers {
			producerKills++
		} else {
			consumerKills++
		}
		all[i].Kill()
		from, began := b.Consumed.Load(), time.Now()
		eventually(t, fmt.Sprintf("after a kill of %d the others go on", i), func() bool { return b.Consumed.Load() != from })
		d := time.Since(began)
		if slowest = max(slowest, d); d > 50*time.Millisecond {
			late++
		}
		if (producerKills+consumerKills)%10 == 0 {
			must(t, q.Check())
		}
		start(i)
	}
	b.Stop.Store(1)
	for _, p := range all[:soakProducers] {
		p.Expect("done")
	}
	for range soakConsumers {
		// Each stops at the first that it gets, and may get several.
		eventually(t, "consumers stop", func() bool { ok, err := q.TrySend(nil); must(t, err); return ok })
	}
	for stopped := 0; stopped < soakConsumers; {
		for _, p := range all[soakProducers:] {
			select {
			case line, ok := <-p.Lines():
				if ok && line == "done" {
					stopped++
				}
			case <-time.After(20 * time.Millisecond):
				if _, err := q.TrySend(nil); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// What the last ones left over.
	for {
		m, ok, err := q.TryReceive()
		must(t, err)
		if !ok {
			break
		}
		if len(*m.Value) > 0 {
			b.of(got(parse(*m.Value))(t)).Add(1)
		}
		must(t, m.Ack())
	}
	must(t, q.Check())
	s := q.Stats()
	sent, twice := uint64(0), 0
	for from := range soakProducers {
		last := b.Acked[from].Load()
		sent += last
		for n := uint64(1); n <= last; n++ {
			switch times := b.of(message{uint64(from), n}).Load(); {
			case times == 0:
				t.Fatalf("number %d of producer %d was acknowledged, and has not come", n, from)
			case times > 1:
				twice += int(times) - 1
			}
		}
	}
	t.Logf("%d producers and %d consumers killed, %d messages, %d more than once; slowest to go on %v; %d sent, %d returned, %d freed, %d redelivered, %d wakes, latency p50 %v",
		producerKills, consumerKills, sent, twice, slowest, s.Sent, s.Returned, s.Freed, s.Redelivered, s.Wakes, s.Latency.Quantile(0.5))
	// A consumer takes up to 4 at once, and had looked at up to all of them; a producer
	// that was killed may have sent up to 8 that its successor sends again.
	if limit := 4*consumerKills + 8*producerKills; twice > limit {
		t.Errorf("%d messages came more than once, after %d kills of consumers and %d of producers", twice, consumerKills, producerKills)
	}
	if late > 0 {
		t.Errorf("%d times nothing was consumed for more than 50 ms after a kill, up to %v", late, slowest)
	}
	if s.Free != s.Slots || s.Members != 1 || s.Deaths != uint64(producerKills+consumerKills) {
		t.Errorf("%+v", s)
	}
}

// Without kills no wake-up is lost, nothing is redelivered, and each producer's messages
// come in order to each consumer.
func TestStream(t *testing.T) {
	const messages = 100_000
	q := got(queue.Create[[]byte]("s", &queue.Options{Slots: 64, MaxMessage: 400}))(t)
	defer queue.Remove("s")
	defer q.Close()
	var producers, consumers []*rerun.Process
	for range 3 {
		consumers = append(consumers, rerun.Start(t, "count"))
	}
	for i := range 3 {
		producers = append(producers, rerun.Start(t, "emit", strconv.Itoa(i), strconv.Itoa(messages)))
	}
	for _, p := range producers {
		p.Expect("done")
	}
	eventually(t, "all is consumed", func() bool { return q.Stats().Acked == 3*messages })
	must(t, q.Check())
	for _, p := range consumers {
		p.Say("end")
		p.Expect("ok")
	}
	if s := q.Stats(); s.LostWakes != 0 || s.Deaths != 0 || s.Redelivered != 0 || s.Sent != 3*messages || s.Received != s.Sent || s.Latency.Samples() == 0 {
		t.Errorf("%+v", s)
	}
}

func init() {
	roles["emit"] = func(args []string) {
		q := openBytes("s")
		from, err := strconv.Atoi(args[0])
		rerun.Check(err)
		n, err := strconv.Atoi(args[1])
		rerun.Check(err)
		var buf []byte
		for i := range n {
			buf = message{uint64(from), uint64(i)}.append(buf[:0])
			rerun.Check(q.Send(background, buf))
		}
		rerun.Say("done")
		rerun.Hear()
	}
	roles["count"] = func([]string) {
		q := openBytes("s")
		ended := make(chan bool)
		go func() {
			next := map[uint64]uint64{}
			for m, err := range q.All(background) {
				if err != nil {
					break // closed
				}
				p, err := parse(*m.Value)
				rerun.Check(err)
				if p.number < next[p.from] || m.Deliveries != 1 {
					rerun.Check(fmt.Errorf("number %d of %d after %d, delivery %d", p.number, p.from, next[p.from], m.Deliveries))
				}
				next[p.from] = p.number + 1
			}
			ended <- true
		}()
		rerun.Hear()
		rerun.Check(q.Close())
		<-ended
		rerun.Say("ok")
		rerun.Hear()
	}
}
