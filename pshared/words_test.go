package pshared_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/shm"
)

// must ends the test if there is an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// got returns the value, or ends the test.
func got[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantErr fails the test unless err is what is wanted; nil is no error.
func wantErr(t testing.TB, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v; want %v", what, err, want)
	}
}

// within runs f and ends the test if it takes longer: a hang.
func within(t testing.TB, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(d):
		panic(what + ": still waiting after " + d.String())
	}
}

// words are the bytes of a named object, or of a segment, behind the back of
// those who use it.
type words struct {
	seg  *shm.Segment
	body int
}

// peek opens the named object's bytes.
func peek(t testing.TB, name string) *words {
	t.Helper()
	seg, err := shm.Open("/shoal."+name, nil)
	must(t, err)
	t.Cleanup(func() { seg.Close() })
	return &words{seg, int(binary.LittleEndian.Uint64(seg.Bytes()[32:]))}
}

// get32, get64, put32 and put64 read and write at an offset of the body.
func (w *words) get32(at int) uint32 {
	return binary.LittleEndian.Uint32(w.seg.Bytes()[w.body+at:])
}

func (w *words) get64(at int) uint64 {
	return binary.LittleEndian.Uint64(w.seg.Bytes()[w.body+at:])
}

func (w *words) put32(at int, v uint32) {
	binary.LittleEndian.PutUint32(w.seg.Bytes()[w.body+at:], v)
}

func (w *words) put64(at int, v uint64) {
	binary.LittleEndian.PutUint64(w.seg.Bytes()[w.body+at:], v)
}

// eventually waits until true says so: for what other processes, or sleeping
// goroutines, do in their own time.
func eventually(t testing.TB, what string, true func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !true(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// sleeps waits until somebody sleeps at a word whose lowest bit says so, with a
// moment more to be in the kernel.
func (w *words) sleeps(t testing.TB, at int) {
	t.Helper()
	eventually(t, "somebody sleeps", func() bool { return w.get32(at)&layout.LockWaiters != 0 })
	time.Sleep(2 * time.Millisecond)
}
