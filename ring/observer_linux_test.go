//go:build linux && (amd64 || arm64)

package ring_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

// An observer sees all, takes part in nothing, and changes no byte.
func TestObserver(t *testing.T) {
	r, w, rd := ends[tick](t, small)
	for i := range 10 {
		must(t, w.Send(background, tick{Time: int64(i), Price: 1.5}))
	}
	for range 3 {
		got(rd.Receive(background))(t)
	}
	before := got(os.ReadFile("/dev/shm/shoal.r"))(t)
	o := got(ring.Observe("r"))(t)
	defer o.Close()
	s, mine := o.Stats(), r.Stats()
	if s != mine || s.Sent != 10 || s.Received != 3 || s.Members != 1 || s.Writer.PID != os.Getpid() || s.Latency.Samples() == 0 {
		t.Errorf("observed %+v\nand inside %+v", s, mine)
	}
	must(t, o.Check())
	if typ := got(o.Schema())(t); typ.String() != got(schema.Of[tick]())(t).String() {
		t.Errorf("type %v", typ)
	}
	if o.MaxRecord() != r.MaxRecord() {
		t.Errorf("%d bytes, and %d", o.MaxRecord(), r.MaxRecord())
	}
	for _, max := range []int{0, 1, 5, 7, 100} {
		records := got(o.Unread(max))(t)
		if len(records) != min(max, 7) {
			t.Fatalf("%d records of at most %d", len(records), max)
		}
		for i, p := range records {
			if len(p) != 24 || binary.LittleEndian.Uint64(p) != uint64(3+i) {
				t.Errorf("record %d: %x", i, p)
			}
		}
	}
	if after := got(os.ReadFile("/dev/shm/shoal.r"))(t); !bytes.Equal(before, after) {
		t.Error("observing has changed the ring")
	}
	must(t, o.Close())
	must(t, o.Close())
	if err := o.Check(); !errors.Is(err, shm.ErrClosed) {
		t.Error(err)
	}
	if _, err := o.Unread(1); !errors.Is(err, shm.ErrClosed) {
		t.Error(err)
	}
	if _, err := ring.Observe("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// What an observer sees of a ring at full speed are whole records, one after the
// other.
func TestObserverBusy(t *testing.T) {
	_, w, rd := ends[[]byte](t, &ring.Options{Size: 64 << 10})
	ctx, cancel := context.WithCancel(background)
	var wg sync.WaitGroup
	wg.Go(func() {
		var p []byte
		for n := uint64(0); ctx.Err() == nil; n++ {
			p = message{number: n}.append(p[:0])
			w.Send(ctx, p)
		}
	})
	wg.Go(func() {
		for _, err := range rd.All(ctx) {
			if err != nil {
				return
			}
		}
	})
	o := got(ring.Observe("r"))(t)
	defer o.Close()
	seen := 0
	for end := time.Now().Add(20 * time.Second); seen < 1000 && time.Now().Before(end); {
		records, err := o.Unread(50)
		if err != nil && !strings.Contains(err.Error(), "so fast") {
			t.Error(err)
			break
		}
		for i, p := range records {
			m, err := parse(p)
			first, _ := parse(records[0])
			if err != nil || m.number != first.number+uint64(i) {
				t.Errorf("record %d: number %d after %d, %v", i, m.number, first.number, err)
			}
		}
		if seen += len(records); t.Failed() {
			break
		}
		if err := o.Check(); err != nil && !strings.Contains(err.Error(), "so fast") {
			t.Error(err)
		}
	}
	cancel()
	wg.Wait()
	if seen < 1000 {
		t.Errorf("%d records seen", seen)
	}
}

// A type that is known at run time alone bounds the bytes, and is what other
// programs ask for.
func TestType(t *testing.T) {
	typ := got(schema.Of[tick]())(t)
	r := got(ring.Create[[]byte]("t", &ring.Options{Size: ring.MinSize, Type: typ}))(t)
	defer ring.Remove("t")
	defer r.Close()
	w := got(r.Writer())(t)
	for _, n := range []int{0, 23, 25} {
		if err := w.Send(background, make([]byte, n)); err == nil || !strings.Contains(err.Error(), "records here have 24") {
			t.Errorf("%d bytes: %v", n, err)
		}
		if _, err := w.LoanBytes(background, n); err == nil {
			t.Errorf("a loan of %d bytes", n)
		}
		if _, err := w.TrySend(make([]byte, n)); err == nil {
			t.Errorf("TrySend of %d bytes", n)
		}
	}
	p := make([]byte, typ.Size())
	must(t, typ.FromJSON(p, []byte(`{"Time": 7, "Price": 2.5, "Size": 9}`)))
	must(t, w.Send(background, p))
	l := got(w.LoanBytes(background, 24))(t)
	*l.Value = (*l.Value)[:8]
	if err := l.Commit(); err == nil {
		t.Error("a loan that was made shorter is no tick")
	}
	must(t, l.Cancel())

	typed := got(ring.Open[tick]("t", nil))(t)
	defer typed.Close()
	rd := got(typed.Reader())(t)
	if v := got(rd.Receive(background))(t); v != (tick{Time: 7, Price: 2.5, Size: 9}) {
		t.Errorf("%+v", v)
	}
	other := got(schema.Of[uint64]())(t)
	_, err := ring.Open[[]byte]("t", &ring.Options{Type: other})
	if !errors.Is(err, shm.ErrTypeMismatch) {
		t.Error(err)
	}
	_, err = ring.Open[tick]("t", &ring.Options{Type: other})
	if !errors.Is(err, shm.ErrTypeMismatch) {
		t.Error(err)
	}
	if s := got(typed.Schema())(t); s.String() != typ.String() {
		t.Error(s)
	}
}

func init() {
	// keep NAME: takes both ports, sends a record, and waits.
	roles["keep"] = func(args []string) {
		r, err := ring.Open[tick](args[0], nil)
		rerun.Check(err)
		w, err := r.Writer()
		rerun.Check(err)
		_, err = r.Reader()
		rerun.Check(err)
		rerun.Check(w.Send(background, tick{Size: 3}))
		rerun.Say("ready")
		rerun.Hear()
	}
}

// Repair frees the ports of the dead, and of nobody else: not of the stopped.
func TestRepair(t *testing.T) {
	r := got(ring.Create[tick]("p", small))(t)
	defer ring.Remove("p")
	defer r.Close()
	repair := func(want int) {
		t.Helper()
		if n, err := r.Repair(); n != want || err != nil {
			t.Errorf("%d ports repaired, %v; want %d", n, err, want)
		}
	}
	repair(0)
	p := rerun.Start(t, "keep", "p")
	p.Expect("ready")
	p.Stop()
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		repair(0)
	}
	p.Continue()
	p.Kill()
	eventually(t, "both ports are free", func() bool {
		n := got(r.Repair())(t)
		return n == 2 || n > 0 && r.Stats().Repairs == 2
	})
	repair(0)
	if s := r.Stats(); s.Repairs != 2 || s.WriterRepairs != 1 || s.ReaderRepairs != 1 || s.Writer.PID != 0 || s.Reader.PID != 0 {
		t.Errorf("%+v", s)
	}
	must(t, r.Check())
	rd := got(r.Reader())(t)
	if v := got(rd.Receive(background))(t); v.Size != 3 {
		t.Error(v)
	}
	repair(0)
	must(t, r.Close())
	if _, err := r.Repair(); !errors.Is(err, shm.ErrClosed) {
		t.Error(err)
	}
}

// Runs releases records together, and not before.
func TestRuns(t *testing.T) {
	r, w, rd := ends[tick](t, small)
	send := func(n int) {
		for i := range n {
			must(t, w.Send(background, tick{Time: int64(i)}))
		}
	}
	send(10)
	next := int64(0)
	for v, err := range rd.Runs(background) {
		must(t, err)
		if v.Time != next {
			t.Fatalf("%d after %d", v.Time, next-1)
		}
		switch next++; next {
		case 3:
			if n := r.Stats().Received; n != 0 {
				t.Errorf("%d released in a run", n)
			}
		case 5:
			must(t, rd.Release()) // up to here
			if n := r.Stats().Received; n != 5 {
				t.Errorf("%d released, want 5", n)
			}
		case 8:
			if n := r.Stats().Received; n != 5 {
				t.Errorf("%d released, want 5", n)
			}
		}
		if next == 9 {
			break
		}
	}
	if n := r.Stats().Received; n != 9 {
		t.Errorf("%d released by leaving the loop, want 9", n)
	}
	send(50)
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	n := 0
	for _, err := range rd.Runs(ctx) {
		if err != nil {
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
			break
		}
		n++
	}
	if s := r.Stats(); n != 51 || s.Received != 60 || s.Used != 0 {
		t.Errorf("%d records, %+v", n, s)
	}
}

// Who has a ring open goes on when it is removed; its name is free.
func TestRemoved(t *testing.T) {
	r := got(ring.Create[tick]("gone", small))(t)
	defer r.Close()
	w, rd := got(r.Writer())(t), got(r.Reader())(t)
	done := make(chan error, 1)
	const records = 20_000
	go func() {
		for i := range records {
			if err := w.Send(background, tick{Time: int64(i)}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for i := range records {
		if v := got(rd.Receive(background))(t); v.Time != int64(i) {
			t.Fatalf("%d after %d", v.Time, i-1)
		}
		if i == 100 {
			must(t, ring.Remove("gone"))
			if _, err := ring.Open[tick]("gone", nil); !errors.Is(err, fs.ErrNotExist) {
				t.Error(err)
			}
			other := got(ring.Create[tick]("gone", small))(t)
			must(t, got(other.Writer())(t).Send(background, tick{Time: -1}))
			must(t, other.Close())
			must(t, ring.Remove("gone"))
		}
	}
	must(t, <-done)
	must(t, r.Check())
}

// A ring for which there is no memory is not made, and leaves nothing.
func TestDiskFull(t *testing.T) {
	_, err := ring.Create[tick]("huge", &ring.Options{Size: ring.MaxSize})
	if err == nil { // package isolate gives tests a tmpfs that is smaller
		ring.Remove("huge")
	}
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "huge") {
		t.Errorf("%v", err)
	}
	left, err := filepath.Glob("/dev/shm/*huge*")
	must(t, err)
	if _, err := ring.Open[tick]("huge", nil); !errors.Is(err, fs.ErrNotExist) || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
