//go:build linux && (amd64 || arm64)

package topic_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

var background = context.Background()

type tick struct {
	Time  int64
	Price float64
	Size  uint32
	_     uint32
}

// small is a topic of two small lanes.
func small(policy topic.Policy) *topic.Options {
	return &topic.Options{Publishers: 2, Subscribers: 6, LaneSize: topic.MinLaneSize, Policy: policy}
}

// made makes a topic for a test.
func made[T any](t testing.TB, o *topic.Options) *topic.Topic[T] {
	t.Helper()
	tp := got(topic.Create[T]("t", o))(t)
	t.Cleanup(func() {
		tp.Close()
		topic.Remove("t")
	})
	return tp
}

// soon is a context for what must not be there.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

// receives checks that a subscription gets these, and then nothing.
func receives(t testing.TB, s *topic.Subscription[[]byte], want ...string) {
	t.Helper()
	for _, w := range want {
		v, ok, err := s.TryReceive()
		if err != nil || !ok || string(v) != w {
			t.Fatalf("received %q, %t, %v; want %q", v, ok, err, w)
		}
	}
	if v, ok, err := s.TryReceive(); ok || err != nil {
		t.Fatalf("received %q, %v; want nothing", v, err)
	}
}

func send(t testing.TB, p *topic.Publisher[[]byte], all ...string) {
	t.Helper()
	for _, v := range all {
		must(t, p.Send(background, []byte(v)))
	}
}

// Every length of record passes the end of a lane, by every way of sending, and
// reaches all kinds of subscribers by every way of receiving.
func TestLengths(t *testing.T) {
	for _, policy := range []topic.Policy{topic.Wait, topic.Drop} {
		t.Run(policy.String(), func(t *testing.T) {
			tp := made[[]byte](t, small(policy))
			p := got(tp.Publisher())(t)
			subs := []*topic.Subscription[[]byte]{
				got(tp.Subscribe(nil))(t),
				got(tp.Subscribe(&topic.SubscribeOptions{Lossy: true}))(t),
				got(tp.Subscribe(&topic.SubscribeOptions{Name: "named"}))(t),
			}
			i := 0
			pass := func(n int) {
				t.Helper()
				i++
				b := make([]byte, n)
				for k := range b {
					b[k] = byte(i + k*7)
				}
				switch i % 4 {
				case 0:
					must(t, p.Send(background, b))
				case 1:
					if ok, err := p.TrySend(b); !ok || err != nil {
						t.Fatalf("TrySend of %d bytes into an empty topic: %t, %v", n, ok, err)
					}
				case 2:
					l := got(p.LoanBytes(background, tp.MaxRecord()))(t)
					*l.Value = (*l.Value)[:n]
					copy(*l.Value, b)
					must(t, l.Commit())
				case 3:
					if n, err := p.SendBatch(background, [][]byte{b}); n != 1 || err != nil {
						t.Fatalf("SendBatch: %d, %v", n, err)
					}
				}
				for k, s := range subs {
					var v []byte
					switch (i + k) % 5 {
					case 0:
						v = got(s.Receive(background))(t)
					case 1:
						v = bytes.Clone(*got(s.Peek(background))(t))
						must(t, s.Release())
					case 2:
						vs := make([][]byte, 4)
						if n, err := s.ReceiveBatch(background, vs); n != 1 || err != nil {
							t.Fatalf("ReceiveBatch: %d, %v", n, err)
						}
						v = vs[0]
					case 3:
						for p, err := range s.Runs(background) {
							must(t, err)
							v = bytes.Clone(*p)
							break
						}
					case 4:
						for p, err := range s.All(background) {
							must(t, err)
							v = bytes.Clone(*p)
							break
						}
					}
					if !bytes.Equal(v, b) {
						t.Fatalf("record %d of %d bytes, subscriber %d: got %d bytes %.20x, want %.20x", i, n, k, len(v), v, b)
					}
					if last := s.Last(); last != (topic.Info{Publisher: 0, Number: uint64(i - 1)}) {
						t.Fatalf("record %d: %+v", i, last)
					}
				}
			}
			for n := 0; n <= tp.MaxRecord(); n++ {
				pass(n)
			}
			for n := range 200 { // short ones end at every offset
				pass(n % 17)
				pass(tp.MaxRecord() - n%23)
			}
			must(t, tp.Check())
			s := tp.Stats()
			if len(s.Publishers) != 1 || len(s.Subscribers) != 3 || s.Publishers[0].Sent != uint64(i) || s.LostWakes != 0 {
				t.Errorf("%+v", s)
			}
			for _, sub := range s.Subscribers {
				if sub.Received != uint64(i) || sub.ReceivedBytes != s.Publishers[0].SentBytes || sub.Missed != 0 || sub.Lag[0] != (topic.Lag{}) || sub.Port.PID != os.Getpid() {
					t.Errorf("%+v", sub)
				}
			}
		})
	}
}

