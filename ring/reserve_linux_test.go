//go:build linux && (amd64 || arm64)

package ring_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/shm"
)

// Several records are written where they lie, over the end and again, and come in order;
// those beyond what is committed never do.
func TestReserve(t *testing.T) {
	r := got(ring.Create[[3]uint64]("reserve", &ring.Options{Size: ring.MinSize}))(t)
	defer ring.Remove("reserve")
	defer r.Close()
	w := got(r.Writer())(t)
	rd := got(r.Reader())(t)
	random := rand.New(rand.NewPCG(3, 4))
	var sent, seen uint64
	most := 0
	for seen < 20_000 {
		res := got(w.Reserve(background, 1+random.IntN(40)))(t)
		most = max(most, res.Len())
		for i := range res.Len() {
			*res.At(i) = [3]uint64{sent + uint64(i), 7, ^(sent + uint64(i))}
		}
		n := random.IntN(res.Len() + 1)
		if random.IntN(2) == 0 {
			n = res.Len()
		}
		if random.IntN(10) == 0 {
			must(t, res.Cancel())
			must(t, w.Send(background, [3]uint64{sent, 7, ^sent}))
			n = 1
		} else {
			must(t, res.Commit(n))
		}
		if err := res.Cancel(); !errors.Is(err, ring.ErrBusy) {
			t.Fatalf("cancelled after its end: %v", err)
		}
		for sent += uint64(n); seen < sent; seen++ {
			v, ok, err := rd.TryReceive()
			if want := [3]uint64{seen, 7, ^seen}; v != want || !ok || err != nil {
				t.Fatalf("%v, %t, %v; want %v", v, ok, err, want)
			}
		}
		if _, ok, err := rd.TryReceive(); ok || err != nil {
			t.Fatalf("one more than was committed: %v", err)
		}
	}
	if most != 40 {
		t.Errorf("never more than %d at once", most)
	}
	if s := r.Stats().Latency; s.Samples() == 0 {
		t.Error("no record had a time")
	}

	res := got(w.Reserve(background, 3))(t)
	_, again := w.Reserve(background, 1)
	_, loan := w.Loan(background)
	for what, err := range map[string]error{"Send": w.Send(background, [3]uint64{}), "a second Reserve": again, "a Loan": loan} {
		if !errors.Is(err, ring.ErrBusy) || !strings.Contains(err.Error(), "a loan is open") {
			t.Errorf("%s while one is open: %v", what, err)
		}
	}
	for _, n := range []int{-1, res.Len() + 1} {
		if err := res.Commit(n); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), fmt.Sprint(n)) {
			t.Errorf("Commit(%d): %v", n, err)
		}
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("there is a record behind the last one")
			}
		}()
		res.At(res.Len())
	}()
	must(t, res.Cancel())
	l := got(w.Loan(background))(t)
	if err := res.Commit(1); !errors.Is(err, ring.ErrBusy) {
		t.Errorf("a reservation that is none, while a loan is open: %v", err)
	}
	must(t, l.Cancel())
	if _, err := w.Reserve(background, 0); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("none reserved: %v", err)
	}
	if _, err := w.ReserveBytes(background, 1, 24); err == nil || !strings.Contains(err.Error(), "use Reserve") {
		t.Errorf("bytes in a typed one: %v", err)
	}
	// Full: it waits, as Send does.
	for {
		if ok, err := w.TrySend([3]uint64{}); !ok {
			must(t, err)
			break
		}
	}
	ctx, cancel := context.WithTimeout(background, time.Millisecond)
	defer cancel()
	if _, err := w.Reserve(ctx, 5); err == nil || !strings.Contains(err.Error(), "deadline") {
		t.Errorf("no room: %v", err)
	}
	must(t, w.Close())
	if _, err := w.Reserve(background, 1); !errors.Is(err, shm.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// Bytes of any length, the same for all of a reservation.
func TestReserveBytes(t *testing.T) {
	r := got(ring.Create[[]byte]("reserve", &ring.Options{Size: ring.MinSize}))(t)
	defer ring.Remove("reserve")
	defer r.Close()
	w := got(r.Writer())(t)
	rd := got(r.Reader())(t)
	for size := range 200 {
		res := got(w.ReserveBytes(background, 4, size))(t)
		for i := range res.Len() {
			p := *res.At(i)
			if len(p) != size || cap(p) != size {
				t.Fatalf("a place of %d bytes, and %d behind, for %d", len(p), cap(p)-len(p), size)
			}
			for k := range p {
				p[k] = byte(size + i)
			}
		}
		must(t, res.Commit(res.Len()))
		for i := range res.Len() {
			v := got(rd.Receive(background))(t)
			if want := strings.Repeat(string([]byte{byte(size + i)}), size); string(v) != want {
				t.Fatalf("%d bytes: got %x", size, v)
			}
		}
	}
	if _, err := w.ReserveBytes(background, 1, r.MaxRecord()+1); !errors.Is(err, ring.ErrTooLarge) {
		t.Errorf("too long: %v", err)
	}
	if _, err := w.Reserve(background, 1); err == nil || !strings.Contains(err.Error(), "ReserveBytes") {
		t.Errorf("no length: %v", err)
	}
}
