package topic

import (
	"fmt"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/shm"
)

// How a publisher knows what it may overwrite:
//
//	gate    a lane's size behind the slowest reliable cursor, as it was when the
//	        publisher last looked at all of them. Cursors only go ahead, so it stays
//	        true, but for subscribers who join later.
//	joins   how many had joined before that look. Another number means another look.
//	claim   how far the publisher may write at all, in shared memory. It is raised by
//	        an eighth of the lane at a time, so that the other seven are there for
//	        lossy readers and late joiners.
//
// A subscriber joins by storing its cursor, then its place word, then Joins, and then
// looks at the claim: if that is beyond what its cursor allows it takes a newer one. A
// publisher raises its claim, then looks at Joins. All are sequentially consistent, so
// one of the two sees the other: the subscriber finds the claim and moves, or the
// publisher finds the subscriber, and does not use what it has claimed.
//
// The look at Joins has another use. On arm64 the claim is a store-release, which
// does not keep back the plain stores of the payload behind it; but the load-acquire
// of Joins cannot overtake the store, and keeps back the payload.

// look lets the publisher go on up to need, and reports whether it may.
// Preconditions: no run is open.
func (p *Publisher[T]) look(need uint64) (bool, error) {
	head, size := p.topic.head, p.topic.laneSize
	if need > p.gate || head.Joins.Load() != p.joins {
		if err := p.scan(need); err != nil {
			return false, err
		}
	}
	if need > p.gate {
		return false, nil
	}
	target := min(p.gate, max(need, p.lane.Committed()+size/8))
	p.lane.Open(target-size, need)
	for head.Joins.Load() != p.joins { // pairs with the addition in join
		if err := p.scan(need); err != nil {
			return false, err
		}
		p.lane.Restrict(p.gate - size)
	}
	return p.lane.Within(need), nil
}

// scan looks at the cursors of all reliable subscribers. Those who stand in the way
// of need it asks whether they live, and drops them if that is the policy.
func (p *Publisher[T]) scan(need uint64) error {
	t := p.topic
	size, committed := t.laneSize, p.lane.Committed()
	p.joins = t.head.Joins.Load() // before the cursors: who joins meanwhile is looked at again
	slowest := committed
	for i := range t.usedPlaces() {
		if t.places[i].Load()&layout.SubReliable == 0 {
			continue
		}
		pos := p.cursors[i].Position.Load() // pairs with the store in Reader.Release: it has been read
		if pos+size >= need && pos <= committed && pos%8 == 0 {
			slowest = min(slowest, pos)
			continue
		}
		pos, waits, err := p.slow(i, need, committed)
		if err != nil {
			return err
		}
		if waits {
			slowest = min(slowest, pos)
		}
	}
	p.gate = slowest + size
	if used := min(committed-slowest, size); used > p.lane.Control.HighWater.Load() {
		p.lane.Control.HighWater.Release(used)
	}
	return nil
}

// slow looks closely at a subscriber who is in the way, or where none can be. It
// reports whether the publisher has to wait for it.
func (p *Publisher[T]) slow(i int, need, committed uint64) (pos uint64, waits bool, err error) {
	t := p.topic
	for range 100 {
		word, err := t.settle(i)
		if err != nil {
			return 0, false, err
		}
		if word&layout.SubReliable == 0 {
			return 0, false, nil
		}
		pos = p.cursors[i].Position.Load()
		if t.places[i].Load() != word {
			continue
		}
		// A cursor that is being set may be too old; another one can only seem so, if the
		// place has changed hands since we read its word.
		if pos%8 != 0 || pos > committed || committed-pos > t.laneSize && word&layout.SubJoining == 0 {
			continue
		}
		if pos+t.laneSize >= need || t.policy != Drop {
			return pos, true, nil
		}
		to := word &^ layout.SubReliable
		if word&layout.SubJoining == 0 {
			to |= layout.SubDropped
		}
		if t.places[i].CompareAndSwap(word, to) {
			t.rows[i].Drops.Add(1)
			return 0, false, nil
		}
	}
	return 0, false, fmt.Errorf("subscriber %d is at position %d of lane %d, its publisher at %d of %d bytes: %w",
		i, pos, p.number, committed, t.laneSize, shm.ErrCorrupt)
}