// Where a subscription begins.
func TestFrom(t *testing.T) {
	tp := made[[]byte](t, small(topic.Wait))
	p, q := got(tp.Publisher())(t), got(tp.Publisher())(t)
	send(t, p, "a", "b", "c")
	send(t, q, "x", "y")
	for _, lossy := range []bool{false, true} {
		o := topic.SubscribeOptions{Lossy: lossy}
		now := got(tp.Subscribe(&o))(t)
		receives(t, now)
		must(t, now.Close())
		o.From = topic.Oldest
		oldest := got(tp.Subscribe(&o))(t)
		receives(t, oldest, "a", "b", "c", "x", "y")
		if i := oldest.Last(); i != (topic.Info{Publisher: 1, Number: 1}) {
			t.Error(i)
		}
		must(t, oldest.Close())
		for n, want := range map[int][]string{1: {"c", "y"}, 2: {"b", "c", "x", "y"}, 100: {"a", "b", "c", "x", "y"}} {
			s := got(tp.Subscribe(&topic.SubscribeOptions{Lossy: lossy, History: n}))(t)
			receives(t, s, want...)
			must(t, s.Close())
		}
	}
	// Far round the lane the oldest are gone, and all that are there are in order.
	for i := range 1000 {
		send(t, p, fmt.Sprintf("%0100d", i))
	}
	s := got(tp.Subscribe(&topic.SubscribeOptions{From: topic.Oldest}))(t)
	first := string(got(s.Receive(background))(t))
	number := got(strconv.Atoi(first))(t)
	if number < 950 || number > 980 || s.Last().Number != uint64(number)+3 {
		t.Errorf("oldest of 1000 is %d, %+v", number, s.Last())
	}
	for i := number + 1; i < 1000; i++ {
		if v := got(s.Receive(background))(t); string(v) != fmt.Sprintf("%0100d", i) {
			t.Fatalf("%s; want %d", v, i)
		}
	}
	receives(t, s, "x", "y")
	must(t, tp.Check())
}

