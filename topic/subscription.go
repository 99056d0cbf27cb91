package topic

import (
	"context"
	"iter"
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/shm"
)

// Subscription receives from a topic. It serves one goroutine at a time; see the
// package comment.
type Subscription[T any] struct {
	port    port.Port
	topic   *Topic[T]
	place   int
	word    uint64 // of the place
	row     *layout.Subscriber
	sources []source
	payload port.Payload[T]
	value   T    // the slice that Peek returns, if T is []byte
	watched bool // it is reliable, and may be dropped

	at   int  // lane of which the record at hand is, or will be next
	left int  // records until it is another lane's turn
	held bool // there is a record at hand
	last Info

	ready  func() bool // what it waits for
	follow park.Follower
	taken  uint64 // records so far
}

// burst is how many records come from one lane before it is another lane's turn: some,
// since they stand in a row.
const burst = 32

// Info says which record something was.
type Info struct {
	Publisher int    // number of its lane; who takes that over after a publisher goes on counting
	Number    uint64 // of the record in the lane, from 0 when the topic was made
}

func (t *Topic[T]) subscription(j *join) *Subscription[T] {
	s := &Subscription[T]{topic: t, place: j.i, word: j.word, row: &t.rows[j.i], sources: make([]source, len(t.lanes)),
		payload: t.payload, left: burst}
	reliable := j.word&layout.SubReliable != 0
	s.watched = reliable && t.policy == Drop
	for l := range t.lanes {
		c := j.cursor(l)
		src := source{cursor: c, latency: &s.row.Latency, number: j.marks[l].Number,
			messages: c.Messages.Load(), bytes: c.Bytes.Load()}
		if j.missed != nil {
			src.missed = j.missed[l]
		}
		if reliable && !s.watched {
			src.in = lane.NewReader(t.lanes[l], c, &s.row.Latency, j.marks[l].Position)
		} else {
			src.out = lane.NewFollower(t.lanes[l], j.marks[l])
		}
		s.sources[l] = src
	}
	s.port.Init(t.object, t.table, (*place)(t.control), eventCount(&t.head.Data))
	s.ready = func() bool {
		if head := s.topic.head; lane.WakeRest(&head.Data, &head.Rest) {
			s.row.Wakes.Release(s.row.Wakes.Load() + 1)
		}
		return s.some() || s.port.Closing()
	}
	return s
}

// Reliable reports whether publishers wait for the subscription. One that was dropped
// stays lossy, until it is closed and, if it has a name, subscribed to again.
func (s *Subscription[T]) Reliable() bool {
	return s.topic.places[s.place].Load()&layout.SubReliable != 0
}

// Last says which record the last one was that was received, or peeked at. It belongs
// to the goroutine that receives.
func (s *Subscription[T]) Last() Info { return s.last }

// Receive returns the next record, copied, and releases it. If there is none it waits
// until ctx is done: then it returns ctx's error. Otherwise ctx is not looked at. If T
// is []byte the copy is allocated: Peek and All spare that. A [MissedError], and
// ErrDropped, tell of what has happened; the next call goes on.
func (s *Subscription[T]) Receive(ctx context.Context) (v T, err error) {
	if !s.port.Enter() {
		return v, s.port.Refused("receive from")
	}
	p, _, err := s.next(ctx, true)
	if err != nil {
		return v, s.port.Fail("receive from", err)
	}
	s.payload.Copy(&v, p)
	s.release()
	s.port.Leave()
	return v, nil
}

// TryReceive is Receive that never waits: ok reports whether there was a record.
func (s *Subscription[T]) TryReceive() (v T, ok bool, err error) {
	if !s.port.Enter() {
		return v, false, s.port.Refused("receive from")
	}
	p, ok, err := s.next(context.Background(), false)
	if err != nil {
		return v, false, s.port.Fail("receive from", err)
	}
	if ok {
		s.payload.Copy(&v, p)
		s.release()
	}
	s.port.Leave()
	return v, ok, nil
}

