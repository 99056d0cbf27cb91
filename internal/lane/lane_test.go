package lane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/shm"
)

// The parts of a lane on the Go heap, where the race detector sees it.
const (
	cursorAt = layout.LaneSize
	dataAt   = cursorAt + layout.CursorSize
)

func memory(size int) []byte {
	words := make([]mem.Uint64, (dataAt+size)/8)
	return bytesOf(words)
}

func on(t testing.TB, b []byte) (Lane, *layout.Cursor) {
	t.Helper()
	l, err := At(b, 0, dataAt, uint64(len(b)-dataAt))
	if err != nil {
		t.Fatal(err)
	}
	c, err := mem.At[layout.Cursor](b, cursorAt)
	if err != nil {
		t.Fatal(err)
	}
	return l, c
}

func writer(t testing.TB, l Lane) *Writer {
	t.Helper()
	w, err := NewWriter(l, &l.Control.Data)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAt(t *testing.T) {
	b := memory(MinSize)
	for _, bad := range []struct {
		control, data int
		size          uint64
	}{
		{0, dataAt, MinSize / 2}, {0, dataAt, MinSize * 2}, {0, dataAt, MinSize + 8}, {0, dataAt, 2 * MaxSize},
		{-8, dataAt, MinSize}, {4, dataAt, MinSize}, {len(b), dataAt, MinSize}, {0, dataAt + 8, MinSize}, {0, -8, MinSize}, {0, 4, MinSize},
	} {
		if _, err := At(b, bad.control, bad.data, bad.size); !errors.Is(err, shm.ErrCorrupt) || !strings.Contains(err.Error(), "at offset") {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}

// One goroutine writes runs of records, another follows; under the race detector
// this shows that every access is ordered by another.
func TestConcurrent(t *testing.T) {
	b := memory(MinSize)
	l, c := on(t, b)
	const records = 100_000
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		w, _ := NewWriter(l, &l.Control.Data)
		for i := uint64(0); i < records; {
			for range i%7 + 1 {
				n := 8 + int(i*31%500)
				p := w.Reserve(n)
				for p == nil {
					w.Commit()
					w.Open(c.Position.Load(), w.Needs(n))
					if p = w.Reserve(n); p == nil {
						runtime.Gosched()
					}
				}
				binary.LittleEndian.PutUint64(p, i)
				for k := range p[8:] {
					p[8+k] = byte(i)
				}
				w.Add(n)
				i++
			}
			w.Commit()
		}
	})
	r := NewReader(l, c, new(layout.Latency), 0)
	for i := uint64(0); i < records; {
		p, ok, err := r.Peek()
		if err != nil {
			t.Error(err)
			return
		}
		if !ok {
			r.Rest(true)
			runtime.Gosched()
			continue
		}
		if len(p) != 8+int(i*31%500) || binary.LittleEndian.Uint64(p) != i || !bytes.Equal(p[8:], bytes.Repeat([]byte{byte(i)}, len(p)-8)) {
			t.Errorf("record %d: %d bytes, %.16x", i, len(p), p)
			return
		}
		if i%3 == 0 {
			r.Skip()
		} else {
			r.Release()
		}
		i++
	}
	if c.Messages.Load() > l.Control.Messages.Load() {
		t.Errorf("%d read, %d written", c.Messages.Load(), l.Control.Messages.Load())
	}
}

// A writer dies at any moment of a run that reaches round the lane: the next one
// finds the end, whatever has been overwritten. Here it is just forgotten.
func TestTakeOver(t *testing.T) {
	for _, lengths := range [][]int{{100}, {0, 1, 300}, {2024}, {500, 2024, 8}} {
		for read := range 3 { // of how many records the reader is behind
			b := memory(MinSize)
			l, c := on(t, b)
			w, r := writer(t, l), NewReader(l, c, new(layout.Latency), 0)
			next, want := 0, 0
			for round := range 300 {
				n := lengths[round%len(lengths)]
				w.Open(c.Position.Load(), 0)
				for k := 0; ; k++ { // a run as long as there is room, which is forgotten half-way
					p := w.Reserve(n)
					if p == nil {
						break
					}
					for i := range p {
						p[i] = 0xff // what a header must not be taken for
					}
					w.Add(n)
				}
				end := w.Committed()
				if w = writer(t, l); w.Position() != end {
					t.Fatalf("%v, round %d: the next writer begins at %d, the last one has committed up to %d", lengths, round, w.Position(), end)
				}
				w.Open(c.Position.Load(), 0)
				if p := w.Reserve(n); p != nil {
					w.Fill(bytes.Repeat([]byte{byte(next)}, n))
					w.Add(n)
					w.Commit()
					next++
				}
				for want+read < next {
					p, ok, err := r.Peek()
					if err != nil || !ok || !bytes.Equal(p, bytes.Repeat([]byte{byte(want)}, len(p))) {
						t.Fatalf("%v, round %d: record %d: %x, %t, %v", lengths, round, want, p, ok, err)
					}
					r.Release()
					want++
				}
				if err := l.Check(c.Position.Load()); err != nil {
					t.Fatal(err)
				}
			}
			if next < 100 && read == 0 { // else there may be no room for another
				t.Errorf("%v: %d records", lengths, next)
			}
		}
	}
}

// What is cancelled has never been, and comes after nothing.
func TestCancel(t *testing.T) {
	l, c := on(t, memory(MinSize))
	w, r := writer(t, l), NewReader(l, c, new(layout.Latency), 0)
	for i := range 100 {
		w.Open(c.Position.Load(), 0)
		w.Reserve(900)
		w.Add(900)
		w.Reserve(900)
		w.Add(900)
		w.Cancel()
		if _, ok, err := r.Peek(); ok || err != nil {
			t.Fatalf("round %d: %t, %v", i, ok, err)
		}
		w.Reserve(700)
		w.Fill(bytes.Repeat([]byte{byte(i)}, 700))
		w.Add(700)
		w.Commit()
		if p, ok, err := r.Peek(); !ok || err != nil || len(p) != 700 || p[699] != byte(i) {
			t.Fatalf("round %d: %d bytes, %t, %v", i, len(p), ok, err)
		}
		r.Release()
	}
	if l.Control.Messages.Load() != 100 || l.Control.Bytes.Load() != 70_000 || c.Messages.Load() != 100 || c.Bytes.Load() != 70_000 {
		t.Errorf("counted %d, %d; %d, %d", l.Control.Messages.Load(), l.Control.Bytes.Load(), c.Messages.Load(), c.Bytes.Load())
	}
}

// Headers that no writer writes are refused, with their offset.
func TestDamage(t *testing.T) {
	for header, at := range map[uint64]uint64{
		1: 0, layout.RecordPad: 0, layout.RecordThere | 1<<40: 0, layout.RecordThere | layout.RecordLength: 0,
		layout.RecordThere | 2025: 0, layout.RecordThere | layout.RecordPad | (MinSize - 8): 0,
		layout.RecordThere | 2000: MinSize - 1024, layout.RecordThere | layout.RecordPad | 1000: MinSize - 1024,
		layout.RecordThere | layout.RecordPad | (MinSize/2 - 8): MinSize / 2,
	} {
		l, c := on(t, memory(MinSize))
		l.Data.Word(at).Store(header)
		l.Control.Claim.Store(MinSize + at)
		r := NewReader(l, c, new(layout.Latency), MinSize+at)
		says := fmt.Sprintf("at offset %d of the lane (position %d): record header %#x", at, MinSize+at, header)
		for who, err := range map[string]error{
			"Peek":  func() error { _, _, err := r.Peek(); return err }(),
			"Check": func() error { l.Control.Marks[0].Position.Store(MinSize + at); return l.Check(MinSize + at) }(),
			"NewWriter": func() error {
				l.Control.Marks[0].Position.Store(MinSize + at)
				_, err := NewWriter(l, &l.Control.Data)
				return err
			}(),
		} {
			if !errors.Is(err, shm.ErrCorrupt) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s, header %#x: %v", who, header, err)
			}
		}
	}
	l, _ := on(t, memory(MinSize))
	l.Control.Marks[0].Position.Store(4)
	if _, err := NewWriter(l, &l.Control.Data); !errors.Is(err, shm.ErrCorrupt) {
		t.Error(err)
	}
	for pos := uint64(0); pos < MinSize; pos += 8 { // no end anywhere
		l.Data.Word(pos).Store(layout.RecordThere)
	}
	if _, err := l.End(Mark{}); !errors.Is(err, shm.ErrCorrupt) {
		t.Error(err)
	}
}