// When there is no room the policy says what happens.
func TestPolicies(t *testing.T) {
	fill := func(t *testing.T, p *topic.Publisher[[]byte]) (n int) {
		for ; ; n++ {
			ok, err := p.TrySend(fmt.Appendf(nil, "%0100d", n))
			must(t, err)
			if !ok {
				return n
			}
		}
	}
	t.Run("wait", func(t *testing.T) {
		tp := made[[]byte](t, small(topic.Wait))
		p, s := got(tp.Publisher())(t), got(tp.Subscribe(nil))(t)
		n := fill(t, p)
		if err := p.Send(soon(t), make([]byte, 100)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		done := make(chan error)
		go func() { done <- p.Send(background, []byte("last")) }()
		eventually(t, "the publisher sleeps", func() bool { _, asleep := tp.Sleeping(); return asleep == 1 })
		for range n + 1 {
			got(s.Receive(background))(t)
		}
		must(t, <-done)
		receives(t, s)
		if st := tp.Stats(); st.Publishers[0].Full < 2 || st.Publishers[0].Blocked == 0 || st.LostWakes != 0 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("refuse", func(t *testing.T) {
		tp := made[[]byte](t, small(topic.Refuse))
		p, s := got(tp.Publisher())(t), got(tp.Subscribe(nil))(t)
		n := fill(t, p)
		if err := p.Send(background, make([]byte, 100)); !errors.Is(err, topic.ErrFull) {
			t.Error(err)
		}
		if n, err := p.SendBatch(background, [][]byte{{1}, make([]byte, 100)}); n > 1 || !errors.Is(err, topic.ErrFull) {
			t.Error(n, err)
		}
		for range n {
			got(s.Receive(background))(t)
		}
		must(t, p.Send(background, make([]byte, 100)))
	})
	t.Run("drop", func(t *testing.T) {
		tp := made[[]byte](t, small(topic.Drop))
		p, slow, quick := got(tp.Publisher())(t), got(tp.Subscribe(nil))(t), got(tp.Subscribe(nil))(t)
		named := got(tp.Subscribe(&topic.SubscribeOptions{Name: "n"}))(t)
		must(t, named.Close())
		for i := range 200 {
			send(t, p, fmt.Sprintf("%0100d", i))
			receives(t, quick, fmt.Sprintf("%0100d", i))
		}
		if slow.Reliable() || !quick.Reliable() {
			t.Fatal("not the slow one was dropped")
		}
		lagging(t, slow, 200, true)
		named = got(tp.Subscribe(&topic.SubscribeOptions{Name: "n"}))(t)
		if !named.Reliable() {
			t.Error("who has come back is not reliable")
		}
		lagging(t, named, 200, false)
		must(t, tp.Check())
		for _, s := range tp.Stats().Subscribers {
			if fast := s.Subscriber == 1; fast != (s.Drops == 0) || fast != (s.Missed == 0) || s.Missed+s.Received != 200 || (s.State == topic.Dropped) != (s.Subscriber == 0) {
				t.Errorf("%+v", s)
			}
		}
	})
}

// lagging receives numbers up to n, after a gap of which it is told, exactly.
func lagging(t *testing.T, s *topic.Subscription[[]byte], n uint64, dropped bool) {
	t.Helper()
	if dropped {
		if _, _, err := s.TryReceive(); !errors.Is(err, topic.ErrDropped) {
			t.Fatal(err)
		}
	}
	_, _, err := s.TryReceive()
	var m *topic.MissedError
	if !errors.As(err, &m) || !errors.Is(err, topic.ErrMissed) || m.Count == 0 || m.Count >= n {
		t.Fatal(err)
	}
	for i := m.Count; i < n; i++ {
		v, ok, err := s.TryReceive()
		if string(v) != fmt.Sprintf("%0100d", i) || s.Last().Number != i {
			t.Fatalf("%s, %t, %v, %+v; want %d", v, ok, err, s.Last(), i)
		}
	}
	receives(t, s)
}

// A lossy subscription holds nobody up, and knows what it has missed.
func TestLossy(t *testing.T) {
	tp := made[[]byte](t, small(topic.Wait))
	p := got(tp.Publisher())(t)
	s := got(tp.Subscribe(&topic.SubscribeOptions{Lossy: true}))(t)
	for i := range 500 {
		send(t, p, fmt.Sprintf("%0100d", i))
	}
	st := tp.Stats().Subscribers[0]
	if st.Lag[0].Records != 500 || st.State != topic.Lossy {
		t.Errorf("%+v", st)
	}
	lagging(t, s, 500, false)
	if st := tp.Stats().Subscribers[0]; st.Lag[0].Records != 0 || st.Lapped != 1 || st.Missed+st.Received != 500 {
		t.Errorf("%+v", st)
	}
}

// A subscription with a name goes on where it was, and belongs to one at a time.
func TestNamed(t *testing.T) {
	tp := made[[]byte](t, small(topic.Wait))
	p := got(tp.Publisher())(t)
	o := &topic.SubscribeOptions{Name: "0123456789abcdef"}
	s := got(tp.Subscribe(o))(t)
	send(t, p, "a", "b")
	got(s.Receive(background))(t)
	got(s.Peek(background))(t) // not released
	if _, err := tp.Subscribe(o); !errors.Is(err, topic.ErrBusy) || !strings.Contains(err.Error(), fmt.Sprint("process ", os.Getpid())) {
		t.Error(err)
	}
	if err := tp.Forget(o.Name); !errors.Is(err, topic.ErrBusy) {
		t.Error(err)
	}
	must(t, s.Close())
	send(t, p, "c")
	if st := tp.Stats().Subscribers[0]; st.Name != o.Name || st.Port.PID != 0 || st.Lag[0].Records != 2 || st.State != topic.Reliable {
		t.Errorf("%+v", st)
	}
	s = got(tp.Subscribe(o))(t)
	receives(t, s, "b", "c")
	if s.Last().Number != 2 {
		t.Error(s.Last())
	}
	must(t, s.Close())
	// It gates, though nobody is there, until it is forgotten.
	for {
		ok, err := p.TrySend(make([]byte, 100))
		if must(t, err); !ok {
			break
		}
	}
	done := make(chan error)
	go func() { done <- p.Send(background, make([]byte, 100)) }()
	eventually(t, "the publisher sleeps", func() bool { _, asleep := tp.Sleeping(); return asleep == 1 })
	must(t, tp.Forget(o.Name))
	must(t, <-done)
	if err := tp.Forget(o.Name); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	must(t, tp.Check())
	if s := tp.Stats(); len(s.Subscribers) != 0 || s.LostWakes != 0 {
		t.Errorf("%+v", s)
	}
	// Of many who want a new name at once one gets it.
	for range 50 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		var have []*topic.Subscription[[]byte]
		var all []*topic.Topic[[]byte]
		for range 2 {
			other := got(topic.Open[[]byte]("t", nil))(t)
			all = append(all, other)
			wg.Go(func() {
				s, err := other.Subscribe(&topic.SubscribeOptions{Name: "x"})
				if err != nil && !errors.Is(err, topic.ErrBusy) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					have = append(have, s)
				}
			})
		}
		wg.Wait()
		if len(have) != 1 {
			t.Fatalf("%d have the name", len(have))
		}
		for _, other := range all {
			must(t, other.Close())
		}
		must(t, tp.Forget("x"))
	}
}

// Errors say what is the matter.
func TestErrors(t *testing.T) {
	tp := made[tick](t, small(topic.Wait))
	p, s := got(tp.Publisher())(t), got(tp.Subscribe(nil))(t)
	says := func(err error, is error, text string) {
		t.Helper()
		if !errors.Is(err, is) || err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%v; want %v, and %q", err, is, text)
		}
	}
	fails := func(_ any, err error) error { return err }
	pid := fmt.Sprint(os.Getpid())
	got(tp.Publisher())(t)
	says(fails(tp.Publisher()), topic.ErrNoSlot, "all 2 lanes have live publishers: processes "+pid+", "+pid)
	for range 5 {
		got(tp.Subscribe(nil))(t)
	}
	says(fails(tp.Subscribe(nil)), topic.ErrNoSlot, "all 6 places")
	says(fails(topic.Create[tick]("t", nil)), fs.ErrExist, "t")
	says(fails(topic.Open[tick]("none", nil)), fs.ErrNotExist, "none")
	says(topic.Remove("none"), fs.ErrNotExist, "none")
	says(fails(topic.Observe("none")), fs.ErrNotExist, "none")
	says(fails(topic.Open[struct {
		Time  int64
		Price float32
		Size  uint32
	}]("t", nil)), shm.ErrTypeMismatch, "Price: want float32 at 8, found float64 at 8")
	says(fails(topic.Open[[]byte]("t", nil)), shm.ErrTypeMismatch, "want untyped bytes, found struct")
	_, err := topic.Open[int]("t", nil)
	says(err, err, "int")
	for _, o := range []topic.Options{{LaneSize: 5000}, {Publishers: -1}, {Publishers: 5000}, {Subscribers: 1 << 20}, {Policy: 7}} {
		_, err := topic.Create[tick]("x", &o)
		says(err, err, "want")
	}
	says(fails(topic.Create[[4000]byte]("x", small(0))), topic.ErrTooLarge, "4000")
	says(fails(tp.Subscribe(&topic.SubscribeOptions{Name: "x", Lossy: true})), err2(tp.Subscribe(&topic.SubscribeOptions{From: 9})), "name")
	says(fails(tp.Subscribe(&topic.SubscribeOptions{Name: "0123456789abcdefg"})), fs.ErrInvalid, "16 bytes")
	says(tp.Forget(""), fs.ErrInvalid, "16 bytes")
	mu := got(pshared.OpenMutex("m"))(t)
	defer pshared.Remove("m")
	defer mu.Close()
	says(fails(topic.Open[tick]("m", nil)), shm.ErrKind, "mutex")
	says(fails(topic.Observe("m")), shm.ErrKind, "mutex")
	says(topic.Remove("m"), shm.ErrKind, "mutex")
	says(fails(pshared.OpenMutex("t")), shm.ErrKind, "topic")

	_, err = p.LoanBytes(background, 8)
	says(err, err, "use Loan")
	l := got(p.Loan(background))(t)
	says(p.Send(background, tick{}), topic.ErrBusy, "loan")
	says(fails(p.Loan(background)), topic.ErrBusy, "loan")
	must(t, l.Cancel())
	says(l.Cancel(), topic.ErrBusy, "no loan")
	l = got(p.Loan(background))(t)
	l.Value.Price = 3
	must(t, l.Commit())
	if v := got(s.Receive(background))(t); v.Price != 3 {
		t.Error(v)
	}
	must(t, s.Release()) // of nothing

	must(t, p.Close())
	must(t, p.Close())
	says(p.Send(background, tick{}), shm.ErrClosed, "t")
	_, err = p.TrySend(tick{})
	says(err, os.ErrClosed, "t")
	p = got(tp.Publisher())(t) // free again
	must(t, s.Close())
	must(t, s.Close())
	says(fails(s.Receive(background)), shm.ErrClosed, "t")
	says(s.Release(), shm.ErrClosed, "t")
	s = got(tp.Subscribe(nil))(t)
	must(t, p.Send(background, tick{Size: 7}))
	if v := got(s.Receive(background))(t); v.Size != 7 {
		t.Error(v)
	}
	must(t, tp.Close())
	must(t, tp.Close())
	says(fails(s.Peek(background)), shm.ErrClosed, "t")
	says(fails(p.SendBatch(background, nil)), shm.ErrClosed, "t")
	says(fails(tp.Publisher()), shm.ErrClosed, "t")
	says(fails(tp.Subscribe(nil)), shm.ErrClosed, "t")
	says(fails(tp.Repair()), shm.ErrClosed, "t")
	says(tp.Check(), shm.ErrClosed, "t")
	says(tp.Forget("x"), shm.ErrClosed, "t")
	if s := tp.Stats(); s.Members != 0 {
		t.Error(s)
	}
}

