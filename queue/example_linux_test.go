//go:build linux && (amd64 || arm64)

package queue_test

import (
	"context"
	"fmt"
	"log"

	"github.com/seed-247006a4/shoal/queue"
)

// Job is what there is to do.
type Job struct {
	ID    int64
	Units uint32
}

// jobs is the queue of the examples.
func jobs() *queue.Queue[Job] {
	q, err := queue.OpenOrCreate[Job]("jobs", nil)
	if err != nil {
		log.Fatal(err)
	}
	return q
}

// Some processes send and others receive; here it is the same one.
func Example() {
	ctx := context.Background()
	q := jobs()
	defer queue.Remove("jobs") // objects stay until somebody removes them
	defer q.Close()
	for id := range int64(3) {
		if err := q.Send(ctx, Job{ID: id}); err != nil {
			log.Fatal(err)
		}
	}
	for m, err := range q.All(ctx) { // acknowledges what the body has been through with
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("job", m.Value.ID)
		if m.Value.ID == 2 {
			m.Ack()
			break
		}
	}
	// Output:
	// job 0
	// job 1
	// job 2
}

// Messages of any length, for the whole group.
func ExampleOptions() {
	q, err := queue.Create[[]byte]("mails", &queue.Options{Slots: 256, MaxMessage: 4000, Mode: 0o660})
	if err != nil {
		log.Fatal(err)
	}
	defer queue.Remove("mails")
	defer q.Close()
	fmt.Println(q.Name(), q.Slots(), q.MaxMessage())
	// Output:
	// mails 256 4064
}

// Many at once, from any goroutine.
func ExampleQueue() {
	ctx := context.Background()
	q := jobs()
	defer queue.Remove("jobs")
	defer q.Close()
	sent, err := q.SendBatch(ctx, []Job{{ID: 1}, {ID: 2}, {ID: 3}})
	fmt.Println(sent, err)
	ms := make([]queue.Message[Job], 10)
	n, err := q.ReceiveBatch(ctx, ms)
	fmt.Println(n, err)
	n, err = q.AckBatch(ms[:n])
	fmt.Println(n, err)
	// Output:
	// 3 <nil>
	// 3 <nil>
	// 3 <nil>
}

// A message that is given back is delivered again.
func ExampleMessage() {
	ctx := context.Background()
	q := jobs()
	defer queue.Remove("jobs")
	defer q.Close()
	if err := q.Send(ctx, Job{ID: 7}); err != nil {
		log.Fatal(err)
	}
	for range 2 {
		m, err := q.Receive(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("job", m.Value.ID, "delivery", m.Deliveries)
		if m.Deliveries == 1 {
			m.Nack() // not now
		} else {
			m.Ack()
		}
	}
	// Output:
	// job 7 delivery 1
	// job 7 delivery 2
}

// A message is written where it will be read.
func ExampleLoan() {
	ctx := context.Background()
	q := jobs()
	defer queue.Remove("jobs")
	defer q.Close()
	l, err := q.Loan(ctx)
	if err != nil {
		log.Fatal(err)
	}
	*l.Value = Job{ID: 1, Units: 12}
	fmt.Println(l.Commit())
	fmt.Println(l.Cancel())
	// Output:
	// <nil>
	// cancel a loan from jobs: it is not held any more
}

func ExampleStats() {
	q := jobs()
	defer queue.Remove("jobs")
	defer q.Close()
	if ok, err := q.TrySend(Job{}); !ok || err != nil {
		log.Fatal(ok, err)
	}
	s := q.Stats()
	fmt.Println(s.Sent, s.Ready, s.Taken, s.Free)
	// Output:
	// 1 1 0 1023
}

// Who has which message.
func ExampleHolding() {
	ctx := context.Background()
	q := jobs()
	defer queue.Remove("jobs")
	defer q.Close()
	if err := q.Send(ctx, Job{}); err != nil {
		log.Fatal(err)
	}
	if _, err := q.Receive(ctx); err != nil {
		log.Fatal(err)
	}
	for _, h := range q.Stats().Holdings {
		fmt.Println(h.Taken, h.Alive, h.Deliveries)
	}
	// Output:
	// true true 1
}

// A look without taking part.
func ExampleObserver() {
	q := jobs()
	defer queue.Remove("jobs")
	defer q.Close()
	if ok, err := q.TrySend(Job{ID: 3}); !ok || err != nil {
		log.Fatal(ok, err)
	}
	o, err := queue.Observe("jobs")
	if err != nil {
		log.Fatal(err)
	}
	defer o.Close()
	typ, err := o.Schema()
	if err != nil {
		log.Fatal(err)
	}
	o.Peek(func(message []byte, position uint64, deliveries int) bool {
		text, err := typ.AppendJSON(nil, message)
		fmt.Printf("%s %v\n", text, err)
		return true
	})
	// Output:
	// {"ID":3,"Units":0} <nil>
}

// Messages that took long show in the sampled latencies.
func ExampleLatency() {
	q := jobs()
	defer queue.Remove("jobs")
	defer q.Close()
	l := q.Stats().Latency
	fmt.Println(l.Samples(), l.Quantile(0.99))
	// Output:
	// 0 0s
}
