//go:build linux && (amd64 || arm64)

package queue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

var background = context.Background()

// create makes a queue for the time of a test.
func create[T any](t testing.TB, o *queue.Options) *queue.Queue[T] {
	t.Helper()
	q := got(queue.Create[T]("q", o))(t)
	t.Cleanup(func() {
		must(t, q.Close())
		must(t, queue.Remove("q"))
	})
	return q
}

// says fails unless err is want, and has a word about something.
func says(t *testing.T, err, want error, text string) {
	t.Helper()
	if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), text) {
		t.Errorf("%v; want %v, and a word about %q", err, want, text)
	}
}

type tick struct {
	Time  int64
	Price float64
	Size  uint32
}

// Messages come in the order in which they were sent, over every backend.
func TestOrder(t *testing.T) {
	for _, name := range []string{"o", "/o", "sysv:0x5150", "file:" + filepath.Join(t.TempDir(), "o")} {
		for _, slots := range []int{1, 2, 4, 64, 256} {
			q := got(queue.OpenOrCreate[uint64](name, &queue.Options{Slots: slots}))(t)
			next := uint64(0)
			for round := range 3 * slots {
				n := 1 + round%slots
				for i := range n {
					must(t, q.Send(background, next+uint64(i)))
				}
				for range n {
					m := got(q.Receive(background))(t)
					if *m.Value != next || m.Deliveries != 1 {
						t.Fatalf("%s, %d slots: got %d, want %d", name, slots, *m.Value, next)
					}
					must(t, m.Ack())
					next++
				}
			}
			must(t, q.Check())
			must(t, q.Close())
			must(t, queue.Remove(name))
		}
	}
}

// Every length arrives as it was sent, by every way of sending and receiving.
func TestLengths(t *testing.T) {
	q := create[[]byte](t, &queue.Options{Slots: 4, MaxMessage: 600})
	if q.MaxMessage() < 600 {
		t.Fatalf("messages of %d bytes", q.MaxMessage())
	}
	for n := range q.MaxMessage() + 1 {
		p := make([]byte, n)
		for k := range p {
			p[k] = byte(n + k*7)
		}
		switch n % 4 {
		case 0:
			must(t, q.Send(background, p))
		case 1:
			if ok, err := q.TrySend(p); !ok || err != nil {
				t.Fatalf("TrySend of %d bytes: %t, %v", n, ok, err)
			}
		case 2:
			l := got(q.LoanBytes(background, q.MaxMessage()))(t)
			*l.Value = (*l.Value)[:n]
			copy(*l.Value, p)
			must(t, l.Commit())
		case 3:
			if sent, err := q.SendBatch(background, [][]byte{p}); sent != 1 || err != nil {
				t.Fatalf("SendBatch: %d, %v", sent, err)
			}
		}
		var m queue.Message[[]byte]
		switch n % 3 {
		case 0:
			m = got(q.Receive(background))(t)
		case 1:
			var ok bool
			var err error
			if m, ok, err = q.TryReceive(); !ok || err != nil {
				t.Fatalf("TryReceive: %t, %v", ok, err)
			}
		case 2:
			ms := make([]queue.Message[[]byte], 3)
			if k, err := q.ReceiveBatch(background, ms); k != 1 || err != nil {
				t.Fatalf("ReceiveBatch: %d, %v", k, err)
			}
			m = ms[0]
		}
		if !bytes.Equal(*m.Value, p) {
			t.Fatalf("%d bytes: got %d, %.20x, want %.20x", n, len(*m.Value), *m.Value, p)
		}
		must(t, m.Ack())
	}
	must(t, q.Check())
	too := make([]byte, q.MaxMessage()+1)
	says(t, q.Send(background, too), queue.ErrTooLarge, fmt.Sprint(len(too)))
	_, err := q.TrySend(too)
	says(t, err, queue.ErrTooLarge, fmt.Sprint(len(too)))
	_, err = q.LoanBytes(background, len(too))
	says(t, err, queue.ErrTooLarge, fmt.Sprint(len(too)))
	if n, err := q.SendBatch(background, [][]byte{nil, too, nil}); n != 1 || !errors.Is(err, queue.ErrTooLarge) {
		t.Errorf("SendBatch: %d, %v", n, err)
	}
}