// ReceiveBatch waits for a record, as Receive does, and copies as many as are there,
// at most len(vs). They are released together. It returns how many there were: at least
// one, unless vs is empty or there is an error, which comes behind them.
func (s *Subscription[T]) ReceiveBatch(ctx context.Context, vs []T) (n int, err error) {
	if !s.port.Enter() {
		return 0, s.port.Refused("receive from")
	}
	for size := s.payload.Size(); n < len(vs); {
		if size > 0 {
			if n += s.takeRun(s.payload.All(vs[n:]), size); n == len(vs) {
				break
			}
		}
		p, ok, err := s.next(ctx, n == 0)
		if err != nil {
			s.releaseAll()
			return n, s.port.Fail("receive from", err)
		}
		if !ok {
			break
		}
		s.payload.Copy(&vs[n], p)
		s.skip()
		n++
	}
	s.releaseAll()
	s.port.Leave()
	return n, nil
}

// Peek returns the next record, which it waits for as Receive does. It is valid, and
// stays the next one, until Release, or until the port is closed. A reliable
// subscription shows it where it lies: who reads from it must not write. If T is []byte
// the result points to a slice that belongs to the Subscription.
func (s *Subscription[T]) Peek(ctx context.Context) (*T, error) {
	if !s.port.Enter() {
		return nil, s.port.Refused("receive from")
	}
	p, _, err := s.next(ctx, true)
	if err != nil {
		return nil, s.port.Fail("receive from", err)
	}
	v := s.payload.InPlace(p, &s.value)
	s.port.Leave()
	return v, nil
}

// TryPeek is Peek that never waits: it returns nil if there is no record.
func (s *Subscription[T]) TryPeek() (*T, error) {
	if !s.port.Enter() {
		return nil, s.port.Refused("receive from")
	}
	p, ok, err := s.next(context.Background(), false)
	if err != nil {
		return nil, s.port.Fail("receive from", err)
	}
	var v *T
	if ok {
		v = s.payload.InPlace(p, &s.value)
	}
	s.port.Leave()
	return v, nil
}

// Release gives back the record that Peek has returned. Without one it does nothing.
func (s *Subscription[T]) Release() error {
	if !s.port.Enter() {
		return s.port.Refused("release to")
	}
	if s.held {
		s.skip()
	}
	s.releaseAll()
	s.port.Leave()
	return nil
}

// All returns the records to come, without an end: each valid until the next iteration,
// which releases it, and for a reliable subscription where it lies. Leaving the loop
// releases the last one, too; a panic does not. An error, that of ctx or shm.ErrClosed
// for instance, comes with a nil record and is the last, but for [MissedError] and
// ErrDropped: after those the loop goes on.
func (s *Subscription[T]) All(ctx context.Context) iter.Seq2[*T, error] {
	return s.records(ctx, false)
}

// Runs is All that releases records together: when it has come to the end of what is
// there, when it passes to another publisher's, when an eighth of a lane has been read,
// or when the loop is left. That is cheaper, and if the process dies all records are
// delivered again that were not released.
func (s *Subscription[T]) Runs(ctx context.Context) iter.Seq2[*T, error] {
	return s.records(ctx, true)
}

func (s *Subscription[T]) records(ctx context.Context, runs bool) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		for used := false; ; {
			v, err := s.step(ctx, used, runs)
			used = err == nil
			if !yield(v, err) || err != nil && !passing(err) {
				if used {
					s.Release()
				}
				return
			}
		}
	}
}

// step gives back the record at hand, if it was used, and returns the next one.
func (s *Subscription[T]) step(ctx context.Context, used, runs bool) (*T, error) {
	if !s.port.Enter() {
		return nil, s.port.Refused("receive from")
	}
	if used {
		if s.skip(); !runs || s.sources[s.at].owing() {
			s.sources[s.at].release()
		}
	}
	if s.follow.Tight(s.taken) {
		s.keepOff()
	}
	p, ok, err := s.look()
	if !ok {
		s.releaseAll()
		if err == nil {
			p, _, err = s.next(ctx, true)
		}
		if err != nil {
			return nil, s.port.Fail("receive from", err)
		}
	}
	v := s.payload.InPlace(p, &s.value)
	s.port.Leave()
	return v, nil
}

// next returns the next record, in place or copied. It waits only if told so; ok is
// false if there is none.
func (s *Subscription[T]) next(ctx context.Context, wait bool) (p []byte, ok bool, err error) {
	if wait && s.follow.Tight(s.taken) {
		s.keepOff()
	}
	for {
		if p, ok, err = s.look(); ok || err != nil {
			return p, ok, err
		}
		if !wait {
			s.rest(false)
			return nil, false, nil
		}
		if err := s.await(ctx); err != nil {
			return nil, false, err
		}
	}
}

