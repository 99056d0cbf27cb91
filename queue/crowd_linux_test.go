//go:build linux && (amd64 || arm64)

package queue_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/shm"
)

// Consumers that acknowledge out of order leave slots free here and there, so that the
// tail of a full queue runs laps ahead and the head has gaps to leap over, while others
// are faster all the time. None of that is damage, and every message comes once.
func TestCrowd(t *testing.T) {
	for _, c := range []struct{ slots, held, each int }{{4, 1, 5_000}, {64, 16, 10_000}, {8192, 16, 50_000}, {8192, 500, 50_000}} {
		t.Run(fmt.Sprint(c.slots, "slots", c.held, "held"), func(t *testing.T) {
			defer queue.Remove("crowd")
			each := c.each
			open := func() *queue.Queue[int64] {
				return got(queue.OpenOrCreate[int64]("crowd", &queue.Options{Slots: c.slots}))(t)
			}
			var senders, receivers sync.WaitGroup
			var mu sync.Mutex
			times := make([]int, 4*each)
			for from := range 4 {
				q := open()
				defer q.Close()
				senders.Go(func() {
					for i := range each {
						if err := q.Send(background, int64(from*each+i)); err != nil {
							t.Error(err)
							return
						}
					}
				})
			}
			for range 4 {
				q := open()
				defer q.Close()
				receivers.Go(func() {
					var held []queue.Message[int64]
					var values []int64
					for {
						m, err := q.Receive(background)
						if err != nil {
							t.Error(err)
							break
						}
						if *m.Value < 0 {
							held = append(held, m)
							break
						}
						values, held = append(values, *m.Value), append(held, m)
						if len(held) > rand.IntN(c.held) {
							i, last := rand.IntN(len(held)), len(held)-1
							if err := held[i].Ack(); err != nil {
								t.Error(err)
							}
							held[i], held = held[last], held[:last]
						}
					}
					for _, m := range held {
						if err := m.Ack(); err != nil {
							t.Error(err)
						}
					}
					mu.Lock()
					defer mu.Unlock()
					for _, v := range values {
						times[v]++
					}
				})
			}
			senders.Wait()
			q := open()
			defer q.Close()
			for range 4 {
				must(t, q.Send(background, -1))
			}
			receivers.Wait()
			for v, n := range times {
				if n != 1 {
					t.Fatalf("message %d has come %d times", v, n)
				}
			}
			must(t, q.Check())
		})
	}
}

// A tail so far ahead that nobody can count up to it, over slots that tell nothing, or
// lead astray: an answer all the same, and soon.
func TestFarTail(t *testing.T) {
	const far = 1 << 50
	for name, position := range map[string]func(slot uint64) uint64{
		"used long ago":     func(slot uint64) uint64 { return slot },
		"used lately":       func(slot uint64) uint64 { return far - 4 + slot },
		"used now and then": func(slot uint64) uint64 { return far/8*(slot+1) + slot },
		"of other slots":    func(slot uint64) uint64 { return far/8*(slot+1) + slot + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			damaged(t, "far", func(b []byte, body, slots int) {
				put(b, body+layout.Line, far)
				for i := range 4 {
					at := position(uint64(i))
					put(b, slots+i*128, (at+1)<<layout.QueuePosition|layout.QueueFree)
					put(b, slots+i*128+8, at)
				}
			})
			defer shm.Remove("/shoal.far")
			q := got(queue.Open[tick]("far", nil))(t)
			defer q.Close()
			began := time.Now()
			_, ok, err := q.TryReceive()
			if ok || err != nil && name != "of other slots" {
				t.Errorf("a message: %t, %v", ok, err)
			}
			if d := time.Since(began); d > 2*time.Second {
				t.Errorf("it took %v", d)
			}
		})
	}
}
