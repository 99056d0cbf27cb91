//go:build linux && (amd64 || arm64)

package object_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// use opens the object, whatever it holds, as one kind, and does with it what
// never waits, or not for long. Any error will do.
var use = map[layout.Kind]func(ctx context.Context, name string){
	layout.KindMutex: func(ctx context.Context, name string) {
		mu, err := pshared.OpenMutex(name)
		if err != nil {
			return
		}
		defer mu.Close()
		mu.Check()
		mu.Stats()
		mu.TryLock()
		mu.Unlock()
		mu.LockContext(ctx)
		mu.MarkConsistent()
		mu.Unlock()
	},
	layout.KindRWMutex: func(ctx context.Context, name string) {
		rw, err := pshared.OpenRWMutex(name)
		if err != nil {
			return
		}
		defer rw.Close()
		rw.Check()
		rw.TryRLock()
		rw.RUnlock()
		rw.RLockContext(ctx)
		rw.RUnlock()
		rw.TryLock()
		rw.Unlock()
		rw.LockContext(ctx)
		rw.MarkConsistent()
		rw.Unlock()
	},
	layout.KindCond: func(ctx context.Context, name string) {
		c, err := pshared.OpenCond(name)
		if err != nil {
			return
		}
		defer c.Close()
		c.Signal()
		c.Broadcast()
	},
	layout.KindSemaphore: func(ctx context.Context, name string) {
		for _, config := range []pshared.SemaphoreConfig{{}, {Value: 2, Undo: true}} {
			s, err := pshared.OpenSemaphore(name, config)
			if err != nil {
				continue
			}
			s.Check()
			s.Value()
			s.TryAcquire()
			s.AcquireContext(ctx)
			s.Release()
			s.Close()
		}
	},
	layout.KindEvent: func(ctx context.Context, name string) {
		for _, reset := range []pshared.EventReset{pshared.ManualReset, pshared.AutoReset} {
			e, err := pshared.OpenEvent(name, reset)
			if err != nil {
				continue
			}
			e.WaitContext(ctx)
			e.Set()
			e.TryWait()
			e.Reset()
			e.Close()
		}
	},
	layout.KindBarrier: func(ctx context.Context, name string) {
		b, err := pshared.OpenBarrier(name, 2)
		if err != nil {
			return
		}
		defer b.Close()
		b.Check()
		b.WaitContext(ctx)
		b.Leave()
	},
	layout.KindOnce: func(ctx context.Context, name string) {
		o, err := pshared.OpenOnce(name)
		if err != nil {
			return
		}
		defer o.Close()
		o.Check()
		o.Done()
		o.DoContext(ctx, func() error { return nil })
	},
}

// damaged makes an object of these bytes, and uses it.
func damaged(t testing.TB, b []byte, what string) {
	t.Helper()
	name := fmt.Sprintf("damaged-%d", os.Getpid()) // fuzzing has several processes
	seg, err := shm.Create("/shoal."+name, int64(max(len(b), 1)), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer seg.Close()
	defer seg.Remove()
	copy(seg.Bytes(), b)
	kind := layout.Kind(0)
	if len(b) >= 16 {
		kind = layout.Kind(binary.LittleEndian.Uint32(b[12:]))
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
		defer cancel()
		if o, err := object.Open(name, object.Spec{}); err == nil {
			o.Segment.Close()
		} else if e := (*shm.Error)(nil); !errors.As(err, &e) || e.Object == "" {
			t.Errorf("%s: %v does not name its object", what, err)
		}
		if f := use[kind]; f != nil {
			f(ctx, name)
			return
		}
		for _, f := range use {
			f(ctx, name)
		}
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		panic(what + ": hangs")
	}
}

// fresh returns the bytes of new objects of each kind, for two members.
func fresh(t testing.TB) (all [][]byte) {
	t.Helper()
	o := pshared.Options{Members: 2}
	type closer interface{ Close() error }
	for _, open := range []func() (closer, error){
		func() (closer, error) { return o.OpenMutex("fresh") },
		func() (closer, error) { return o.OpenRWMutex("fresh") },
		func() (closer, error) { return o.OpenCond("fresh") },
		func() (closer, error) { return o.OpenSemaphore("fresh", pshared.SemaphoreConfig{}) },
		func() (closer, error) { return o.OpenSemaphore("fresh", pshared.SemaphoreConfig{Value: 2, Undo: true}) },
		func() (closer, error) { return o.OpenEvent("fresh", pshared.AutoReset) },
		func() (closer, error) { return o.OpenBarrier("fresh", 2) },
		func() (closer, error) { return o.OpenOnce("fresh") },
	} {
		p, err := open()
		if err != nil {
			t.Fatal(err)
		}
		seg, err := shm.Open("/shoal.fresh", nil)
		if err != nil {
			t.Fatal(err)
		}
		b := slices.Clone(seg.Bytes())
		all = append(all, b[:binary.LittleEndian.Uint64(b[16:])])
		seg.Remove()
		seg.Close()
		p.Close()
	}
	return all
}

// Every word of every kind of object, damaged: an error or none, but no panic, no
// fault, no hang.
func TestDamaged(t *testing.T) {
	values := []uint32{^uint32(0), 1 << 31, 1, 0}
	if testing.Short() {
		values = values[:1]
	}
	for _, b := range fresh(t) {
		kind := layout.Kind(binary.LittleEndian.Uint32(b[12:]))
		for at := 0; at+4 <= len(b); at += 4 {
			old := binary.LittleEndian.Uint32(b[at:])
			if at > 192 && old == 0 && at%64 > 16 {
				continue // nobody reads the rest of a line
			}
			for _, v := range values {
				if v == old {
					continue
				}
				binary.LittleEndian.PutUint32(b[at:], v)
				damaged(t, b, fmt.Sprintf("%v: %#x at %d", kind, v, at))
			}
			binary.LittleEndian.PutUint32(b[at:], old)
		}
		for _, n := range []int{0, 1, 63, 64, 100, 128, len(b) - 1} {
			damaged(t, b[:n], fmt.Sprintf("%v: %d bytes", kind, n))
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, b := range fresh(f) {
		f.Add(b)
		f.Add(b[:len(b)/2])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<20 {
			t.Skip()
		}
		damaged(t, b, "fuzzed")
	})
}