// Whatever stands in a lane, readers and writers come to an end with an error, and
// touch nothing outside.
func FuzzLane(f *testing.F) {
	l, c := on(f, memory(MinSize))
	w := writer(f, l)
	w.Open(0, 0)
	for n := range 20 {
		w.Reserve(n * 9)
		w.Add(n * 9)
		w.Commit()
	}
	good := l.Data.Bytes(0, MinSize)
	f.Add(uint64(0), uint64(0), bytes.Clone(good[:600]))
	f.Add(uint64(0), uint64(8), []byte{1, 2, 3})
	f.Add(uint64(1<<40), uint64(1<<40), bytes.Repeat([]byte{0, 0, 0, 0, 0, 0, 0, 0x80}, 512))
	f.Add(uint64(0), uint64(0), bytes.Repeat([]byte{0xf8, 0xf, 0, 0, 0, 0, 0, 0xc0}, 512))
	f.Add(^uint64(0)-7, uint64(0), bytes.Repeat([]byte{0xff}, MinSize))
	_ = c
	f.Fuzz(func(t *testing.T, tail, position uint64, data []byte) {
		guard := bytes.Repeat([]byte{0xa5}, 64)
		b := memory(MinSize)
		l, c := on(t, b)
		copy(l.Data.Bytes(0, MinSize), data)
		l.Control.Marks[0].Position.Store(tail)
		position &^= 7
		c.Position.Store(position)
		inside := func(p []byte) {
			at, ok := mem.Offset(b, addressOf(p))
			if len(p) > MaxRecord(MinSize) || len(p) > 0 && (!ok || at < dataAt || at+len(p) > len(b)) {
				t.Fatalf("%d bytes at %d", len(p), at)
			}
		}
		corrupt := func(err error) {
			if err != nil && (!errors.Is(err, shm.ErrCorrupt) || len(err.Error()) < 20) {
				t.Fatal(err)
			}
		}
		corrupt(l.Check(position))
		r := NewReader(l, c, new(layout.Latency), position)
		for range 2 * MinSize / 8 {
			p, ok, err := r.Peek()
			corrupt(err)
			if !ok {
				break
			}
			inside(p)
			r.Release()
		}
		w, err := NewWriter(l, &l.Control.Data)
		corrupt(err)
		if err == nil {
			w.Open(w.Position(), 0)
			for n := 0; n < 3000; n += 700 {
				if n <= MaxRecord(MinSize) {
					if p := w.Reserve(n); p != nil {
						inside(p)
						copy(p, guard)
						w.Add(n)
					}
				}
			}
			w.Commit()
			if err := l.Check(w.Position()); err != nil {
				t.Fatalf("after a writer: %v", err)
			}
		}
	})
}