// A full queue takes no more, an empty one gives no more, and both go on; whatever else
// is in use, a queue is full only when all slots are.
func TestFullEmpty(t *testing.T) {
	for _, slots := range []int{1, 2, 8, 64} {
		t.Run(fmt.Sprint(slots), func(t *testing.T) {
			q := create[int64](t, &queue.Options{Slots: slots})
			for held := range slots {
				if held > 4 && held < slots-2 {
					continue
				}
				var kept []queue.Message[int64]
				for i := range held {
					must(t, q.Send(background, int64(-i)))
					kept = append(kept, got(q.Receive(background))(t))
				}
				for range 5 {
					for i := range slots - held {
						if ok, err := q.TrySend(int64(i)); !ok || err != nil {
							t.Fatalf("%d held, %d sent: %t, %v", held, i, ok, err)
						}
					}
					for range 200 {
						if ok, err := q.TrySend(7); ok || err != nil {
							t.Fatalf("%d held: sent to a full queue: %t, %v", held, ok, err)
						}
					}
					short, cancel := context.WithTimeout(background, time.Millisecond)
					if err := q.Send(short, 7); !errors.Is(err, context.DeadlineExceeded) {
						t.Fatalf("Send to a full queue: %v", err)
					}
					cancel()
					must(t, q.Check())
					for i := range slots - held {
						m, ok, err := q.TryReceive()
						if !ok || err != nil || *m.Value != int64(i) {
							t.Fatalf("%d held: %v, %t, %v; want %d", held, m.Value, ok, err, i)
						}
						must(t, m.Ack())
					}
					if _, ok, err := q.TryReceive(); ok || err != nil {
						t.Fatalf("an empty queue gives something: %t, %v", ok, err)
					}
					short, cancel = context.WithTimeout(background, time.Millisecond)
					if _, err := q.Receive(short); !errors.Is(err, context.DeadlineExceeded) {
						t.Fatalf("Receive from an empty queue: %v", err)
					}
					cancel()
				}
				for _, m := range kept {
					must(t, m.Ack())
				}
			}
			must(t, q.Check())
			if s := q.Stats(); s.Free != slots || s.Full == 0 || s.HighWater != slots || s.LostWakes != 0 || s.SendBlocked == 0 || s.ReceiveBlocked == 0 || s.Sent != s.Acked || s.Received != s.Sent || s.SentBytes != 8*s.Sent {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A message that is given back comes again, before newer ones, and says how often.
func TestNack(t *testing.T) {
	q := create[int64](t, &queue.Options{Slots: 128})
	for i := range int64(100) {
		must(t, q.Send(background, i))
	}
	var ms []queue.Message[int64]
	for range 50 {
		ms = append(ms, got(q.Receive(background))(t))
	}
	for i := range 50 { // the last of them first
		must(t, ms[49-i].Nack())
		must(t, q.Check())
	}
	for round := 2; round < 5; round++ {
		for i := range int64(50) {
			m := got(q.Receive(background))(t)
			if *m.Value != i || m.Deliveries != round {
				t.Fatalf("got %d, delivery %d; want %d, %d", *m.Value, m.Deliveries, i, round)
			}
			ms[i] = m
		}
		for _, m := range ms {
			must(t, m.Nack())
		}
	}
	for i := range int64(100) {
		m := got(q.Receive(background))(t)
		if want := 5; *m.Value != i || i < 50 && m.Deliveries != want || i >= 50 && m.Deliveries != 1 {
			t.Fatalf("got %d, delivery %d; want %d", *m.Value, m.Deliveries, i)
		}
		must(t, m.Ack())
	}
	must(t, q.Check())
	if s := q.Stats(); s.Nacked != 200 || s.Redelivered != 200 || s.Acked != 100 || s.Received != 300 {
		t.Errorf("%+v", s)
	}
}

// What is no longer held is noticed, also when the slot has a new message.
func TestMisuse(t *testing.T) {
	q := create[int64](t, &queue.Options{Slots: 1})
	must(t, q.Send(background, 1))
	m := got(q.Receive(background))(t)
	must(t, m.Ack())
	says(t, m.Ack(), queue.ErrNotHeld, "q")
	says(t, m.Nack(), queue.ErrNotHeld, "q")
	must(t, q.Send(background, 2))
	says(t, m.Ack(), queue.ErrNotHeld, "q")
	next := got(q.Receive(background))(t)
	says(t, m.Ack(), queue.ErrNotHeld, "q")
	says(t, m.Nack(), queue.ErrNotHeld, "q")
	must(t, next.Nack())
	again := got(q.Receive(background))(t)
	says(t, next.Ack(), queue.ErrNotHeld, "q")
	if n, err := q.AckBatch([]queue.Message[int64]{again, next}); n != 1 || !errors.Is(err, queue.ErrNotHeld) {
		t.Errorf("AckBatch: %d, %v", n, err)
	}
	l := got(q.Loan(background))(t)
	*l.Value = 3
	must(t, l.Commit())
	says(t, l.Commit(), queue.ErrNotHeld, "q")
	says(t, l.Cancel(), queue.ErrNotHeld, "q")
	m = got(q.Receive(background))(t)
	if *m.Value != 3 {
		t.Error(*m.Value)
	}
	must(t, m.Ack())
	other := got(q.Loan(background))(t)
	says(t, l.Commit(), queue.ErrNotHeld, "q")
	says(t, l.Cancel(), queue.ErrNotHeld, "q")
	must(t, other.Cancel())
	says(t, other.Commit(), queue.ErrNotHeld, "q")
	_, err := q.LoanBytes(background, 8)
	says(t, err, err, "use Loan")
	must(t, q.Check())
	if s := q.Stats(); s.Free != 1 || s.Acked != 3 {
		t.Errorf("%+v", s)
	}
}

// What is wrong is said, and nothing else happens.
func TestErrors(t *testing.T) {
	q := create[tick](t, nil)
	_, err := queue.Create[tick]("q", nil)
	says(t, err, fs.ErrExist, "q")
	_, err = queue.Open[tick]("none", nil)
	says(t, err, fs.ErrNotExist, "none")
	says(t, queue.Remove("none"), fs.ErrNotExist, "none")
	_, err = queue.Observe("none")
	says(t, err, fs.ErrNotExist, "none")
	_, err = queue.Open[struct {
		Time  int64
		Price float32
		Size  uint32
	}]("q", nil)
	says(t, err, shm.ErrTypeMismatch, "Price: want float32 at 8, found float64 at 8")
	_, err = queue.Open[[]byte]("q", nil)
	says(t, err, shm.ErrTypeMismatch, "want untyped bytes, found struct")
	_, err = queue.Open[int]("q", nil)
	says(t, err, err, "int")
	for text, o := range map[string]*queue.Options{
		"1000 slots": {Slots: 1000}, "-1 slots": {Slots: -1}, "-5 bytes": {MaxMessage: -5},
		"2097152 slots": {Slots: 2 << 20}, "1073741825 bytes": {MaxMessage: 1<<30 + 1},
	} {
		_, err = queue.Create[[]byte]("x", o)
		says(t, err, syscall.EINVAL, text)
	}
	_, err = queue.Create[tick]("x", &queue.Options{Type: schema.Bytes})
	says(t, err, syscall.EINVAL, "Options.Type")
	_, err = queue.Create[[]byte]("x", &queue.Options{Slots: 1 << 20, MaxMessage: 1 << 20})
	says(t, err, syscall.ENOSPC, "x")
	_, err = queue.Open[[]byte]("x", nil)
	says(t, err, fs.ErrNotExist, "x")
	mu := got(pshared.OpenMutex("m"))(t)
	defer pshared.Remove("m")
	defer mu.Close()
	_, err = queue.Open[tick]("m", nil)
	says(t, err, shm.ErrKind, "mutex")
	_, err = queue.Observe("m")
	says(t, err, shm.ErrKind, "mutex")
	says(t, queue.Remove("m"), shm.ErrKind, "mutex")

	// The object's description serves who does not know the type.
	typ := got(schema.Of[tick]())(t)
	raw := got(queue.Open[[]byte]("q", &queue.Options{Type: typ}))(t)
	says(t, raw.Send(background, make([]byte, 7)), shm.ErrTypeMismatch, "messages here have 24")
	must(t, q.Send(background, tick{Price: 3}))
	m := got(raw.Receive(background))(t)
	if text := got(typ.AppendJSON(nil, *m.Value))(t); !strings.Contains(string(text), `"Price":3`) {
		t.Errorf("%s", text)
	}
	must(t, raw.Close())
	says(t, m.Ack(), shm.ErrClosed, "q")
	back := got(q.Receive(background))(t) // it has come back
	if back.Deliveries != 2 || back.Value.Price != 3 {
		t.Errorf("delivery %d of %v", back.Deliveries, back.Value)
	}

	// Removed, it goes on for those who have it.
	must(t, queue.Remove("q"))
	_, err = queue.Open[tick]("q", nil)
	says(t, err, fs.ErrNotExist, "q")
	must(t, back.Ack())
	must(t, q.Send(background, tick{}))
	must(t, got(q.Receive(background))(t).Ack())
	other := got(queue.Create[tick]("q", nil))(t) // for the end of the test
	must(t, other.Close())
	says(t, func() error { _, err := other.Receive(background); return err }(), shm.ErrClosed, "q")
	says(t, other.Send(background, tick{}), os.ErrClosed, "q")
	says(t, other.Check(), shm.ErrClosed, "q")
	says(t, other.Repair(), shm.ErrClosed, "q")
	if s := other.Stats(); !reflect.DeepEqual(s, queue.Stats{}) {
		t.Errorf("%+v", s)
	}
	must(t, other.Close())
}

// Who waits is sent away when the queue is closed, at either end.
func TestCloseWhileWaiting(t *testing.T) {
	q := got(queue.Create[int64]("q", &queue.Options{Slots: 1}))(t)
	defer queue.Remove("q")
	var wg sync.WaitGroup
	errs := make(chan error, 40)
	for range 20 {
		wg.Go(func() { _, err := q.Receive(background); errs <- err })
	}
	eventually(t, "consumers sleep", func() bool { c, _ := q.Sleeping(); return c })
	must(t, q.Close())
	wg.Wait()
	q = got(queue.Open[int64]("q", nil))(t)
	must(t, q.Send(background, 1))
	for range 20 {
		wg.Go(func() { errs <- q.Send(background, 2) })
	}
	eventually(t, "producers sleep", func() bool { _, p := q.Sleeping(); return p })
	must(t, q.Close())
	wg.Wait()
	for range 40 {
		says(t, <-errs, shm.ErrClosed, "q")
	}
	// And the others go on.
	q = got(queue.Open[int64]("q", nil))(t)
	m := got(q.Receive(background))(t)
	must(t, m.Ack())
	must(t, q.Close())
}

// The loop acknowledges what its body has been through with, and gives back the rest.
func TestAll(t *testing.T) {
	q := create[int64](t, nil)
	for i := range int64(6) {
		must(t, q.Send(background, i))
	}
	func() {
		defer func() { recover() }()
		for m, err := range q.All(background) {
			must(t, err)
			switch *m.Value {
			case 1:
				if m.Deliveries == 1 {
					must(t, m.Nack())
				}
			case 2:
				must(t, m.Ack())
			case 3:
				panic("in the body")
			}
		}
	}()
	var rest []string
	ctx, cancel := context.WithCancel(background)
	defer cancel()
	for m, err := range q.All(ctx) {
		if err != nil {
			says(t, err, context.Canceled, "q")
			break
		}
		rest = append(rest, fmt.Sprint(*m.Value, ":", m.Deliveries))
		if *m.Value == 5 {
			cancel()
		}
	}
	if got := strings.Join(rest, " "); got != "3:2 4:1 5:1" {
		t.Error(got)
	}
	must(t, q.Send(background, 9))
	for range q.All(background) {
		break
	}
	if m := got(q.Receive(background))(t); m.Deliveries != 2 {
		t.Error("break acknowledges")
	}
}

// Loans that are cancelled leave nothing behind, however many.
func TestCancel(t *testing.T) {
	for _, slots := range []int{1, 2, 64} {
		q := got(queue.Create[int64]("c", &queue.Options{Slots: slots}))(t)
		for round := range int64(3) {
			for range 300_000 {
				l := got(q.Loan(background))(t)
				must(t, l.Cancel())
			}
			must(t, q.Send(background, round))
			m := got(q.Receive(background))(t)
			if *m.Value != round {
				t.Fatalf("got %d, want %d", *m.Value, round)
			}
			must(t, m.Ack())
		}
		must(t, q.Check())
		must(t, q.Close())
		must(t, queue.Remove("c"))
	}
}

// A stopped process keeps its message and its slot, and hinders nobody.
func TestStopped(t *testing.T) {
	q := got(queue.Create[[]byte]("k", &queue.Options{Slots: 4}))(t)
	defer queue.Remove("k")
	defer q.Close()
	must(t, q.Send(background, numbered(0)))
	holder, filler := rerun.Start(t, "hold", "k"), rerun.Start(t, "fill", "k")
	holder.Expect("holds 1")
	filler.Expect("fills")
	holder.Stop()
	filler.Stop()
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		for i := range uint64(2) {
			if ok, err := q.TrySend(numbered(10 + i)); !ok || err != nil {
				t.Fatalf("two slots are free: %t, %v", ok, err)
			}
		}
		if ok, err := q.TrySend(numbered(1)); ok || err != nil {
			t.Fatalf("none is free: %t, %v", ok, err)
		}
		for i := range uint64(2) {
			m := got(q.Receive(background))(t)
			if p := got(parse(*m.Value))(t); p.number != 10+i || m.Deliveries != 1 {
				t.Fatalf("%v, delivery %d", p, m.Deliveries)
			}
			must(t, m.Ack())
		}
		if _, ok, err := q.TryReceive(); ok || err != nil {
			t.Fatalf("something of a stopped process: %t, %v", ok, err)
		}
	}
	must(t, q.Check())
	s := q.Stats()
	if s.Taken != 1 || s.Claimed != 1 || len(s.Holdings) != 2 || s.Deaths != 0 {
		t.Errorf("%+v", s)
	}
	for _, h := range s.Holdings {
		want := filler.PID()
		if h.Taken {
			want = holder.PID()
			if age := time.Since(h.Since); h.Deliveries != 1 || age < 500*time.Millisecond || age > time.Minute {
				t.Errorf("%+v, %v old", h, age)
			}
		}
		if h.PID != want || !h.Alive {
			t.Errorf("%+v, want process %d", h, want)
		}
	}
	holder.Continue()
	filler.Continue()
	holder.Say("ack")
	holder.Expect("acked <nil>")
	filler.Say("go")
	filler.Expect("committed")
	m := got(q.Receive(background))(t)
	if p := got(parse(*m.Value))(t); p.from != 99 || m.Deliveries != 1 {
		t.Errorf("%v, delivery %d", p, m.Deliveries)
	}
	must(t, m.Ack())
	must(t, q.Check())
}

// Somebody who has no part in the queue sees what there is.
func TestObserve(t *testing.T) {
	q := create[tick](t, &queue.Options{Slots: 4})
	o := got(queue.Observe("q"))(t)
	for i := range 3 {
		must(t, q.Send(background, tick{Time: int64(i)}))
	}
	m := got(q.Receive(background))(t)
	s := got(o.Stats())(t)
	if s.Ready != 2 || s.Taken != 1 || s.Members != 1 || len(s.Holdings) != 1 || s.Holdings[0].PID != os.Getpid() || s.SentBytes != 3*24 {
		t.Errorf("%+v", s)
	}
	if typ := got(o.Schema())(t); typ.Size() != 24 {
		t.Error(typ)
	}
	must(t, o.Check())
	var seen []byte
	must(t, o.Peek(func(p []byte, _ uint64, deliveries int) bool {
		seen = append(seen, p[0], byte(deliveries))
		return true
	}))
	if !bytes.Equal(seen, []byte{1, 0, 2, 0}) {
		t.Error(seen)
	}
	must(t, m.Nack())
	seen = nil
	must(t, o.Peek(func(p []byte, _ uint64, deliveries int) bool {
		seen = append(seen, p[0], byte(deliveries))
		return len(seen) < 4
	}))
	if !bytes.Equal(seen, []byte{0, 1, 1, 0}) {
		t.Error(seen)
	}
	if o.Name() != "q" || q.Name() != "q" || q.Slots() != 4 {
		t.Error(o.Name())
	}
	must(t, o.Close())
	must(t, o.Close())
	_, err := o.Stats()
	says(t, err, shm.ErrClosed, "q")
	says(t, o.Check(), shm.ErrClosed, "q")
}
