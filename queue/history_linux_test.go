//go:build linux && (amd64 || arm64)

package queue_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/seed-247006a4/shoal/queue"
)

// call is an operation of a history.
type call struct {
	kind   byte // 's'end, 'r'eceive, 'a'ck, 'n'ack
	value  int64
	beside int // sends by others that were under way meanwhile: each may have had a slot, and no message yet
}

// answer is its result: of a receive the value, or none; of a send whether it was sent.
type answer struct {
	value int64
	ok    bool
}

// contents is what is in a queue: what waits, in order of sending, and what is in hand.
type contents struct {
	slots int
	wait  []int64
	hand  []int64
}

// fifo is what a queue promises: the first of those that wait is received next, and a
// message that is given back stands again where it stood. If any are, there is one
// producer, whose values grow.
func fifo(slots int) porcupine.Model {
	return porcupine.Model{
		Init: func() any { return contents{slots: slots} },
		Step: func(state, input, output any) (bool, any) {
			s, in, out := state.(contents), input.(call), output.(answer)
			switch in.kind {
			case 's':
				if !out.ok {
					return len(s.wait)+len(s.hand)+in.beside >= s.slots, s
				}
				if len(s.wait)+len(s.hand) == s.slots {
					return false, s
				}
				return true, contents{slots, append(slices.Clone(s.wait), in.value), s.hand}
			case 'r':
				if !out.ok {
					return len(s.wait) == 0, s
				}
				if len(s.wait) == 0 || s.wait[0] != out.value {
					return false, s
				}
				return true, contents{slots, slices.Clone(s.wait[1:]), append(slices.Clone(s.hand), out.value)}
			}
			i := slices.Index(s.hand, in.value)
			if i < 0 {
				return false, s
			}
			hand := slices.Delete(slices.Clone(s.hand), i, i+1)
			if in.kind == 'a' {
				return true, contents{slots, s.wait, hand}
			}
			at, _ := slices.BinarySearch(s.wait, in.value)
			return true, contents{slots, slices.Insert(slices.Clone(s.wait), at, in.value), hand}
		},
		Equal: func(a, b any) bool {
			x, y := a.(contents), b.(contents)
			slices.Sort(x.hand)
			slices.Sort(y.hand)
			return slices.Equal(x.wait, y.wait) && slices.Equal(x.hand, y.hand)
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%c %v %v", input.(call).kind, input, output) },
	}
}

// Whatever several goroutines do at once, there is an order in which a simple queue would
// have done the same.
func TestHistories(t *testing.T) {
	for _, c := range []struct {
		slots, producers, consumers int
		nack                        bool
	}{{2, 2, 2, false}, {4, 3, 3, false}, {1, 2, 2, false}, {4, 1, 3, true}, {8, 1, 2, true}, {64, 3, 3, false}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			for range 150 {
				checkHistory(t, c.slots, c.producers, c.consumers, c.nack)
			}
		})
	}
}

func checkHistory(t *testing.T, slots, producers, consumers int, nack bool) {
	q := got(queue.Create[int64]("h", &queue.Options{Slots: slots}))(t)
	defer queue.Remove("h")
	defer q.Close()
	var mu sync.Mutex
	var history []porcupine.Operation
	began := time.Now()
	record := func(client int, in call, act func() answer) {
		op := porcupine.Operation{ClientId: client, Input: in, Call: int64(time.Since(began))}
		op.Output = act()
		op.Return = int64(time.Since(began))
		mu.Lock()
		history = append(history, op)
		mu.Unlock()
	}
	var wg sync.WaitGroup
	const each = 8
	start := make(chan bool)
	for i := range producers {
		wg.Go(func() {
			<-start
			for n := range each {
				v := int64(i*each + n)
				record(i, call{kind: 's', value: v}, func() answer {
					ok, err := q.TrySend(v)
					if err != nil {
						t.Error(err)
					}
					return answer{ok: ok}
				})
			}
		})
	}
	for i := range consumers {
		client := producers + i
		wg.Go(func() {
			<-start
			for range each {
				var m queue.Message[int64]
				record(client, call{kind: 'r'}, func() (a answer) {
					var err error
					if m, a.ok, err = q.TryReceive(); err != nil {
						t.Error(err)
					}
					if a.ok {
						a.value = *m.Value
					}
					return a
				})
				if m.Value == nil {
					continue
				}
				v := *m.Value
				if nack && rand.IntN(2) == 0 {
					record(client, call{kind: 'n', value: v}, func() answer {
						if err := m.Nack(); err != nil {
							t.Error(err)
						}
						return answer{ok: true}
					})
					continue
				}
				record(client, call{kind: 'a', value: v}, func() answer {
					if err := m.Ack(); err != nil {
						t.Error(err)
					}
					return answer{ok: true}
				})
			}
		})
	}
	close(start)
	wg.Wait()
	for i := range history {
		if in := history[i].Input.(call); in.kind == 's' {
			in.beside = besides(history, i)
			history[i].Input = in
		}
	}
	if result := porcupine.CheckOperationsTimeout(fifo(slots), history, 10*time.Second); result != porcupine.Ok {
		slices.SortFunc(history, func(a, b porcupine.Operation) int { return int(a.Call - b.Call) })
		for _, op := range history {
			t.Logf("%d..%d %d: %c %v", op.Call, op.Return, op.ClientId, op.Input.(call).kind, []any{op.Input, op.Output})
		}
		t.Fatalf("no order of operations explains this: %v", result)
	}
}

// The model can tell: what a queue would not do is refused.
func TestHistoriesFault(t *testing.T) {
	op := func(client int, in call, out answer, from, to int64) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: in, Output: out, Call: from, Return: to}
	}
	sent := []porcupine.Operation{op(0, call{kind: 's', value: 1}, answer{ok: true}, 0, 1), op(0, call{kind: 's', value: 2}, answer{ok: true}, 2, 3)}
	for what, more := range map[string][]porcupine.Operation{
		"out of order": {op(1, call{kind: 'r'}, answer{2, true}, 4, 5)},
		"twice":        {op(1, call{kind: 'r'}, answer{1, true}, 4, 5), op(1, call{kind: 'r'}, answer{1, true}, 6, 7)},
		"lost":         {op(1, call{kind: 'r'}, answer{}, 4, 5)},
		"full":         {op(1, call{kind: 's', value: 3}, answer{}, 4, 5)},
	} {
		if porcupine.CheckOperations(fifo(4), append(slices.Clone(sent), more...)) {
			t.Errorf("%s: not noticed", what)
		}
	}
}

// besides counts the sends that overlap another one.
func besides(history []porcupine.Operation, i int) (n int) {
	for k, other := range history {
		if k != i && other.Input.(call).kind == 's' && other.Call <= history[i].Return && other.Return >= history[i].Call {
			n++
		}
	}
	return n
}