func err2(_ any, err error) error { return errors.Unwrap(errors.Unwrap(err)) }

// A record that is too large is refused with both sizes, and one of another length
// where a type has one.
func TestLength(t *testing.T) {
	tp := made[[]byte](t, small(topic.Wait))
	p, s := got(tp.Publisher())(t), got(tp.Subscribe(nil))(t)
	large := make([]byte, tp.MaxRecord()+1)
	for _, send := range []func() error{
		func() error { return p.Send(background, large) },
		func() error { _, err := p.TrySend(large); return err },
		func() error { _, err := p.LoanBytes(background, len(large)); return err },
	} {
		if err := send(); !errors.Is(err, topic.ErrTooLarge) || !strings.Contains(err.Error(), "2025 bytes") || !strings.Contains(err.Error(), "2024") {
			t.Error(err)
		}
	}
	if n, err := p.SendBatch(background, [][]byte{{1}, {2}, large, {3}}); n != 2 || !errors.Is(err, topic.ErrTooLarge) {
		t.Error(n, err)
	}
	receives(t, s, "\x01", "\x02")

	o := small(topic.Wait)
	o.Type = got(schema.Of[tick]())(t)
	typed := got(topic.Create[[]byte]("typed", o))(t)
	defer topic.Remove("typed")
	defer typed.Close()
	q, r := got(typed.Publisher())(t), got(typed.Subscribe(nil))(t)
	if err := q.Send(background, make([]byte, 23)); err == nil || !strings.Contains(err.Error(), "23 bytes, records here have 24") {
		t.Error(err)
	}
	l := got(q.LoanBytes(background, 24))(t)
	*l.Value = (*l.Value)[:20]
	if err := l.Commit(); err == nil {
		t.Error("a loan of another length")
	}
	must(t, l.Cancel())
	other := got(topic.Open[tick]("typed", nil))(t) // the same type, known to this program
	defer other.Close()
	must(t, got(other.Publisher())(t).Send(background, tick{Price: 5}))
	if b := got(r.Receive(background))(t); len(b) != 24 || b[15] != 0x40 {
		t.Errorf("% x", b)
	}
	if typed.Schema().String() != o.Type.String() {
		t.Error(typed.Schema())
	}
	o.Type = got(schema.Of[int32]())(t)
	if _, err := topic.Open[[]byte]("typed", o); !errors.Is(err, shm.ErrTypeMismatch) {
		t.Error(err)
	}
	if _, err := topic.Open[tick]("typed", o); err == nil {
		t.Error("two types")
	}
}

