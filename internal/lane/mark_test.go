package lane

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/shm"
)

// send commits a record of n bytes, if need be over what nobody has read, and keeps
// in book which number stands where.
func send(w *Writer, n int, book map[uint64]uint64) {
	for w.Reserve(n) == nil {
		w.Open(w.Position(), w.Needs(n))
	}
	book[w.Position()] = w.messages
	w.Add(n)
	w.Commit()
}

// Each mark is where a record of its number begins, or will begin, whatever the
// lengths, and all that can be read hang together.
func TestMarks(t *testing.T) {
	for _, lengths := range [][]int{{0}, {8}, {100}, {1, 700, 33}, {2024}, {2024, 8}} {
		l, _ := on(t, memory(MinSize))
		w := writer(t, l)
		book := map[uint64]uint64{}
		for i := range 3000 {
			if i%97 == 0 {
				w = writer(t, l) // the last one has died
			}
			send(w, lengths[i%len(lengths)], book)
			book[w.Position()] = uint64(i) + 1
			last, err := l.LastMark()
			if err != nil || book[last.Position] != last.Number || last.Position+MinSize/8+2048+24 < w.Position() {
				t.Fatalf("%v, record %d at %d: last mark %+v, %v; want number %d", lengths, i, w.Position(), last, err, book[last.Position])
			}
			first, err := l.FirstMark()
			if err != nil || book[first.Position] != first.Number || !l.Intact(first.Position) || first.Position > last.Position {
				t.Fatalf("%v, record %d: first mark %+v, %v; want number %d", lengths, i, first, err, book[first.Position])
			}
			end, err := l.End(first)
			if err != nil || end.Number != uint64(i)+1 || end.Position != w.Position() {
				t.Fatalf("%v, record %d: end %+v, %v", lengths, i, end, err)
			}
		}
		if l.Control.Messages.Load() != 3000 {
			t.Errorf("%v: %d records counted", lengths, l.Control.Messages.Load())
		}
	}
}

// A writer that dies at any moment of marking leaves marks that tell the next one
// the number.
func TestMarkTakeOver(t *testing.T) {
	b := memory(MinSize)
	l, _ := on(t, b)
	w := writer(t, l)
	book := map[uint64]uint64{}
	for i := range 2000 {
		if i%5 == 0 { // it has died after the first, or the second, store of Publish
			k := l.Control.Marked.Load() + 1
			l.Control.Marks[k%layout.Marks].Position.Store(rand.Uint64() &^ 7)
			if i%2 == 0 {
				l.Control.Marks[k%layout.Marks].Number.Store(rand.Uint64())
			}
			l.Control.Messages.Store(uint64(rand.IntN(1 << 20))) // and before it has counted
			w = writer(t, l)
		}
		if w.messages != uint64(i) || l.Control.Messages.Load() != uint64(i) {
			t.Fatalf("record %d has number %d; counted %d", i, w.messages, l.Control.Messages.Load())
		}
		send(w, i*37%900, book)
	}
}

// Marks that are read while the writer makes others are whole.
func TestMarksConcurrent(t *testing.T) {
	l, _ := on(t, memory(MinSize))
	const records, length = 200_000, 56
	var wg sync.WaitGroup
	defer wg.Wait()
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		w, err := NewWriter(l, &l.Control.Data)
		if err != nil {
			t.Error(err)
			return
		}
		for i := range records {
			p := w.Reserve(length)
			for p == nil {
				w.Open(w.Position(), w.Needs(length))
				p = w.Reserve(length)
			}
			w.Add(length)
			w.Commit()
			if i%1000 == 0 {
				runtime.Gosched()
			}
		}
	})
	var before Mark
	for looks := 0; ; looks++ {
		select {
		case <-done:
			if looks < 10 {
				t.Errorf("%d looks", looks)
			}
			return
		default:
		}
		last, err := l.LastMark()
		if err != nil {
			t.Error(err)
			return
		}
		// Records are 64 bytes, and one in stampEvery has 8 more: so number and position
		// give each other, nearly.
		if low, high := last.Number*64, last.Number*64+(last.Number/stampEvery+1)*8+last.Position/MinSize*64; last.Position < low || last.Position > high ||
			last.Number < before.Number || last.Position < before.Position {
			t.Errorf("mark %+v after %+v", last, before)
			return
		}
		before = last
		if first, err := l.FirstMark(); err != nil || first.Number > l.Control.Messages.Load()+1 {
			t.Errorf("%+v, %v", first, err)
			return
		}
	}
}

// Marks that no writer makes are refused.
func TestDamagedMarks(t *testing.T) {
	for what, damage := range map[string]func(l *Lane){
		"mark 0 at position 12": func(l *Lane) { l.Control.Marks[0].Position.Store(12) },
		"mark 7 at position 3": func(l *Lane) {
			l.Control.Marked.Store(7)
			l.Control.Marks[7].Position.Store(3)
			l.Control.Claim.Store(MinSize + 1) // so that the others, at 0, are passed by
		},
		"more than 4096 bytes behind": func(l *Lane) { // nothing that is marked can be read
			l.Control.Claim.Store(1 << 30)
		},
	} {
		l, _ := on(t, memory(MinSize))
		damage(&l)
		_, err := l.FirstMark()
		if !errors.Is(err, shm.ErrCorrupt) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: FirstMark: %v", what, err)
		}
		if _, err := l.LastMark(); what[:4] == "mark" && !errors.Is(err, shm.ErrCorrupt) {
			t.Errorf("%s: LastMark: %v", what, err)
		}
		if err := l.Check(0); !errors.Is(err, shm.ErrCorrupt) {
			t.Errorf("%s: Check: %v", what, err)
		}
	}
}

// A writer dies in a long record; the next one, which begins with a short one, does not
// take its claim back: what the dead one has overwritten is not whole again.
func TestClaimStays(t *testing.T) {
	l, _ := on(t, memory(MinSize))
	size := l.Data.Size()
	w := writer(t, l)
	for w.Position() < 2*size {
		w.Open(w.Committed(), w.Needs(64))
		w.Reserve(64)
		w.Add(64)
		w.Commit()
	}
	w = writer(t, l)
	long := MaxRecord(size)
	w.Open(w.Needs(long)-size, w.Needs(long)) // as a topic's publisher claims: no more than it needs
	if w.Reserve(long) == nil {
		t.Fatal("no room")
	}
	claimed := l.Control.Claim.Load()
	next := writer(t, l)
	next.Open(next.Needs(64)-size, next.Needs(64))
	if next.Reserve(64) == nil {
		t.Fatal("no room")
	}
	if claim := l.Control.Claim.Load(); claim < claimed || l.Intact(claimed-size-8) {
		t.Errorf("claimed %d, then %d", claimed, claim)
	}
	if err := l.Check(next.Committed()); err != nil {
		t.Error(err)
	}
}
