package ring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/shm"
)

var background = context.Background()

// ends makes a ring and takes both ports.
func ends[T any](t testing.TB, o *ring.Options) (*ring.Ring[T], *ring.Writer[T], *ring.Reader[T]) {
	t.Helper()
	r := got(ring.Create[T]("r", o))(t)
	t.Cleanup(func() {
		r.Close()
		ring.Remove("r")
	})
	return r, got(r.Writer())(t), got(r.Reader())(t)
}

// small is the smallest ring.
var small = &ring.Options{Size: ring.MinSize}

// Every length of record passes the end of the ring at every offset, and arrives as
// it was sent, by every way of sending and receiving.
func TestLengths(t *testing.T) {
	r, w, rd := ends[[]byte](t, small)
	ctx := background
	payload := func(i, n int) []byte {
		b := make([]byte, n)
		for k := range b {
			b[k] = byte(i + k*7)
		}
		return b
	}
	i := 0
	pass := func(n int) {
		t.Helper()
		i++
		p := payload(i, n)
		switch i % 4 {
		case 0:
			must(t, w.Send(ctx, p))
		case 1:
			if ok, err := w.TrySend(p); !ok || err != nil {
				t.Fatalf("TrySend of %d bytes into an empty ring: %t, %v", n, ok, err)
			}
		case 2:
			l := got(w.LoanBytes(ctx, r.MaxRecord()))(t)
			*l.Value = (*l.Value)[:n]
			copy(*l.Value, p)
			must(t, l.Commit())
		case 3:
			if n, err := w.SendBatch(ctx, [][]byte{p}); n != 1 || err != nil {
				t.Fatalf("SendBatch: %d, %v", n, err)
			}
		}
		var v []byte
		switch i % 3 {
		case 0:
			v = got(rd.Receive(ctx))(t)
		case 1:
			v = *got(rd.Peek(ctx))(t)
			defer rd.Release()
		case 2:
			vs := make([][]byte, 4)
			if n, err := rd.ReceiveBatch(ctx, vs); n != 1 || err != nil {
				t.Fatalf("ReceiveBatch: %d, %v", n, err)
			}
			v = vs[0]
		}
		if !bytes.Equal(v, p) {
			t.Fatalf("record %d of %d bytes: got %d bytes %.20x, want %.20x", i, n, len(v), v, p)
		}
	}
	for n := 0; n <= r.MaxRecord(); n++ {
		pass(n)
	}
	for n := range 200 { // short ones end at every offset
		pass(n % 17)
		pass(r.MaxRecord() - n%23)
	}
	must(t, r.Check())
	if s := r.Stats(); s.Used != 0 || s.Sent != uint64(i) || s.Received != uint64(i) || s.SentBytes != s.ReceivedBytes || s.Writer.PID != os.Getpid() || !s.Reader.Alive || s.LostWakes != 0 {
		t.Errorf("%+v", s)
	}
}

// A full ring takes no more, an empty one gives no more, and both go on.
func TestFullEmpty(t *testing.T) {
	for _, n := range []int{0, 1, 8, 100, ring.MinSize/2 - 24} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			r, w, rd := ends[[]byte](t, small)
			for round := range 50 {
				sent := 0
				for {
					ok, err := w.TrySend(bytes.Repeat([]byte{byte(sent)}, n))
					must(t, err)
					if !ok {
						break
					}
					sent++
				}
				if room := ring.MinSize / ((n+15)&^7 + 8); sent < min(room, 2)-1 || sent == 0 {
					t.Fatalf("round %d: full after %d records", round, sent)
				}
				must(t, r.Check())
				if used := r.Stats().Used; used > ring.MinSize || used < sent*(n+8) {
					t.Fatalf("%d bytes used by %d records of %d", used, sent, n)
				}
				short, cancel := context.WithTimeout(background, time.Millisecond)
				if err := w.Send(short, make([]byte, n)); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("Send to a full ring: %v", err)
				}
				cancel()
				for i := range sent {
					v, ok, err := rd.TryReceive()
					must(t, err)
					if !ok || !bytes.Equal(v, bytes.Repeat([]byte{byte(i)}, n)) {
						t.Fatalf("record %d of %d: %t, %x", i, sent, ok, v)
					}
				}
				if v, ok, err := rd.TryReceive(); ok || err != nil {
					t.Fatalf("an empty ring gives %v, %v", v, err)
				}
				if v, err := rd.TryPeek(); v != nil || err != nil {
					t.Fatalf("an empty ring shows %v, %v", v, err)
				}
				short, cancel = context.WithTimeout(background, time.Millisecond)
				if _, err := rd.Receive(short); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("Receive from an empty ring: %v", err)
				}
				cancel()
			}
			if s := r.Stats(); s.Full < 100 || s.LostWakes != 0 || s.HighWater == 0 || s.WriterBlocked == 0 || s.ReaderBlocked == 0 || s.LastSent.IsZero() {
				t.Errorf("%+v", s)
			}
		})
	}
}

