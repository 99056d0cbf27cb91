//go:build linux && (amd64 || arm64)

package ring_test

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/ring"
)

// line is a record of 64 bytes, all of which are written and read.
type line [8]uint64

func (l *line) set(n uint64) {
	for i := range l {
		l[i] = n + uint64(i)
	}
}

// check adds up all of it, and compares that with what set made of n.
func (l *line) check(n uint64) {
	sum := uint64(0)
	for _, x := range l {
		sum += x
	}
	if sum != 8*n+28 {
		rerun.Check(fmt.Errorf("record %d: %v", n, *l))
	}
}

func benchRing(name string) *ring.Ring[line] {
	r, err := ring.OpenOrCreate[line](name, nil)
	rerun.Check(err)
	return r
}

const benchBatch = 64

// A way to send, or to receive, n records.
var (
	benchSend = map[string]func(w *ring.Writer[line], n uint64){
		"Send": func(w *ring.Writer[line], n uint64) {
			var v line
			for i := range n {
				v.set(i)
				rerun.Check(w.Send(background, v))
			}
		},
		"Loan": func(w *ring.Writer[line], n uint64) {
			for i := range n {
				l, err := w.Loan(background)
				rerun.Check(err)
				l.Value.set(i)
				rerun.Check(l.Commit())
			}
		},
		"SendBatch": func(w *ring.Writer[line], n uint64) {
			var vs [benchBatch]line
			for i := uint64(0); i < n; {
				batch := vs[:min(benchBatch, n-i)]
				for k := range batch {
					batch[k].set(i)
					i++
				}
				_, err := w.SendBatch(background, batch)
				rerun.Check(err)
			}
		},
	}
	benchReceive = map[string]func(rd *ring.Reader[line], n uint64){
		"Receive": func(rd *ring.Reader[line], n uint64) {
			for i := range n {
				v, err := rd.Receive(background)
				rerun.Check(err)
				v.check(i)
			}
		},
		"Peek": func(rd *ring.Reader[line], n uint64) {
			for i := range n {
				v, err := rd.Peek(background)
				rerun.Check(err)
				v.check(i)
				rerun.Check(rd.Release())
			}
		},
		"All": func(rd *ring.Reader[line], n uint64) {
			i := uint64(0)
			for v, err := range rd.All(background) {
				rerun.Check(err)
				v.check(i)
				if i++; i == n {
					break
				}
			}
		},
		"Runs": func(rd *ring.Reader[line], n uint64) {
			i := uint64(0)
			for v, err := range rd.Runs(background) {
				rerun.Check(err)
				v.check(i)
				if i++; i == n {
					break
				}
			}
		},
		"ReceiveBatch": func(rd *ring.Reader[line], n uint64) {
			var vs [benchBatch]line
			for i := uint64(0); i < n; {
				got, err := rd.ReceiveBatch(background, vs[:min(benchBatch, n-i)])
				rerun.Check(err)
				for k := range got {
					vs[k].check(i)
					i++
				}
			}
		},
	}
)

func init() {
	// drain HOW N: reads so many records, each of them whole.
	roles["drain"] = func(args []string) {
		n, err := strconv.ParseUint(args[1], 10, 64)
		rerun.Check(err)
		rd, err := benchRing("bench").Reader()
		rerun.Check(err)
		rerun.Say("ready")
		benchReceive[args[0]](rd, n)
		rerun.Say("done")
	}
	// copy N: copies so many large records out.
	roles["copy"] = func(args []string) {
		n, err := strconv.Atoi(args[0])
		rerun.Check(err)
		r, err := ring.OpenOrCreate[[]byte]("large", &ring.Options{Size: largeRing})
		rerun.Check(err)
		rd, err := r.Reader()
		rerun.Check(err)
		buf := bytes.Repeat([]byte{1}, largeRecord)
		rerun.Say("ready")
		for p, err := range rd.All(background) {
			rerun.Check(err)
			copy(buf, *p)
			if n--; n == 0 {
				break
			}
		}
		rerun.Say("done", buf[0])
	}
	// echo N: sends so many records back.
	roles["echo"] = func(args []string) {
		n, err := strconv.Atoi(args[0])
		rerun.Check(err)
		rd, err := benchRing("bench").Reader()
		rerun.Check(err)
		w, err := benchRing("back").Writer()
		rerun.Check(err)
		rerun.Say("ready")
		for range n {
			v, err := rd.Receive(background)
			rerun.Check(err)
			rerun.Check(w.Send(background, v))
		}
		rerun.Say("done")
	}
}

// Records of 64 bytes from this process to another, each written and read: one by
// one and in batches, copied and in place.
func BenchmarkStream(b *testing.B) {
	for _, way := range [][2]string{
		{"Send", "Receive"}, {"Send", "All"}, {"Loan", "Peek"}, {"Loan", "All"},
		{"SendBatch", "Receive"}, {"SendBatch", "ReceiveBatch"}, {"SendBatch", "All"}, {"SendBatch", "Runs"},
	} {
		b.Run(way[0]+"-"+way[1], func(b *testing.B) {
			r := benchRing("bench")
			defer ring.Remove("bench")
			defer r.Close()
			w := got(r.Writer())(b)
			p := rerun.Start(b, "drain", way[1], strconv.Itoa(b.N))
			p.Expect("ready")
			b.ResetTimer()
			benchSend[way[0]](w, uint64(b.N))
			p.Expect("done")
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
			p.Kill()
		})
	}
}

const largeRecord, largeRing = 1 << 20, 8 << 20

// Records of 1 MiB, copied in by this process and out by another, at the same time;
// and what copying as much once, between two buffers as large as the ring, takes.
func BenchmarkLarge(b *testing.B) {
	from := bytes.Repeat([]byte{7}, largeRing)
	b.Run("memcpy", func(b *testing.B) {
		to := bytes.Repeat([]byte{1}, largeRing)
		b.SetBytes(largeRecord)
		for i := range b.N {
			at := i * largeRecord % largeRing
			copy(to[at:at+largeRecord], from[at:])
		}
	})
	b.Run("ring", func(b *testing.B) {
		r := got(ring.OpenOrCreate[[]byte]("large", &ring.Options{Size: largeRing}))(b)
		defer ring.Remove("large")
		defer r.Close()
		w := got(r.Writer())(b)
		p := rerun.Start(b, "copy", strconv.Itoa(b.N))
		p.Expect("ready")
		b.SetBytes(largeRecord)
		b.ResetTimer()
		for i := range b.N {
			at := i * largeRecord % largeRing
			rerun.Check(w.Send(background, from[at:at+largeRecord]))
		}
		p.Expect("done")
		b.StopTimer()
		p.Kill()
	})
}

// A record of 64 bytes to another process and back.
func BenchmarkPingPong(b *testing.B) {
	r, back := benchRing("bench"), benchRing("back")
	defer ring.Remove("bench")
	defer ring.Remove("back")
	defer r.Close()
	defer back.Close()
	w, rd := got(r.Writer())(b), got(back.Reader())(b)
	p := rerun.Start(b, "echo", strconv.Itoa(b.N))
	p.Expect("ready")
	b.ResetTimer()
	var v line
	for i := range b.N {
		v.set(uint64(i))
		if err := w.Send(background, v); err != nil {
			b.Fatal(err)
		}
		v, err := rd.Receive(background)
		if err != nil {
			b.Fatal(err)
		}
		v.check(uint64(i))
	}
	b.StopTimer()
	p.Expect("done")
	p.Kill()
}
