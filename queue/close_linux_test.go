//go:build linux && (amd64 || arm64)

package queue_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/shm"
)

// Close in the middle of everything: what an operation has said is so. A message that
// was sent comes once, one that was not does not come, one that was acknowledged does not
// come again, one that could not be does; and every slot is free in the end.
func TestCloseUnderFire(t *testing.T) {
	const senders, receivers, slots = 3, 3, 64
	defer queue.Remove("fire")
	rest := got(queue.Create[int64]("fire", &queue.Options{Slots: slots}))(t)
	defer rest.Close()
	for round := range 150 {
		q := got(queue.Open[int64]("fire", nil))(t)
		var mu sync.Mutex
		owed := map[int64]int{} // by message, how often it is to come yet
		owe := func(v int64, n int) {
			mu.Lock()
			defer mu.Unlock()
			owed[v] += n
		}
		var all sync.WaitGroup
		for from := range int64(senders) {
			all.Go(func() {
				for v := from; ; v += senders {
					var err error
					switch v % 4 {
					case 0:
						var l queue.Loan[int64]
						if l, err = q.Loan(background); err == nil {
							*l.Value = v
							err = l.Commit()
						}
					case 1:
						var ok bool
						if ok, err = q.TrySend(v); err == nil && !ok {
							continue
						}
					default:
						err = q.Send(background, v)
					}
					if errors.Is(err, shm.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
					owe(v, 1)
				}
			})
		}
		for range receivers {
			all.Go(func() {
				for n := 0; ; n++ {
					m, err := q.Receive(background)
					if err == nil {
						v := *m.Value
						if n%8 == 0 {
							err = m.Nack()
						} else if err = m.Ack(); err == nil {
							owe(v, -1)
						}
					}
					if errors.Is(err, shm.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(rand.IntN(1500)) * time.Microsecond)
		must(t, q.Close())
		all.Wait()
		for {
			m, ok, err := rest.TryReceive()
			must(t, err)
			if !ok {
				break
			}
			owed[*m.Value]--
			must(t, m.Ack())
		}
		for v, n := range owed {
			if n != 0 {
				t.Fatalf("round %d: message %d is to come %d times yet", round, v, n)
			}
		}
		must(t, rest.Check())
		if s := rest.Stats(); s.Free != slots {
			t.Fatalf("round %d: %+v", round, s)
		}
	}
}

// A message of a closed queue is harmless, and the memory that it stands in goes with it.
func TestAfterClose(t *testing.T) {
	defer queue.Remove("after")
	size := func() (pages int) {
		_, err := fmt.Sscan(string(got(os.ReadFile("/proc/self/statm"))(t)), &pages)
		must(t, err)
		return pages
	}
	const slots, rounds = 1 << 14, 50
	before, each := size(), slots*128/os.Getpagesize()
	for range rounds {
		q := got(queue.OpenOrCreate[int64]("after", &queue.Options{Slots: slots}))(t)
		must(t, q.Send(background, 7))
		m := got(q.Receive(background))(t)
		l := got(q.Loan(background))(t)
		must(t, q.Close())
		if *m.Value != 0 {
			t.Error("the shared memory is still there")
		}
		*m.Value, *l.Value = 1, 2
		for _, err := range []error{m.Ack(), m.Nack(), l.Commit(), l.Cancel(), q.Send(background, 1)} {
			if !errors.Is(err, shm.ErrClosed) {
				t.Error(err)
			}
		}
	}
	for end := time.Now().Add(20 * time.Second); size() > before+rounds/2*each; runtime.GC() {
		if time.Now().After(end) {
			t.Fatalf("%d pages, %d before, %d a queue", size(), before, each)
		}
	}
}

// The memory turns blank at the moments that matter.
func TestBlank(t *testing.T) {
	const slots = 64
	defer queue.Remove("blank")
	rest := got(queue.Create[int64]("blank", &queue.Options{Slots: slots}))(t)
	defer rest.Close()
	closed := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, shm.ErrClosed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	with := func(f func(q *queue.Queue[int64])) {
		q := got(queue.Open[int64]("blank", nil))(t)
		f(q)
		must(t, q.Close())
		must(t, rest.Check())
	}

	with(func(q *queue.Queue[int64]) {
		must(t, q.Blank())
		closed("Send", q.Send(background, 1))
		_, err := q.TrySend(1)
		closed("TrySend", err)
		_, err = q.Loan(background)
		closed("Loan", err)
	})
	if s := rest.Stats(); s.Free != slots {
		t.Errorf("something has been sent: %+v", s)
	}

	must(t, rest.Send(background, 2))
	with(func(q *queue.Queue[int64]) { closed("Receive", q.ReceiveBlank()) })
	m, ok, err := rest.TryReceive()
	must(t, err)
	if !ok || *m.Value != 2 || m.Deliveries != 2 {
		t.Errorf("%t: %+v", ok, m)
	}
	must(t, m.Ack())

	var pos uint64
	with(func(q *queue.Queue[int64]) {
		pos, err = q.SendBlank()
		if !errors.Is(err, shm.ErrCorrupt) { // it is no secret that this is blank
			t.Error(err)
		}
	})
	if s := rest.Stats(); s.Free != slots || rest.Marked(pos) {
		t.Errorf("a claim is left, or its mark: %+v", s)
	}

	for range slots {
		must(t, rest.Send(background, 3))
	}
	with(func(q *queue.Queue[int64]) {
		for range slots / 2 { // one that is free then is not near the tail
			m = got(q.Receive(background))(t)
		}
		for range 2 {
			if ok, err := rest.TrySend(4); ok || err != nil {
				t.Error("room in a full queue", err)
			}
		}
		must(t, m.AckBlank())
	})
	if ok, err := rest.TrySend(4); !ok || err != nil {
		t.Error("no room for a message after one was acknowledged", err)
	}
}
