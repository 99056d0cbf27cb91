//go:build linux && (amd64 || arm64)

package topic_test

import (
	"math/rand/v2"
	"testing"

	"github.com/seed-247006a4/shoal/topic"
)

// Typed records go in batches, of which runs are copied together, as they go alone:
// whatever was peeked at before, whoever publishes, and round the lanes.
func TestBatches(t *testing.T) {
	type record struct{ Publisher, Number, Twice uint64 }
	tp := got(topic.Create[record]("b", small(topic.Wait)))(t)
	defer topic.Remove("b")
	defer tp.Close()
	pubs := []*topic.Publisher[record]{got(tp.Publisher())(t), got(tp.Publisher())(t)}
	var sent [2]uint64
	for _, o := range []*topic.SubscribeOptions{nil, {Lossy: true}} {
		sub := got(tp.Subscribe(o))(t)
		random := rand.New(rand.NewPCG(1, 2))
		seen := sent
		check := func(r *record) {
			t.Helper()
			if last := sub.Last(); last.Publisher != int(r.Publisher) {
				t.Fatalf("%+v is the last, %+v has come", last, *r)
			}
			if r.Number != seen[r.Publisher] || r.Twice != 2*r.Number {
				t.Fatalf("%+v, want %d", *r, seen[r.Publisher])
			}
			seen[r.Publisher]++
		}
		vs, in := make([]record, 20), make([]record, 20)
		for range 3000 {
			i := random.IntN(2)
			n := random.IntN(len(vs))
			for k := range vs[:n] {
				vs[k] = record{uint64(i), sent[i] + uint64(k), 2 * (sent[i] + uint64(k))}
			}
			if got, err := pubs[i].SendBatch(background, vs[:n]); got != n || err != nil {
				t.Fatalf("SendBatch: %d, %v", got, err)
			}
			sent[i] += uint64(n)
			for seen != sent {
				peeked := uint64(0)
				if random.IntN(3) == 0 {
					peeked = got(sub.Peek(background))(t).Number + 1
				}
				n, err := sub.ReceiveBatch(background, in[:1+random.IntN(len(in)-1)])
				must(t, err)
				if peeked > 0 && in[0].Number != peeked-1 {
					t.Fatalf("record %d was peeked at, %d has come", peeked-1, in[0].Number)
				}
				if last := sub.Last(); last.Number != in[n-1].Number || last.Publisher != int(in[n-1].Publisher) {
					t.Fatalf("%+v is the last, %+v has come", last, in[n-1])
				}
				for k := range in[:n] {
					if r := &in[k]; r.Number != seen[r.Publisher] || r.Twice != 2*r.Number {
						t.Fatalf("%+v, want %d", *r, seen[r.Publisher])
					} else {
						seen[r.Publisher]++
					}
				}
				must(t, sub.Release()) // of nothing
				if random.IntN(3) == 0 && seen != sent {
					check(got(sub.Peek(background))(t))
					must(t, sub.Release())
				}
			}
		}
		must(t, sub.Close())
	}
}