// Close sends away who waits, and who comes meanwhile.
func TestCloseWakes(t *testing.T) {
	for round := range 50 {
		tp := got(topic.Create[[]byte]("c", small(topic.Wait)))(t)
		p, s, gate := got(tp.Publisher())(t), got(tp.Subscribe(nil))(t), got(tp.Subscribe(nil))(t)
		errs := make(chan error, 2)
		go func() {
			for {
				if err := p.Send(background, make([]byte, 1000)); err != nil {
					errs <- err
					return
				}
			}
		}()
		time.Sleep(time.Duration(round) * 20 * time.Microsecond)
		must(t, p.Close())
		go func() {
			var err error
			for err == nil {
				_, err = s.Receive(background)
			}
			errs <- err
		}()
		time.Sleep(time.Duration(round) * 20 * time.Microsecond)
		must(t, tp.Close())
		for range 2 {
			select {
			case err := <-errs:
				if !errors.Is(err, shm.ErrClosed) {
					t.Fatal(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("somebody waits in a closed port")
			}
		}
		if _, err := gate.Receive(background); !errors.Is(err, shm.ErrClosed) {
			t.Fatal(err)
		}
		must(t, topic.Remove("c"))
	}
}

// Two goroutines in one port: one is told.
func TestMisuse(t *testing.T) {
	tp := made[[]byte](t, small(topic.Wait))
	p, s := got(tp.Publisher())(t), got(tp.Subscribe(nil))(t)
	done := make(chan error)
	go func() {
		_, err := s.Receive(background)
		for errors.Is(err, topic.ErrBusy) { // this one was told
			_, err = s.Receive(background)
		}
		done <- err
	}()
	for {
		_, ok, err := s.TryReceive()
		if errors.Is(err, topic.ErrBusy) {
			break
		}
		if must(t, err); ok {
			t.Fatal("nothing was sent")
		}
	}
	must(t, p.Send(background, nil))
	must(t, <-done)
}

// Loops give records in place, and release them; leaving them, too.
func TestLoops(t *testing.T) {
	tp := made[tick](t, small(topic.Wait))
	p, s := got(tp.Publisher())(t), got(tp.Subscribe(nil))(t)
	for i := range 10 {
		must(t, p.Send(background, tick{Time: int64(i)}))
	}
	next := int64(0)
	for v, err := range s.All(background) {
		must(t, err)
		if v.Time != next {
			t.Fatalf("%d after %d", v.Time, next-1)
		}
		if next++; next == 3 {
			break
		}
	}
	for v, err := range s.Runs(background) {
		must(t, err)
		if v.Time != next {
			t.Fatalf("%d after %d", v.Time, next-1)
		}
		if next++; next == 6 {
			break
		}
	}
	if v := got(s.Receive(background))(t); v.Time != 6 {
		t.Error(v)
	}
	for v, err := range s.Runs(background) {
		must(t, err)
		if next++; v.Time != next {
			t.Fatalf("%d after %d", v.Time, next-1)
		}
		if next == 9 {
			break
		}
	}
	n := 0
	for v, err := range s.All(soon(t)) {
		if n++; v != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(v, err)
		}
	}
	for v, err := range s.Runs(soon(t)) {
		if n++; v != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(v, err)
		}
	}
	if st := tp.Stats().Subscribers[0]; n != 2 || st.Received != 10 || st.Lag[0] != (topic.Lag{}) {
		t.Errorf("%d, %+v", n, st)
	}
}

