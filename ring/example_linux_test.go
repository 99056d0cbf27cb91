//go:build linux && (amd64 || arm64)

package ring_test

import (
	"context"
	"fmt"
	"log"

	"github.com/seed-247006a4/shoal/ring"
)

// Trade is what a program sends.
type Trade struct {
	Number int64
	Price  float64
}

// One process sends and another receives; here it is the same one.
func Example() {
	ctx := context.Background()
	r, err := ring.OpenOrCreate[Trade]("trades", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("trades") // objects stay until somebody removes them
	defer r.Close()
	w, err := r.Writer()
	if err != nil {
		log.Fatal(err)
	}
	rd, err := r.Reader()
	if err != nil {
		log.Fatal(err)
	}
	for i := range int64(3) {
		if err := w.Send(ctx, Trade{Number: i, Price: 101.5}); err != nil {
			log.Fatal(err)
		}
	}
	for trade, err := range rd.All(ctx) {
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

// Records of any length, in a larger ring for the whole group.
func ExampleOptions() {
	r, err := ring.Create[[]byte]("frames", &ring.Options{Size: 16 << 20, Mode: 0o660})
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("frames")
	defer r.Close()
	fmt.Println(r.Name(), r.MaxRecord())
	// Output:
	// frames 8388584
}

// A port belongs to one process; closed, it can be taken again.
func ExampleRing() {
	r, err := ring.OpenOrCreate[Trade]("trades", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("trades")
	defer r.Close()
	w, err := r.Writer()
	if err != nil {
		log.Fatal(err)
	}
	w.Close()
	_, err = r.Writer()
	fmt.Println(err)
	// Output:
	// <nil>
}

// Many records for one synchronisation.
func ExampleWriter() {
	ctx := context.Background()
	r, err := ring.OpenOrCreate[uint64]("numbers", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("numbers")
	defer r.Close()
	w, err := r.Writer()
	if err != nil {
		log.Fatal(err)
	}
	rd, err := r.Reader()
	if err != nil {
		log.Fatal(err)
	}
	sent, err := w.SendBatch(ctx, []uint64{1, 2, 3})
	fmt.Println(sent, err)
	numbers := make([]uint64, 10)
	n, err := rd.ReceiveBatch(ctx, numbers)
	fmt.Println(numbers[:n], err)
	// Output:
	// 3 <nil>
	// [1 2 3] <nil>
}

// A record is read where it lies, and given back.
func ExampleReader() {
	ctx := context.Background()
	r, err := ring.OpenOrCreate[[]byte]("lines", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("lines")
	defer r.Close()
	w, err := r.Writer()
	if err != nil {
		log.Fatal(err)
	}
	rd, err := r.Reader()
	if err != nil {
		log.Fatal(err)
	}
	if err := w.Send(ctx, []byte("hello")); err != nil {
		log.Fatal(err)
	}
	line, err := rd.Peek(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", *line)
	rd.Release()
	line, err = rd.TryPeek()
	fmt.Println(line, err)
	// Output:
	// hello
	// <nil> <nil>
}

// Several records are written where they lie, and sent together.
func ExampleReservation() {
	ctx := context.Background()
	r, err := ring.OpenOrCreate[Trade]("trades", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("trades")
	defer r.Close()
	w, err := r.Writer()
	if err != nil {
		log.Fatal(err)
	}
	rd, err := r.Reader()
	if err != nil {
		log.Fatal(err)
	}
	places, err := w.Reserve(ctx, 3)
	if err != nil {
		log.Fatal(err)
	}
	for i := range places.Len() {
		places.At(i).Price = 100 + float64(i)
	}
	if err := places.Commit(places.Len()); err != nil {
		log.Fatal(err)
	}
	for range places.Len() {
		trade, err := rd.Receive(ctx)
		fmt.Println(trade.Price, err)
	}
	// Output:
	// 100 <nil>
	// 101 <nil>
	// 102 <nil>
}

// A record is written where it will be read.
func ExampleLoan() {
	ctx := context.Background()
	r, err := ring.OpenOrCreate[[]byte]("lines", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("lines")
	defer r.Close()
	w, err := r.Writer()
	if err != nil {
		log.Fatal(err)
	}
	rd, err := r.Reader()
	if err != nil {
		log.Fatal(err)
	}
	l, err := w.LoanBytes(ctx, 100)
	if err != nil {
		log.Fatal(err)
	}
	*l.Value = fmt.Appendf((*l.Value)[:0], "number %d", 7) // at most 100 bytes
	if err := l.Commit(); err != nil {
		log.Fatal(err)
	}
	line, err := rd.Receive(ctx)
	fmt.Printf("%s %v\n", line, err)
	// Output:
	// number 7 <nil>
}

func ExampleStats() {
	r, err := ring.OpenOrCreate[Trade]("trades", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("trades")
	defer r.Close()
	w, err := r.Writer()
	if err != nil {
		log.Fatal(err)
	}
	if ok, err := w.TrySend(Trade{}); !ok || err != nil {
		log.Fatal(ok, err)
	}
	s := r.Stats()
	fmt.Println(s.Sent, s.SentBytes, s.Used, s.Size)
	// Output:
	// 1 16 32 1048576
}

// A port tells who has it.
func ExamplePort() {
	r, err := ring.OpenOrCreate[Trade]("trades", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("trades")
	defer r.Close()
	if _, err := r.Reader(); err != nil {
		log.Fatal(err)
	}
	s := r.Stats()
	fmt.Println(s.Reader.Alive, s.Writer)
	// Output:
	// true {0 false}
}

// Somebody who does not know the program looks at its ring.
func ExampleObserver() {
	r, err := ring.OpenOrCreate[Trade]("trades", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("trades")
	defer r.Close()
	w, err := r.Writer()
	if err != nil {
		log.Fatal(err)
	}
	if err := w.Send(context.Background(), Trade{Number: 7, Price: 101.5}); err != nil {
		log.Fatal(err)
	}

	o, err := ring.Observe("trades")
	if err != nil {
		log.Fatal(err)
	}
	defer o.Close()
	typ, err := o.Schema()
	if err != nil {
		log.Fatal(err)
	}
	records, err := o.Unread(10)
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range records {
		text, err := typ.AppendJSON(nil, p)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", text)
	}
	s := o.Stats()
	fmt.Println(s.Sent, "sent,", s.Received, "received, sound:", o.Check() == nil)
	var earlier ring.Latency // of an earlier look
	since := s.Latency.Since(&earlier)
	fmt.Println(since.Samples(), "samples, half of them up to", since.Quantile(0.5))
	// Output:
	// {"Number":7,"Price":101.5}
	// 1 sent, 0 received, sound: true
	// 0 samples, half of them up to 0s
}

// A reader that need not release each record on its own reads runs of them.
func ExampleReader_Runs() {
	ctx := context.Background()
	r, err := ring.OpenOrCreate[Trade]("trades", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer ring.Remove("trades")
	defer r.Close()
	w, err := r.Writer()
	if err != nil {
		log.Fatal(err)
	}
	if _, err := w.SendBatch(ctx, []Trade{{1, 10}, {2, 20}, {3, 30}}); err != nil {
		log.Fatal(err)
	}
	rd, err := r.Reader()
	if err != nil {
		log.Fatal(err)
	}
	sum := 0.0
	for trade, err := range rd.Runs(ctx) {
		if err != nil {
			log.Fatal(err)
		}
		if sum += trade.Price; trade.Number == 3 {
			break
		}
	}
	fmt.Println(sum)
	// Output: 60
}