type tick struct {
	Time  int64
	Price float64
	Size  uint32
}

// What is wrong is said, and nothing else happens.
func TestErrors(t *testing.T) {
	r, w, rd := ends[tick](t, small)
	says := func(err, want error, text string) {
		t.Helper()
		if !errors.Is(err, want) || !strings.Contains(fmt.Sprint(err), text) {
			t.Errorf("%v; want %v, and a word about %q", err, want, text)
		}
	}
	pid := fmt.Sprint("process ", os.Getpid())
	_, err := r.Writer()
	says(err, ring.ErrBusy, pid)
	_, err = r.Reader()
	says(err, ring.ErrBusy, pid)
	_, err = ring.Create[tick]("r", small)
	says(err, fs.ErrExist, "r")
	_, err = ring.Open[tick]("none", nil)
	says(err, fs.ErrNotExist, "none")
	says(ring.Remove("none"), fs.ErrNotExist, "none")
	_, err = ring.Open[struct {
		Time  int64
		Price float32
		Size  uint32
	}]("r", nil)
	says(err, shm.ErrTypeMismatch, "Price: want float32 at 8, found float64 at 8")
	_, err = ring.Open[[]byte]("r", nil)
	says(err, shm.ErrTypeMismatch, "want untyped bytes, found struct")
	_, err = ring.Open[int]("r", nil)
	says(err, err, "int")
	_, err = ring.Create[tick]("x", &ring.Options{Size: 5000})
	says(err, err, "5000")
	_, err = ring.Create[[4000]byte]("x", small)
	says(err, ring.ErrTooLarge, "4000")
	_, err = pshared.OpenMutex("r")
	says(err, shm.ErrKind, "ring")
	mu := got(pshared.OpenMutex("m"))(t)
	defer pshared.Remove("m")
	defer mu.Close()
	_, err = ring.Open[tick]("m", nil)
	says(err, shm.ErrKind, "mutex")
	says(ring.Remove("m"), shm.ErrKind, "mutex")

	_, err = w.LoanBytes(background, 8)
	says(err, err, "use Loan")
	l := got(w.Loan(background))(t)
	says(w.Send(background, tick{}), ring.ErrBusy, "loan")
	_, err = w.Loan(background)
	says(err, ring.ErrBusy, "loan")
	must(t, l.Cancel())
	says(l.Cancel(), ring.ErrBusy, "no loan")
	says(l.Commit(), ring.ErrBusy, "no loan")
	l = got(w.Loan(background))(t)
	l.Value.Price = 3
	must(t, l.Commit())
	if v := got(rd.Receive(background))(t); v.Price != 3 {
		t.Error(v)
	}
	must(t, rd.Release()) // of nothing

	must(t, w.Close())
	must(t, w.Close())
	says(w.Send(background, tick{}), shm.ErrClosed, "r")
	_, err = w.TrySend(tick{})
	says(err, os.ErrClosed, "r")
	w = got(r.Writer())(t) // free again
	must(t, w.Send(background, tick{Size: 7}))
	must(t, rd.Close())
	_, err = rd.Receive(background)
	says(err, shm.ErrClosed, "r")
	says(rd.Release(), shm.ErrClosed, "r")
	rd = got(r.Reader())(t)
	if v := got(rd.Receive(background))(t); v.Size != 7 {
		t.Error(v)
	}
	must(t, r.Close())
	must(t, r.Close())
	_, err = rd.Peek(background)
	says(err, shm.ErrClosed, "r")
	_, err = w.SendBatch(background, nil)
	says(err, shm.ErrClosed, "r")
	_, err = r.Writer()
	says(err, shm.ErrClosed, "r")
	says(r.Check(), shm.ErrClosed, "r")
	if s := r.Stats(); s != (ring.Stats{}) {
		t.Error(s)
	}
}