// Nothing is allocated on the way.
func TestAllocations(t *testing.T) {
	for _, policy := range []topic.Policy{topic.Wait, topic.Drop} {
		tp := made[tick](t, &topic.Options{Policy: policy})
		p, s := got(tp.Publisher())(t), got(tp.Subscribe(nil))(t)
		vs := make([]tick, 8)
		for name, f := range map[string]func(){
			"Send, Receive": func() { p.Send(background, tick{}); s.Receive(background) },
			"TrySend, Peek": func() { p.TrySend(tick{}); s.Peek(background); s.Release() },
			"Loan":          func() { l, _ := p.Loan(background); l.Commit(); s.TryReceive() },
			"batch":         func() { p.SendBatch(background, vs); s.ReceiveBatch(background, vs) },
		} {
			if n := testing.AllocsPerRun(1000, f); n != 0 {
				t.Errorf("%v, %s: %v allocations", policy, name, n)
			}
		}
		tp.Close()
		topic.Remove("t")
	}
}

// Every backend carries a topic, and a topic that was removed goes on for those who
// have it.
func TestBackends(t *testing.T) {
	for _, name := range []string{"plain", "/posix", "sysv:0x5354", "file:" + t.TempDir() + "/topic"} {
		tp := got(topic.OpenOrCreate[tick](name, small(topic.Wait)))(t)
		other := got(topic.Open[tick](name, nil))(t)
		p, s := got(tp.Publisher())(t), got(other.Subscribe(nil))(t)
		o := got(topic.Observe(name))(t)
		must(t, topic.Remove(name))
		must(t, p.Send(background, tick{Size: 9}))
		if v := got(s.Receive(background))(t); v.Size != 9 {
			t.Errorf("%s: %v", name, v)
		}
		for m, err := range o.All(background, topic.Oldest) {
			must(t, err)
			if m.Number != 0 || len(m.Data) != 24 || m.Data[16] != 9 {
				t.Errorf("%s: %+v", name, m)
			}
			break
		}
		must(t, o.Check())
		must(t, o.Close())
		must(t, tp.Close())
		must(t, other.Close())
	}
}

