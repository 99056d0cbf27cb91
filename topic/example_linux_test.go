//go:build linux && (amd64 || arm64)

package topic_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/seed-247006a4/shoal/topic"
)

// Trade is what a program sends.
type Trade struct {
	Number int64
	Price  float64
}

// trades is a topic for an example.
func trades(name string, o *topic.Options) *topic.Topic[Trade] {
	t, err := topic.OpenOrCreate[Trade](name, o)
	if err != nil {
		log.Fatal(err)
	}
	return t
}

// ok ends an example that has failed.
func ok(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// One process publishes and others subscribe; here they are the same one.
func Example() {
	ctx := context.Background()
	t, err := topic.OpenOrCreate[Trade]("trades", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer topic.Remove("trades") // objects stay until somebody removes them
	defer t.Close()
	sub, err := t.Subscribe(nil) // reliable, from now on
	if err != nil {
		log.Fatal(err)
	}
	pub, err := t.Publisher()
	if err != nil {
		log.Fatal(err)
	}
	for i := range int64(3) {
		if err := pub.Send(ctx, Trade{Number: i, Price: 101.5}); err != nil {
			log.Fatal(err)
		}
	}
	for trade, err := range sub.All(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(trade.Number, trade.Price)
		if trade.Number == 2 {
			break
		}
	}
	// Output:
	// 0 101.5
	// 1 101.5
	// 2 101.5
}

// Large records of any length, and subscribers who may not hold publishers up.
func ExampleOptions() {
	t, err := topic.Create[[]byte]("frames", &topic.Options{Publishers: 2, LaneSize: 16 << 20, Policy: topic.Drop, Mode: 0o660})
	ok(err)
	defer topic.Remove("frames")
	defer t.Close()
	fmt.Println(t.Name(), t.MaxRecord(), t.Stats().Policy)
	// Output:
	// frames 8388584 drop
}

// A program that learns the type when it runs sends the bytes of its values.
func ExampleOptions_type() {
	t := trades("trades", nil)
	defer topic.Remove("trades")
	defer t.Close()
	o, err := topic.Observe("trades")
	ok(err)
	defer o.Close()
	typ, err := o.Schema()
	ok(err)
	raw, err := topic.Open[[]byte]("trades", &topic.Options{Type: typ})
	ok(err)
	defer raw.Close()
	sub, err := t.Subscribe(nil)
	ok(err)
	pub, err := raw.Publisher()
	ok(err)
	value := make([]byte, typ.Size())
	ok(typ.FromJSON(value, []byte(`{"Number": 7, "Price": 99.5}`)))
	ok(pub.Send(context.Background(), value))
	trade, err := sub.Receive(context.Background())
	fmt.Println(trade, err)
	// Output:
	// {7 99.5} <nil>
}

// A publisher has a lane of its own; closed, it can be taken again.
func ExampleTopic() {
	t := trades("trades", &topic.Options{Publishers: 1})
	defer topic.Remove("trades")
	defer t.Close()
	pub, err := t.Publisher()
	ok(err)
	_, err = t.Publisher()
	fmt.Println(errors.Is(err, topic.ErrNoSlot))
	pub.Close()
	_, err = t.Publisher()
	fmt.Println(err)
	// Output:
	// true
	// <nil>
}

// Many records for one synchronisation, sent and received.
func ExamplePublisher() {
	ctx := context.Background()
	t, err := topic.OpenOrCreate[uint64]("numbers", nil)
	ok(err)
	defer topic.Remove("numbers")
	defer t.Close()
	sub, err := t.Subscribe(nil)
	ok(err)
	pub, err := t.Publisher()
	ok(err)
	sent, err := pub.SendBatch(ctx, []uint64{1, 2, 3})
	fmt.Println(sent, err)
	numbers := make([]uint64, 10)
	n, err := sub.ReceiveBatch(ctx, numbers)
	fmt.Println(numbers[:n], err)
	// Output:
	// 3 <nil>
	// [1 2 3] <nil>
}

// Several records are written where they lie, and sent together.
func ExampleReservation() {
	ctx := context.Background()
	t := trades("trades", nil)
	defer topic.Remove("trades")
	defer t.Close()
	sub, err := t.Subscribe(nil)
	ok(err)
	pub, err := t.Publisher()
	ok(err)
	places, err := pub.Reserve(ctx, 2)
	ok(err)
	for i := range places.Len() {
		places.At(i).Number, places.At(i).Price = int64(i), 101.5
	}
	ok(places.Commit(places.Len()))
	for range places.Len() {
		trade, err := sub.Receive(ctx)
		fmt.Println(trade, err)
	}
	// Output:
	// {0 101.5} <nil>
	// {1 101.5} <nil>
}

// A record is written where it will be read.
func ExampleLoan() {
	ctx := context.Background()
	t := trades("trades", nil)
	defer topic.Remove("trades")
	defer t.Close()
	sub, err := t.Subscribe(nil)
	ok(err)
	pub, err := t.Publisher()
	ok(err)
	l, err := pub.Loan(ctx)
	ok(err)
	l.Value.Number, l.Value.Price = 1, 101.5
	ok(l.Commit())
	trade, err := sub.Receive(ctx)
	fmt.Println(trade, err)
	// Output:
	// {1 101.5} <nil>
}

// A subscription with a name goes on where it was, whatever becomes of its process.
func ExampleSubscribeOptions() {
	ctx := context.Background()
	t := trades("trades", nil)
	defer topic.Remove("trades")
	defer t.Close()
	sub, err := t.Subscribe(&topic.SubscribeOptions{Name: "ledger"})
	ok(err)
	pub, err := t.Publisher()
	ok(err)
	ok(pub.Send(ctx, Trade{Number: 1}))
	ok(pub.Send(ctx, Trade{Number: 2}))
	_, err = sub.Receive(ctx)
	ok(err)
	sub.Close() // or the process is killed

	sub, err = t.Subscribe(&topic.SubscribeOptions{Name: "ledger"})
	ok(err)
	trade, err := sub.Receive(ctx)
	fmt.Println(trade.Number, err)
	sub.Close()
	fmt.Println(t.Forget("ledger"))
	// Output:
	// 2 <nil>
	// <nil>
}

// Who joins late may begin with what is still there.
func ExampleFrom() {
	t := trades("trades", nil)
	defer topic.Remove("trades")
	defer t.Close()
	pub, err := t.Publisher()
	ok(err)
	ok(pub.Send(context.Background(), Trade{Number: 1}))
	sub, err := t.Subscribe(&topic.SubscribeOptions{From: topic.Oldest})
	ok(err)
	trade, there, err := sub.TryReceive()
	fmt.Println(trade.Number, there, err)
	// Output:
	// 1 true <nil>
}

// What is there is read where it lies, and released together.
func ExampleSubscription() {
	ctx := context.Background()
	t := trades("trades", nil)
	defer topic.Remove("trades")
	defer t.Close()
	sub, err := t.Subscribe(nil)
	ok(err)
	pub, err := t.Publisher()
	ok(err)
	for i := range int64(3) {
		ok(pub.Send(ctx, Trade{Number: i}))
	}
	for trade, err := range sub.Runs(ctx) {
		ok(err)
		info := sub.Last()
		fmt.Println(trade.Number, info.Publisher, info.Number)
		if trade.Number == 2 {
			break
		}
	}
	// Output:
	// 0 0 0
	// 1 0 1
	// 2 0 2
}

// A lossy subscription is told what it has missed.
func ExampleMissedError() {
	ctx := context.Background()
	t := trades("trades", &topic.Options{LaneSize: topic.MinLaneSize})
	defer topic.Remove("trades")
	defer t.Close()
	sub, err := t.Subscribe(&topic.SubscribeOptions{Lossy: true})
	ok(err)
	pub, err := t.Publisher()
	ok(err)
	for i := range int64(1000) {
		ok(pub.Send(ctx, Trade{Number: i}))
	}
	_, err = sub.Receive(ctx)
	var missed *topic.MissedError
	fmt.Println(errors.As(err, &missed), errors.Is(err, topic.ErrMissed))
	trade, err := sub.Receive(ctx)
	fmt.Println(uint64(trade.Number) == missed.Count, err)
	// Output:
	// true true
	// true <nil>
}

// An observer sees the bytes of a topic of any type, and nobody sees it.
func ExampleObserver() {
	ctx := context.Background()
	t := trades("trades", nil)
	defer topic.Remove("trades")
	defer t.Close()
	pub, err := t.Publisher()
	ok(err)
	ok(pub.Send(ctx, Trade{Number: 1, Price: 101.5}))
	o, err := topic.Observe("trades")
	ok(err)
	defer o.Close()
	typ, err := o.Schema()
	ok(err)
	for m, err := range o.All(ctx, topic.Oldest) {
		ok(err)
		json, err := typ.AppendJSON(nil, m.Data)
		ok(err)
		fmt.Printf("%d %s\n", m.Number, json)
		break
	}
	// Output:
	// 0 {"Number":1,"Price":101.5}
}

func ExampleStats() {
	ctx := context.Background()
	t := trades("trades", nil)
	defer topic.Remove("trades")
	defer t.Close()
	sub, err := t.Subscribe(nil)
	ok(err)
	pub, err := t.Publisher()
	ok(err)
	ok(pub.Send(ctx, Trade{}))
	ok(pub.Send(ctx, Trade{}))
	_, err = sub.Receive(ctx)
	ok(err)
	s := t.Stats()
	p, r := s.Publishers[0], s.Subscribers[0]
	fmt.Println(p.Sent, p.SentBytes, p.Port.Alive)
	fmt.Println(r.Received, r.State, r.Lag[0].Records, r.Latency.Samples())
	// Output:
	// 2 32 true
	// 1 reliable 1 1
}