// A record that is too large is refused with both sizes, and the others of a batch
// are sent.
func TestTooLarge(t *testing.T) {
	r, w, rd := ends[[]byte](t, small)
	large := make([]byte, r.MaxRecord()+1)
	for _, send := range []func() error{
		func() error { return w.Send(background, large) },
		func() error { _, err := w.TrySend(large); return err },
		func() error { _, err := w.LoanBytes(background, len(large)); return err },
	} {
		if err := send(); !errors.Is(err, ring.ErrTooLarge) || !strings.Contains(err.Error(), "2025 bytes") || !strings.Contains(err.Error(), "2024") {
			t.Error(err)
		}
	}
	n, err := w.SendBatch(background, [][]byte{{1}, {2}, large, {3}})
	if n != 2 || !errors.Is(err, ring.ErrTooLarge) {
		t.Error(n, err)
	}
	for want := range 2 {
		if v := got(rd.Receive(background))(t); len(v) != 1 || v[0] != byte(want+1) {
			t.Error(v)
		}
	}
	l := got(w.LoanBytes(background, 3))(t)
	*l.Value = large
	if err := l.Commit(); !errors.Is(err, ring.ErrTooLarge) {
		t.Error(err)
	}
	must(t, l.Cancel())
}

// Close sends away who waits, and who comes meanwhile.
func TestCloseWakes(t *testing.T) {
	for round := range 50 {
		r, w, rd := ends[[]byte](t, small)
		errs := make(chan error, 2)
		go func() {
			for {
				if err := w.Send(background, make([]byte, 1000)); err != nil {
					errs <- err
					return
				}
			}
		}()
		time.Sleep(time.Duration(round) * 20 * time.Microsecond)
		must(t, w.Close())
		go func() {
			var err error
			for err == nil {
				_, err = rd.Receive(background)
			}
			errs <- err
		}()
		time.Sleep(time.Duration(round) * 20 * time.Microsecond)
		must(t, r.Close())
		for range 2 {
			select {
			case err := <-errs:
				if !errors.Is(err, shm.ErrClosed) {
					t.Fatal(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("somebody waits in a closed port")
			}
		}
		must(t, ring.Remove("r"))
	}
}

// Two goroutines in one port: one is told.
func TestMisuse(t *testing.T) {
	_, w, rd := ends[[]byte](t, small)
	done := make(chan error)
	go func() {
		_, err := rd.Receive(background)
		for errors.Is(err, ring.ErrBusy) { // this one was told
			_, err = rd.Receive(background)
		}
		done <- err
	}()
	for {
		_, ok, err := rd.TryReceive()
		if errors.Is(err, ring.ErrBusy) {
			break
		}
		if must(t, err); ok {
			t.Fatal("nothing was sent")
		}
	}
	must(t, w.Send(background, nil))
	must(t, <-done)
}

// The loop gives records in place, and releases each; leaving it, too.
func TestAll(t *testing.T) {
	r, w, rd := ends[tick](t, small)
	for i := range 10 {
		must(t, w.Send(background, tick{Time: int64(i)}))
	}
	next := int64(0)
	for v, err := range rd.All(background) {
		must(t, err)
		if v.Time != next {
			t.Fatalf("%d after %d", v.Time, next-1)
		}
		if next++; next == 5 {
			break
		}
	}
	if v := got(rd.Receive(background))(t); v.Time != 5 {
		t.Error(v)
	}
	ctx, cancel := context.WithTimeout(background, 20*time.Millisecond)
	defer cancel()
	n := 0
	for v, err := range rd.All(ctx) {
		if err != nil {
			if v != nil || !errors.Is(err, context.DeadlineExceeded) {
				t.Error(v, err)
			}
			break
		}
		n++
	}
	if s := r.Stats(); n != 4 || s.Received != 10 || s.Used != 0 {
		t.Errorf("%d, %+v", n, s)
	}
}

// Nothing is allocated on the way.
func TestAllocations(t *testing.T) {
	_, w, rd := ends[tick](t, nil)
	vs := make([]tick, 8)
	for name, f := range map[string]func(){
		"Send, Receive": func() { w.Send(background, tick{}); rd.Receive(background) },
		"TrySend, Peek": func() { w.TrySend(tick{}); rd.Peek(background); rd.Release() },
		"Loan":          func() { l, _ := w.Loan(background); l.Commit(); rd.TryReceive() },
		"batch":         func() { w.SendBatch(background, vs); rd.ReceiveBatch(background, vs) },
	} {
		if n := testing.AllocsPerRun(1000, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Every backend carries a ring.
func TestBackends(t *testing.T) {
	for _, name := range []string{"plain", "/posix", "sysv:0x5352", "file:" + t.TempDir() + "/ring"} {
		r := got(ring.OpenOrCreate[tick](name, small))(t)
		w := got(r.Writer())(t)
		other := got(ring.Open[tick](name, nil))(t)
		rd := got(other.Reader())(t)
		must(t, w.Send(background, tick{Size: 9}))
		if v := got(rd.Receive(background))(t); v.Size != 9 {
			t.Errorf("%s: %v", name, v)
		}
		must(t, r.Close())
		must(t, other.Close())
		must(t, ring.Remove(name))
	}
}