// The default is at most 2 MiB, of which header and control take at most 128 KiB.
func TestSize(t *testing.T) {
	tp := made[tick](t, nil)
	seg := got(shm.Open("/shoal.t", &shm.Options{ReadOnly: true}))(t)
	defer seg.Close()
	size := len(seg.Bytes())
	if control := size - topic.DefaultPublishers*topic.DefaultLaneSize; size > 2<<20 || control > 128<<10 {
		t.Errorf("%d bytes, %d of them control", size, control)
	}
	if s := tp.Stats(); s.MaxPublishers != 8 || s.MaxSubscribers != 64 || s.LaneSize != 128<<10 {
		t.Errorf("%+v", s)
	}
}

// Publishers take turns, however much one of them has to say.
func TestFairness(t *testing.T) {
	tp := made[[]byte](t, nil)
	s := got(tp.Subscribe(nil))(t)
	p, q := got(tp.Publisher())(t), got(tp.Publisher())(t)
	for range 1000 {
		send(t, p, "p")
	}
	send(t, q, "q")
	for n := 0; string(got(s.Receive(background))(t)) != "q"; n++ {
		if n > 100 {
			t.Fatal("one publisher speaks alone")
		}
	}
}

// An observer sees everything, and nobody sees it.
func TestObserver(t *testing.T) {
	tp := made[[]byte](t, small(topic.Wait))
	p := got(tp.Publisher())(t)
	o := got(topic.Observe("t"))(t)
	if typ := got(o.Schema())(t); !typ.Untyped() || o.Name() != "t" || o.MaxRecord() != tp.MaxRecord() {
		t.Error(typ, o.Name(), o.MaxRecord())
	}
	before := tp.Stats()
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	var wg sync.WaitGroup
	const records = 20000
	wg.Go(func() {
		for i := range records {
			p.Send(background, fmt.Appendf(nil, "%0*d", 10+i%90, i))
			if i%1000 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	})
	next, missed := uint64(0), uint64(0)
	for m, err := range o.All(ctx, topic.Oldest) {
		var gap *topic.MissedError
		if errors.As(err, &gap) {
			next += gap.Count
			missed += gap.Count
			continue
		}
		must(t, err)
		if m.Number != next || string(m.Data) != fmt.Sprintf("%0*d", 10+next%90, next) {
			t.Fatalf("%+v after %d", m, next)
		}
		if next++; next == records {
			break
		}
	}
	wg.Wait()
	t.Logf("missed %d of %d", missed, records)
	must(t, o.Check())
	after := o.Stats()
	if after.Members != before.Members || len(after.Subscribers) != 0 || after.Publishers[0].Sent != records {
		t.Errorf("%+v", after)
	}
	go cancel()
	for _, err := range o.All(ctx, topic.Now) {
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	// The loop ends although records come without a pause.
	done := make(chan error, 1) // Close waits for the loop
	begun := make(chan struct{})
	stop := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				p.Send(background, []byte("without a pause"))
			}
		}
	})
	go func() {
		first := sync.OnceFunc(func() { close(begun) })
		for _, err := range o.All(background, topic.Now) {
			first()
			if err != nil && !errors.Is(err, topic.ErrMissed) {
				done <- err
			}
		}
	}()
	<-begun
	must(t, o.Close())
	close(stop)
	wg.Wait()
	if err := <-done; !errors.Is(err, shm.ErrClosed) {
		t.Error(err)
	}
	must(t, o.Close())
	if err := o.Check(); !errors.Is(err, shm.ErrClosed) {
		t.Error(err)
	}
}

