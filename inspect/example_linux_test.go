package inspect_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
	"github.com/seed-247006a4/shoal/topic"
)

// What exists, and what has become of it.
func ExampleTake() {
	seg, err := shm.Create("/shoal.example", 4096, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shm.Remove("/shoal.example")
	defer seg.Close()

	s, err := inspect.Take()
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, o := range s.Objects {
		if o.Address == "/shoal.example" {
			fmt.Println(o.Type, o.Size, o.State, len(o.Holders))
		}
	}
	// Output: memory 4096 in use 1
}

// A System V segment tells who made it, and whether that process lives.
func ExampleFind() {
	seg, err := shm.Create("sysv:0x51a1", 1024, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	seg.Close()
	defer shm.Remove("sysv:0x51a1")

	o, _, err := inspect.Find("sysv:0x51a1")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(o.Creator.PID == os.Getpid(), o.Creator.Life, o.State)
	// Output: true alive idle
}

// Would gc take it, and why?
func ExampleJudge() {
	seg, err := shm.Create("/shoal.example", 1, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer shm.Remove("/shoal.example")

	verdict := func(p inspect.Policy) inspect.Verdict {
		o, _, _ := inspect.Find("/shoal.example")
		return inspect.Judge(o, p)
	}
	fmt.Println("mapped: remove", verdict(inspect.Policy{Age: -1}).Remove)
	seg.Close()
	fmt.Println("unused: remove", verdict(inspect.Policy{Age: -1}).Remove)
	fmt.Println("too young:     ", verdict(inspect.Policy{Age: time.Hour}).Remove)
	// Output:
	// mapped: remove false
	// unused: remove true
	// too young:      false
}

// Who holds the mutex, and who takes part in it?
func ExampleStructure() {
	mu, err := pshared.OpenMutex("example")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pshared.Remove("example")
	defer mu.Close()
	mu.Lock()
	defer mu.Unlock()

	o, _, err := inspect.Find("/shoal.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	s := o.Structure
	fmt.Println(o.Name, s.Kind, s.Damage)
	owner := s.State.Owner
	fmt.Println(owner.Void(), owner.Member.PID == os.Getpid(), owner.Member.Alive)
	fmt.Println(len(s.Members.Members), "of", s.Members.Slots)
	// Output:
	// example mutex []
	// false true true
	// 1 of 48
}

// Who is missing at the barrier?
func ExamplePlace() {
	b, err := pshared.OpenBarrier("example", 2)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pshared.Remove("example")
	defer b.Close()

	o, _, err := inspect.Find("/shoal.example")
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, p := range o.Structure.State.Places {
		fmt.Println(i, p.Party != nil, p.Arrived)
	}
	// Output:
	// 0 true false
	// 1 false false
}

// A System V set shows the values, and who waits, of each semaphore.
func ExampleSemaphoreState() {
	id, err := sysv.SemGet(0x51a1, 2, sysv.Create|sysv.Exclusive|0o600)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer id.Remove()
	id.SetAll([]uint16{3, 0})

	o, _, err := inspect.Find("sysv-sem:0x51a1")
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, s := range o.Semaphores {
		fmt.Println(i, s.Value, s.Waiters)
	}
	// Output:
	// 0 3 0
	// 1 0 0
}

// What goes through a topic, and who is how far behind.
func ExampleFlow() {
	t, err := topic.OpenOrCreate[int64]("example", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer topic.Remove("example")
	defer t.Close()
	pub, _ := t.Publisher()
	t.Subscribe(&topic.SubscribeOptions{Name: "ledger"})
	pub.Send(context.Background(), 42)

	s, err := inspect.Look("example")
	if err != nil {
		fmt.Println(err)
		return
	}
	f := s.Flow
	fmt.Println(s.Kind, "of", f.Schema.Type().Kind, "sent", f.Sent, "unread", f.Unread)
	var sender inspect.Sender = f.Senders[0]
	fmt.Println("publisher", sender.Number, sender.Alive, sender.Sent)
	var receiver inspect.Receiver = f.Receivers[0]
	fmt.Println("subscriber", receiver.Name, receiver.State)
	for _, lag := range receiver.Lags {
		var behind inspect.Lag = lag
		fmt.Println("behind publisher", behind.Publisher, "by", behind.Records)
	}
	// Output:
	// topic of int64 sent 1 unread 1
	// publisher 0 true 1
	// subscriber ledger reliable
	// behind publisher 0 by 1
}

// Who has a message in hand?
func ExampleHolding() {
	ctx := context.Background()
	q, err := queue.OpenOrCreate[int64]("example", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Remove("example")
	defer q.Close()
	q.Send(ctx, 42)
	q.Receive(ctx)

	s, err := inspect.Look("example")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, h := range s.Flow.Holdings {
		var holding inspect.Holding = h
		fmt.Println(holding.PID == os.Getpid(), holding.Alive, holding.Deliveries)
	}
	// Output: true true 1
}

// How long did records take?
func ExampleLatency() {
	var l inspect.Latency
	l.Buckets[10] = 99 // as counted in the object
	l.Buckets[40] = 1
	fmt.Println(l.Samples(), l.Quantile(0.5), l.Quantile(1))
	// Output: 100 224ns 40.96µs
}

// Nothing is wrong with it.
func ExampleCheck() {
	q, err := queue.OpenOrCreate[int64]("example", nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer queue.Remove("example")
	defer q.Close()
	s, err := inspect.Check("example")
	fmt.Println(s.Kind, s.Damage, err)
	// Output: queue [] <nil>
}
