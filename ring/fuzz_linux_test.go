//go:build linux && (amd64 || arm64)

package ring_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/shm"
)

// realRing returns the bytes of a ring with records, whose owner has gone.
func realRing(t testing.TB) []byte {
	name := fmt.Sprintf("real-%d", os.Getpid()) // fuzzing has several processes
	r := got(ring.Create[[]byte](name, small))(t)
	defer ring.Remove(name)
	w, rd := got(r.Writer())(t), got(r.Reader())(t)
	for n := range 40 {
		if n >= 5 {
			got(rd.Receive(background))(t)
		}
		must(t, w.Send(background, make([]byte, n*11)))
	}
	b := got(os.ReadFile("/dev/shm/shoal." + name))(t)
	must(t, r.Close())
	return b[:binary.LittleEndian.Uint64(b[16:])]
}

// use does with a ring all that can be done, and returns the errors. Nothing in it
// waits for long.
func use(name string) (errs []error) {
	ctx, cancel := context.WithTimeout(background, 5*time.Millisecond)
	defer cancel()
	note := func(err error) bool {
		if err != nil {
			errs = append(errs, err)
		}
		return err == nil
	}
	if o, err := ring.Observe(name); note(err) {
		o.Stats()
		note(o.Check())
		_, err := o.Schema()
		note(err)
		_, err = o.Unread(1000)
		note(err)
		note(o.Close())
	}
	r, err := ring.Open[[]byte](name, nil)
	if !note(err) {
		return errs
	}
	defer r.Close()
	r.Stats()
	note(r.Check())
	_, err = r.Repair()
	note(err)
	rd, err := r.Reader()
	if note(err) {
		for range 1000 {
			v, ok, err := rd.TryReceive()
			if !note(err) || !ok {
				break
			}
			for _, b := range v {
				_ = b
			}
		}
	}
	w, err := r.Writer()
	if note(err) {
		for range 100 {
			if ok, err := w.TrySend(make([]byte, 100)); !note(err) || !ok {
				break
			}
		}
		_, err := w.SendBatch(ctx, make([][]byte, 10))
		note(err)
	}
	if rd != nil {
		for range 3 {
			_, err := rd.Peek(ctx)
			note(err)
			note(rd.Release())
		}
	}
	return errs
}

// Whatever an object holds, using it as a ring ends, with an error that names it or
// with none.
func FuzzRing(f *testing.F) {
	real := realRing(f)
	body := binary.LittleEndian.Uint64(real[32:])
	f.Add(uint32(0), []byte{})
	f.Add(uint32(16), []byte{0xff, 0xff})                                           // size
	f.Add(uint32(32), []byte{8})                                                    // body
	f.Add(uint32(body), []byte{0, 0x20})                                            // size of the data
	f.Add(uint32(body+128), []byte{0, 0, 1, 0, 1})                                  // the writer is somebody
	f.Add(uint32(body+136), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})       // claim
	f.Add(uint32(body+144), []byte{3})                                              // marked
	f.Add(uint32(body+256), []byte{4})                                              // mark 0
	f.Add(uint32(body+512), []byte{1, 0, 0, 0, 1})                                  // somebody sleeps, in a hurry
	f.Add(uint32(body+776), []byte{0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // position
	f.Add(uint32(body+1536+3000), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, at uint32, damage []byte) {
		name := fmt.Sprintf("fuzzed-%d", os.Getpid()) // fuzzing has several processes
		seg := got(shm.Create("/shoal."+name, int64(len(real)), nil))(t)
		defer seg.Close()
		defer seg.Remove()
		copy(seg.Bytes(), real)
		copy(seg.Bytes()[int(at)%len(real):], damage)
		done := make(chan []error, 1)
		go func() { done <- use(name) }()
		select {
		case errs := <-done:
			for _, err := range errs {
				var e *shm.Error
				if !errors.As(err, &e) || e.Object == "" {
					t.Errorf("%v does not name its object", err)
				}
				known := false
				for _, want := range []error{shm.ErrCorrupt, shm.ErrVersion, shm.ErrKind, shm.ErrTypeMismatch, ring.ErrBusy, ring.ErrTooLarge,
					context.DeadlineExceeded, shm.ErrClosed, fs.ErrInvalid, syscall.EINVAL, syscall.EXDEV, fs.ErrNotExist, member.ErrNoSlot} {
					known = known || errors.Is(err, want)
				}
				if !known {
					t.Errorf("%v", err)
				}
			}
		case <-time.After(10 * time.Second):
			debug.SetTraceback("all")
			panic("it hangs")
		}
	})
}