// look goes through the lanes once, beginning with the one whose turn it is.
func (s *Subscription[T]) look() (p []byte, ok bool, err error) {
	if s.watched && s.topic.places[s.place].Load() != s.word {
		return nil, false, s.dropped()
	}
	if s.left <= 0 && !s.held {
		s.turn()
	}
	for n := s.topic.usedLanes(); n > 0; n-- {
		src := &s.sources[s.at]
		p, ok, err = src.peek()
		if ok || err != nil || src.missed != 0 {
			return s.found(src, p, ok, err)
		}
		s.turn()
	}
	return nil, false, nil
}

// takeRun copies records of n bytes each to p, as many as it can without further ado.
func (s *Subscription[T]) takeRun(p []byte, n int) (records int) {
	src := &s.sources[s.at]
	if s.held || s.left <= 0 || src.missed != 0 {
		return 0
	}
	records = src.takeRun(p[:min(len(p), s.left*n)], n)
	s.left -= records
	s.taken += uint64(records)
	if records > 0 {
		s.last = Info{Publisher: s.at, Number: src.number - 1}
	}
	return records
}

// keepOff lets the publisher get ahead if it is close.
func (s *Subscription[T]) keepOff() {
	src, taken := &s.sources[s.at], s.taken
	s.follow.KeepOff(taken, layout.RecordSize(uint64(src.length)), func() uint64 { return taken + src.written() - src.number })
}

// turn passes to the next lane.
func (s *Subscription[T]) turn() {
	if src := &s.sources[s.at]; src.unsaid {
		src.release()
	}
	s.left = burst
	if s.at++; s.at >= s.topic.usedLanes() {
		s.at = 0
	}
}

// found is what look has found.
func (s *Subscription[T]) found(src *source, p []byte, ok bool, err error) ([]byte, bool, error) {
	if missed := src.missed; missed != 0 && !s.held {
		src.missed = 0
		return nil, false, &MissedError{Publisher: s.at, Count: missed}
	}
	if err == nil {
		err = s.payload.Check(p, src.position())
	}
	if err != nil {
		return nil, false, err
	}
	s.held = ok
	s.last = Info{Publisher: s.at, Number: src.number}
	return p, ok, nil
}

// dropped notices that publishers do not wait any more.
func (s *Subscription[T]) dropped() error {
	s.word, s.watched = s.topic.places[s.place].Load(), false
	return ErrDropped
}

// skip goes on behind the record at hand.
func (s *Subscription[T]) skip() {
	s.sources[s.at].skip()
	s.held = false
	s.left--
	s.taken++
}

// release gives back the record at hand.
func (s *Subscription[T]) release() {
	s.skip()
	s.sources[s.at].release()
}

// releaseAll gives back all that was skipped.
func (s *Subscription[T]) releaseAll() {
	for i := range s.topic.usedLanes() {
		if s.sources[i].unsaid {
			s.sources[i].release()
		}
	}
}

// rest tells publishers who sleep how far it is, after a look in vain, or before it
// sleeps itself.
func (s *Subscription[T]) rest(sleeps bool) {
	for i := range s.topic.usedLanes() {
		s.sources[i].rest(sleeps)
	}
}

// some reports whether there is a record in some lane, or something that is none.
func (s *Subscription[T]) some() bool {
	for i := range s.topic.usedLanes() {
		if s.sources[i].ready() {
			return true
		}
	}
	return false
}

// await waits until there is a record, or something that is none.
func (s *Subscription[T]) await(ctx context.Context) error {
	if s.follow.Spin(s.taken, s.ready) && s.some() {
		return nil
	}
	began := time.Now()
	s.rest(true)
	lost, err := s.port.Sleep(ctx, s.ready)
	if lost {
		s.port.LostWake(&s.row.LostWakes)
	}
	port.AddTime(&s.row.Blocked, time.Since(began))
	switch {
	case s.some():
		return nil
	case err != nil:
		return err
	}
	return shm.ErrClosed
}

// Close ends the subscription; one with a name stays, without a process. Who waits in
// Receive returns with shm.ErrClosed. What Peek has returned is not released, and must
// not be touched any more. Closing again does nothing.
func (s *Subscription[T]) Close() error {
	s.topic.leave(s)
	return nil
}

func (s *Subscription[T]) close() {
	if !s.port.Shut() {
		return
	}
	s.rest(true)
	s.topic.quit(s.place)
}
