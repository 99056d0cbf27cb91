package lane

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
)

// All ways to write records, alone and in runs, and all ways to read them, go together:
// over the end of the lane, between stamps and pads, and up to the limit.
func TestRuns(t *testing.T) {
	for _, n := range []int{8, 20, 64, 200, 400} {
		l, c := on(t, memory(MinSize))
		w := writer(t, l)
		r := NewReader(l, c, new(layout.Latency), 0)
		random := rand.New(rand.NewPCG(1, uint64(n)))
		var sent, got uint64
		fill := func(p []byte) []byte {
			binary.LittleEndian.PutUint64(p, sent)
			for i := range p[8:] {
				p[8+i] = byte(sent)
			}
			sent++
			return p
		}
		check := func(p []byte) {
			t.Helper()
			if len(p) != n || binary.LittleEndian.Uint64(p) != got || n > 8 && p[n-1] != byte(got) {
				t.Fatalf("%d bytes: record %d is %x", n, got, p)
			}
			got++
		}
		runs, taken := 0, 0
		for got < 20_000 {
			w.Open(c.Position.Load(), w.Needs(n))
			switch random.IntN(3) {
			case 0:
				if before := sent; !w.Send(fill(make([]byte, n))) {
					sent = before
				}
			case 1:
				if p := w.Reserve(n); p != nil {
					fill(p)
					w.Push(n)
				}
			default:
				most := uint64(random.IntN(8 * n))
				before := w.pos
				if p := w.Reserve(n); p != nil {
					fill(p)
					w.Add(n)
					batch, first := []byte(nil), sent
					for range random.IntN(20) {
						batch = append(batch, fill(make([]byte, n))...)
					}
					k := w.AppendRun(batch, n, most)
					sent = first + uint64(k)
					runs += k
					if run := w.Run(); run >= most+2*layout.RecordSize(uint64(n))+MinSize/2 || w.pos-before > MinSize {
						t.Fatalf("a run of %d bytes, want %d", run, most)
					}
				}
				w.Commit()
			}
			for random.IntN(3) > 0 && r.Ready() {
				if random.IntN(2) == 0 {
					p, ok, err := r.Peek()
					if err != nil {
						t.Fatal(err)
					}
					if ok {
						check(p)
						r.Skip()
					}
					continue
				}
				p := make([]byte, n*random.IntN(8)+random.IntN(n))
				k := r.TakeRun(p, n)
				taken += k
				for i := range k {
					check(p[i*n:][:n])
				}
			}
			if r.Received() != got {
				t.Fatalf("%d received, counted %d", got, r.Received())
			}
			r.Release()
		}
		if n <= 256 && (runs < 1000 || taken < 1000) {
			t.Errorf("%d bytes: only %d records written and %d read in runs", n, runs, taken)
		}
		if l.Control.Messages.Load() != sent || l.Control.Bytes.Load() != sent*uint64(n) {
			t.Errorf("%d bytes: %d records of %d bytes counted, %d sent", n, l.Control.Messages.Load(), l.Control.Bytes.Load(), sent)
		}
		if err := l.Check(c.Position.Load()); err != nil {
			t.Error(err)
		}
	}
}

// What stands behind the lane is not taken for records, whatever it looks like.
func TestTakeRunEnd(t *testing.T) {
	b := memory(2 * MinSize)
	l, err := At(b, 0, dataAt, MinSize)
	if err != nil {
		t.Fatal(err)
	}
	for at := dataAt; at < len(b); at += 16 {
		binary.LittleEndian.PutUint64(b[at:], layout.RecordThere|8)
	}
	_, c := on(t, b)
	r := NewReader(l, c, new(layout.Latency), MinSize-64)
	p := make([]byte, 100*8)
	if k := r.TakeRun(p, 8); k != 4 {
		t.Errorf("took %d records, 4 are left up to the end", k)
	}
}
