package lane

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"testing"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/shm"
)

// One goroutine writes and waits for nobody; another follows. What that gets is whole,
// and what it does not get it counts.
func TestFollower(t *testing.T) {
	l, _ := on(t, memory(MinSize))
	const records = 200_000
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		w, _ := NewWriter(l, &l.Control.Data)
		for i := uint64(0); i < records; i++ {
			n := 8 + int(i*31%300)
			p := w.Reserve(n)
			if p == nil {
				w.Open(w.Committed()-7*l.Data.Size()/8, w.Needs(n)) // an eighth at a time
				if p = w.Reserve(n); p == nil {
					w.Open(w.Needs(n)-l.Data.Size(), w.Needs(n))
					p = w.Reserve(n)
				}
			}
			binary.LittleEndian.PutUint64(p, i)
			for k := range p[8:] {
				p[8+k] = byte(i)
			}
			w.Add(n)
			w.Commit()
			if i%64 == 0 {
				runtime.Gosched()
			}
		}
	})
	f := NewFollower(l, Mark{})
	missed := uint64(0)
	for next := uint64(0); next < records; {
		p, gap, ok, err := f.Peek()
		switch {
		case err != nil:
			t.Error(err)
			return
		case gap != 0:
			if ok {
				t.Error("a gap and a record")
			}
			next += gap
			missed += gap
			continue
		case !ok:
			runtime.Gosched()
			continue
		}
		if f.At().Number != next || len(p) != 8+int(next*31%300) || binary.LittleEndian.Uint64(p) != next || !bytes.Equal(p[8:], bytes.Repeat([]byte{byte(next)}, len(p)-8)) {
			t.Errorf("record %d, %+v: %d bytes, %.16x", next, f.At(), len(p), p)
			return
		}
		f.Skip()
		next++
	}
	t.Logf("%d of %d missed", missed, records)
}

// The number of every record can be found from its position alone, as long as it is
// there; where no record begins that is said.
func TestNumberOf(t *testing.T) {
	l, _ := on(t, memory(MinSize))
	w := writer(t, l)
	at := map[uint64]uint64{} // numbers by position
	for i := range uint64(500) {
		n := int(i * 53 % 400)
		w.Open(w.Committed()-min(w.Committed(), MinSize/2), w.Needs(n))
		if w.Reserve(n) == nil {
			t.Fatal("no room")
		}
		w.Add(n)
		w.Commit()
		for pos := range at {
			if pos+MinSize < w.limit {
				delete(at, pos)
			}
		}
		at[w.Position()] = i + 1
		for pos, number := range at {
			if got, err := l.NumberOf(pos); err != nil || got != number {
				t.Fatalf("after %d records: the one at %d has number %d, %v; want %d", i+1, pos, got, err, number)
			}
		}
	}
	for _, pos := range []uint64{12, w.Position() + 8, w.Position() + MinSize} {
		if n, err := l.NumberOf(pos); !errors.Is(err, shm.ErrCorrupt) {
			t.Errorf("position %d has number %d, %v", pos, n, err)
		}
	}
	end, err := l.Begin(false)
	if err != nil || end != (Mark{w.Position(), 500}) {
		t.Errorf("the end is %+v, %v", end, err)
	}
	first, err := l.Begin(true)
	if err != nil || at[first.Position] != first.Number {
		t.Errorf("the oldest is %+v, %v", first, err)
	}
	some, err := l.Ahead(first, 3)
	if err != nil || some.Number != first.Number+3 || at[some.Position] != some.Number {
		t.Errorf("three behind the oldest is %+v, %v", some, err)
	}
}

// A writer that has claimed too much can be held back, and goes on from there.
func TestRestrict(t *testing.T) {
	l, _ := on(t, memory(MinSize))
	w := writer(t, l)
	w.Open(0, 0)
	size := l.Data.Size()
	w.Restrict(256 - size) // up to position 256
	if w.Within(264) || !w.Within(256) || w.Reserve(300) != nil || w.Reserve(100) == nil {
		t.Error("not held back")
	}
	w.Add(100)
	w.Commit()
	if l.Intact(0) != true || l.Control.Claim.Load() != MinSize {
		t.Error("the claim is", l.Control.Claim.Load())
	}
	w.Open(w.Committed(), w.Needs(300))
	if w.Reserve(300) == nil {
		t.Error("held back for ever")
	}
}

// Whoever finds that others sleep still wakes them, and a newer number stays.
func TestWakeRest(t *testing.T) {
	var data, rest mem.Uint32
	if WakeRest(&data, &rest) {
		t.Error("woken for nothing")
	}
	rest.Store(7)
	if !WakeRest(&data, &rest) || rest.Load() != 0 {
		t.Error("not woken")
	}
	l, _ := on(t, memory(MinSize))
	w, err := NewWriter(l, &data)
	if err != nil {
		t.Fatal(err)
	}
	w.WakeFew(&rest)
	w.Open(0, 0)
	data.Store(4 | sleeps) // somebody is about to sleep
	w.Reserve(8)
	w.Add(8)
	w.Commit()
	if data.Load() != 6 || rest.Load() != 0 || l.Control.Wakes.Load() != 1 { // nobody slept, so all are awake
		t.Error(data.Load(), rest.Load())
	}
}
