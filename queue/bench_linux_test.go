//go:build linux && (amd64 || arm64)

package queue_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/shm"
)

type line [64]byte

func benchQueue(name string) *queue.Queue[line] {
	q, err := queue.OpenOrCreate[line](name, nil)
	rerun.Check(err)
	return q
}

// touched is for the compiler.
var touched byte

func init() {
	// drain: receives and touches messages until it is killed.
	roles["drain"] = func(args []string) {
		batch, err := strconv.Atoi(args[0])
		rerun.Check(err)
		q := benchQueue("bench")
		rerun.Say("ready")
		ms := make([]queue.Message[line], batch)
		for {
			n, err := q.ReceiveBatch(background, ms)
			rerun.Check(err)
			for _, m := range ms[:n] {
				for _, b := range m.Value {
					touched += b
				}
			}
			_, err = q.AckBatch(ms[:n])
			rerun.Check(err)
		}
	}
	// feed N: sends so many messages.
	roles["feed"] = func(args []string) {
		batch, err := strconv.Atoi(args[0])
		rerun.Check(err)
		n, err := strconv.Atoi(args[1])
		rerun.Check(err)
		q := benchQueue("bench")
		rerun.Say("ready")
		rerun.Hear()
		vs := make([]line, batch)
		for i := 0; i < n; i += batch {
			if batch == 1 {
				vs[0][0]++
				rerun.Check(q.Send(background, vs[0]))
				continue
			}
			for k := range vs {
				vs[k][0]++
			}
			_, err := q.SendBatch(background, vs)
			rerun.Check(err)
		}
		rerun.Say("done")
	}
	// echo N: sends so many messages back.
	roles["echo"] = func(args []string) {
		n, err := strconv.Atoi(args[0])
		rerun.Check(err)
		q, back := benchQueue("bench"), benchQueue("back")
		rerun.Say("ready")
		for range n {
			m, err := q.Receive(background)
			rerun.Check(err)
			v := *m.Value
			rerun.Check(m.Ack())
			rerun.Check(back.Send(background, v))
		}
		rerun.Say("done")
	}
}

// Messages of 64 bytes from processes to other processes, one by one and in batches.
func BenchmarkStream(b *testing.B) {
	for _, shape := range []struct{ producers, consumers, batch int }{{1, 1, 1}, {1, 1, 16}, {4, 4, 1}, {4, 4, 16}, {1, 4, 1}, {4, 1, 1}} {
		b.Run(fmt.Sprintf("%dx%d/%d", shape.producers, shape.consumers, shape.batch), func(b *testing.B) {
			q := benchQueue("bench")
			defer queue.Remove("bench")
			defer q.Close()
			var producers, consumers []*rerun.Process
			each := (b.N/shape.producers/shape.batch + 1) * shape.batch
			for range shape.consumers {
				p := rerun.Start(b, "drain", strconv.Itoa(shape.batch))
				p.Expect("ready")
				consumers = append(consumers, p)
			}
			for range shape.producers {
				p := rerun.Start(b, "feed", strconv.Itoa(shape.batch), strconv.Itoa(each))
				p.Expect("ready")
				producers = append(producers, p)
			}
			b.ResetTimer()
			for _, p := range producers {
				p.Say("go")
			}
			for _, p := range producers {
				p.Expect("done")
			}
			want := uint64(each * shape.producers)
			for q.Stats().Acked != want {
				time.Sleep(50 * time.Microsecond)
			}
			b.StopTimer()
			if os.Getenv("SHOAL_BENCH_STATS") != "" {
				s := q.Stats()
				s.Latency = queue.Latency{}
				b.Logf("%+v", s)
			}
			for _, p := range append(producers, consumers...) {
				p.Kill()
			}
		})
	}
}

// A message of 64 bytes to another process and back.
func BenchmarkPingPong(b *testing.B) {
	q, back := benchQueue("bench"), benchQueue("back")
	defer queue.Remove("bench")
	defer queue.Remove("back")
	defer q.Close()
	defer back.Close()
	p := rerun.Start(b, "echo", strconv.Itoa(b.N))
	p.Expect("ready")
	b.ResetTimer()
	for range b.N {
		if err := q.Send(background, line{}); err != nil {
			b.Fatal(err)
		}
		m, err := back.Receive(background)
		if err == nil {
			err = m.Ack()
		}
		if err != nil && !errors.Is(err, shm.ErrClosed) {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	p.Expect("done")
	p.Kill()
}

// A message to oneself.
func BenchmarkSelf(b *testing.B) {
	q := benchQueue("bench")
	defer queue.Remove("bench")
	defer q.Close()
	for range b.N {
		if err := q.Send(background, line{}); err != nil {
			b.Fatal(err)
		}
		m, err := q.Receive(background)
		if err == nil {
			err = m.Ack()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
