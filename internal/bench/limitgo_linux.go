//go:build linux && (amd64 || arm64)

package bench

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
	"github.com/seed-247006a4/shoal/shm"
)

// prepareLimit prepares what c/limits.c does, in Go.
func (j *job) prepareLimit() (func() (*outcome, error), error) {
	if j.Measure == memcpy {
		return j.copies, nil
	}
	t, err := j.openTable()
	if err != nil {
		return nil, err
	}
	work := j.hitBack
	if j.Side == near {
		work = j.hit
	}
	return func() (*outcome, error) {
		o := &outcome{}
		return o, work(t, &o.Figures)
	}, nil
}

// pingPong is a table for ping-pong: pairs of words, and a payload for each
// direction. Where a line lies in the machine makes a difference, so there are many
// pairs, and some trips on each.
type pingPong struct {
	there, back      [pairs]*mem.Uint32
	toward, homeward []byte
	mine             []byte
}

// The pairs: how many, how many round trips on one before the next, and where they
// lie, in bytes.
const (
	pairs    = 64
	trips    = 1024
	pairSize = 4096
	backAt   = 128
)

// pairOf is the one for a round trip.
func pairOf(number uint32) uint32 { return number / trips % pairs }

func (j *job) openTable() (*pingPong, error) {
	seg, _, err := shm.OpenOrCreate("/"+j.There, int64(pairs*pairSize+2*j.Area), nil)
	if err != nil {
		return nil, err
	}
	b := seg.Bytes()
	t := &pingPong{mine: pattern(max(j.Size, head))[:j.Size]}
	for i := range pairs {
		if t.there[i], err = mem.At[mem.Uint32](b, i*pairSize); err != nil {
			return nil, err
		}
		if t.back[i], err = mem.At[mem.Uint32](b, i*pairSize+backAt); err != nil {
			return nil, err
		}
	}
	t.toward, t.homeward = b[pairs*pairSize:][:j.Area], b[pairs*pairSize+j.Area:][:j.Area]
	return t, nil
}

// over is the number that ends a game.
const over = ^uint32(0)

// tell stores a number, and wakes who sleeps on it.
func (j *job) tell(w *mem.Uint32, v uint32) error {
	w.Store(v) // pairs with the load in await
	if j.Measure == futex {
		_, err := sys.FutexWake(w, 1)
		return err
	}
	return nil
}

// await waits for a number, or for the end: spinning, or asleep.
func (j *job) await(w *mem.Uint32, want uint32) (uint32, error) {
	for {
		v := w.Load()
		if v == want || v == over {
			return v, nil
		}
		if j.Measure == futex {
			err := sys.FutexWait(w, v, nil)
			if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR) {
				return 0, err
			}
		}
	}
}

// next is where the payload after the one at an offset lies.
func (j *job) next(at int) int {
	if at+2*j.Size > j.Area {
		return 0
	}
	return at + j.Size
}

// hit plays the near side.
func (j *job) hit(t *pingPong, f *figures) error {
	times := newSamples()
	last, first := clock(), clock()+j.warmUp()
	v := uint32(1)
	for at := 0; last < first+j.Time && len(times) < maxSamples; at = j.next(at) {
		copy(t.toward[at:], t.mine)
		if err := j.tell(t.there[pairOf(v)], v); err != nil {
			return err
		}
		if _, err := j.await(t.back[pairOf(v)], v); err != nil {
			return err
		}
		runtime.KeepAlive(sumWords(t.homeward[at : at+j.Size]))
		v++
		now := clock()
		if now > first {
			times.add(now - last)
		}
		last = now
	}
	f.Took = last - first
	times.percentiles(f, j.divisor())
	return j.tell(t.there[pairOf(v)], over)
}

// hitBack plays the far side.
func (j *job) hitBack(t *pingPong, _ *figures) error {
	v := uint32(1)
	for at := 0; ; at = j.next(at) {
		if got, err := j.await(t.there[pairOf(v)], v); err != nil || got == over {
			return err
		}
		runtime.KeepAlive(sumWords(t.toward[at : at+j.Size]))
		copy(t.homeward[at:], t.mine)
		if err := j.tell(t.back[pairOf(v)], v); err != nil {
			return err
		}
		v++
	}
}

// copies copies in and out of shared memory.
func (j *job) copies() (*outcome, error) {
	const flags = unix.MAP_SHARED | unix.MAP_ANONYMOUS | unix.MAP_POPULATE
	shared, err := unix.Mmap(-1, 0, j.Area, unix.PROT_READ|unix.PROT_WRITE, flags)
	if err != nil {
		return nil, fmt.Errorf("mmap: %w", err)
	}
	from, to, times := pattern(j.Size), pattern(j.Size), newSamples()
	o := &outcome{}
	many := max(1, 64<<10/j.Size) // what is short is timed many at once
	last, first := clock(), clock()+j.warmUp()
	for at := 0; last < first+j.Time && len(times) < maxSamples; {
		for range many {
			copy(shared[at:], from)
			copy(to, shared[at:])
			at = j.next(at)
		}
		now := clock()
		if now > first {
			times.add(now - last)
		}
		last = now
	}
	o.Figures.Took = last - first
	times.percentiles(&o.Figures, float64(many))
	o.Figures.Rate = 1e9 / max(o.Figures.P50, 0.1)
	return o, nil
}
