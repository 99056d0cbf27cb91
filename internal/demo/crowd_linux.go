//go:build linux && (amd64 || arm64)

package demo

import (
	"context"
	"fmt"

	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

// An announcement is a record of the topic: a number, and what follows from it.
type announcement struct {
	Number uint64
	Filled [6]uint64
	Sum    uint64
}

const announcementSize = 8 * 8 // bytes

func announce(number uint64) (a announcement) {
	a.Number = number
	x := number
	for i := range a.Filled {
		x = x*0x9e3779b97f4a7c15 + 1
		a.Filled[i] = x
		a.Sum += x
	}
	return a
}

// A tally is what a subscriber has received: numbers in order, of which one may come
// twice, since a publisher that dies may not have noted the last one it sent.
type tally struct {
	First, Last, Count, Twice uint64
	Begin, End                int64 // when the first and the last came; nanoseconds, CLOCK_MONOTONIC
}

// add checks a record, and counts it.
func (t *tally) add(a *announcement) error {
	if *a != announce(a.Number) {
		return fmt.Errorf("record %d is torn: %+v", a.Number, *a)
	}
	switch {
	case t.Count == 0:
		t.First, t.Begin = a.Number, now()
	case a.Number == t.Last:
		t.Twice++
	case a.Number != t.Last+1:
		return fmt.Errorf("number %d behind %d", a.Number, t.Last)
	}
	t.Last = a.Number
	t.Count++
	return nil
}

// crowd is what both roles begin with.
func crowd(a *actor) (*topic.Topic[announcement], *shm.Segment, error) {
	if len(a.args) < 2 {
		return nil, nil, fmt.Errorf("%d arguments, want the topic's address and that of the waypoints", len(a.args))
	}
	seg, err := shm.Open(a.args[1], nil)
	if err != nil {
		return nil, nil, err
	}
	tp, err := topic.Open[announcement](a.args[0], nil)
	return tp, seg, err
}

// publish is the sender's role: from behind the last number that was acknowledged to
// the one before it.
func publish(a *actor) error {
	tp, seg, err := crowd(a)
	if err != nil {
		return err
	}
	defer seg.Close()
	defer tp.Close()
	pub, err := tp.Publisher()
	if err != nil {
		return err
	}
	w := waypoints(seg.Bytes())
	from := w.get(sent) + 1
	a.say("publishes from %d on", from)
	for n := from; n <= announcements; n++ {
		if err := pub.Send(context.Background(), announce(n)); err != nil {
			return err
		}
		if n == from && from > 1 {
			w.set(resumed, uint64(now()))
		}
		w.set(sent, n)
	}
	return nil
}

// subscribe is the role of those who receive: under a name, if there is a third
// argument.
func subscribe(a *actor) error {
	tp, seg, err := crowd(a)
	if err != nil {
		return err
	}
	defer seg.Close()
	defer tp.Close()
	name := a.args[2]
	sub, err := tp.Subscribe(&topic.SubscribeOptions{Name: name})
	if err != nil {
		return err
	}
	waited := "while it lives"
	if name != "" {
		waited = "dead or alive"
	}
	a.say("subscribes: the sender waits for it, %s", waited)
	w := waypoints(seg.Bytes())
	var t tally
	for record, err := range sub.All(context.Background()) {
		if err != nil {
			return err
		}
		if name != "" && t.Count > 0 {
			w.set(released, t.Last) // this iteration has released it
		}
		if err := t.add(record); err != nil {
			return err
		}
		if name != "" && w.get(begun) == 0 {
			w.set(begun, t.First)
		}
		if t.Last == announcements {
			break
		}
	}
	t.End = now()
	a.report(event{Line: fmt.Sprintf("has received %d to %d, none missing", t.First, t.Last), Tally: &t})
	return nil
}