// Subscribers come and go while publishers are at full speed: who joins now misses
// nothing from then on, and nothing before comes.
func TestJoinConcurrent(t *testing.T) {
	for _, policy := range []topic.Policy{topic.Wait, topic.Drop} {
		t.Run(policy.String(), func(t *testing.T) {
			tp := made[tick](t, small(policy))
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for range 2 {
				p := got(tp.Publisher())(t)
				wg.Go(func() {
					for i := int64(0); ; i++ {
						select {
						case <-stop:
							return
						default:
						}
						if err := p.Send(background, tick{Time: i, Price: float64(i)}); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			end := time.Now().Add(time.Second)
			for k := 0; time.Now().Before(end); k++ {
				o := &topic.SubscribeOptions{From: topic.From(k % 2), Lossy: k%3 == 0}
				if k%5 == 4 {
					o.History = 3
				}
				s, err := tp.Subscribe(o)
				if policy == topic.Drop && errors.Is(err, topic.ErrDropped) {
					continue
				}
				must(t, err)
				var next [2]uint64
				var seen [2]bool
				for range 300 {
					v, err := s.Receive(background)
					var gap *topic.MissedError
					switch {
					case errors.As(err, &gap) && (policy == topic.Drop || o.Lossy):
						if seen[gap.Publisher] {
							next[gap.Publisher] += gap.Count
						}
						continue
					case errors.Is(err, topic.ErrDropped) && policy == topic.Drop:
						continue
					}
					must(t, err)
					i := s.Last()
					if uint64(v.Time) != i.Number || v.Price != float64(v.Time) || seen[i.Publisher] && i.Number != next[i.Publisher] {
						t.Fatalf("round %d, %+v: %+v at %+v, want %d", k, o, v, i, next[i.Publisher])
					}
					next[i.Publisher], seen[i.Publisher] = i.Number+1, true
				}
				must(t, s.Close())
			}
			close(stop)
			wg.Wait()
			must(t, tp.Check())
		})
	}
}
