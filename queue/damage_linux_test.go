//go:build linux && (amd64 || arm64)

package queue_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/shm"
)

// damaged makes a queue of 4 slots, with a message that is ready, one that has been
// given back, and a free slot that has been used; what else is changed is up to f, which
// gets the object's bytes and where its body and slots begin.
func damaged(t testing.TB, name string, f func(b []byte, body, slots int)) {
	t.Helper()
	q := got(queue.Create[tick](name, &queue.Options{Slots: 4}))(t)
	for range 3 {
		must(t, q.Send(background, tick{}))
	}
	must(t, got(q.Receive(background))(t).Ack())
	must(t, got(q.Receive(background))(t).Nack())
	must(t, q.Close())
	seg := got(shm.Open("/shoal."+name, nil))(t)
	defer seg.Close()
	body := int(binary.LittleEndian.Uint64(seg.Bytes()[32:]))
	f(seg.Bytes(), body, body+layout.QueueSlotsOffset(layout.DefaultSlots, 4))
}

func put(b []byte, at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }

// A word that cannot be what it says is an error that names it, wherever it is met.
func TestDamage(t *testing.T) {
	for _, d := range []struct {
		name   string
		damage func(b []byte, body, slots int)
		says   string
	}{
		{"schema text", func(b []byte, _, _ int) { put(b, 24, 77) }, "fingerprint"},
		{"slots", func(b []byte, body, _ int) { put(b, body, 3) }, "queue of 3 slots"},
		{"more slots", func(b []byte, body, _ int) { put(b, body, 1<<19) }, "524288 slots"},
		{"stride", func(b []byte, body, _ int) { put(b, body+8, 100) }, "slots of 100 bytes"},
		{"more members", func(b []byte, _, _ int) { put(b, 48, uint64(binary.LittleEndian.Uint32(b[52:]))<<32|47) }, "member slots"},
		{"tail", func(b []byte, body, _ int) { put(b, body+128, 1<<63) }, "tail is 9223372036854775808"},
		{"lower tail", func(b []byte, body, _ int) { put(b, body+128, 4) }, "tail"},
		{"head", func(b []byte, body, _ int) { put(b, body+256, 1<<40) }, "head is 1099511627776"},
		{"state", func(_ []byte, _, _ int) {}, ""}, // nothing is wrong
		{"owner", func(b []byte, _, slots int) { put(b, slots+3*128, 999<<16|layout.QueueTaken) }, "names no owner"},
		{"gone", func(b []byte, _, slots int) { put(b, slots+3*128, 77<<32|2<<16|layout.QueueTaken) }, "has gone"},
		{"unknown flag", func(b []byte, _, slots int) { b[slots+2*128] |= 1 << 6 }, "is that of no message"},
		{"elsewhere", func(b []byte, body, slots int) { b[slots+2*128+1] = 9; b[body+128] = 60 }, "is that of no message"},
		{"unknown free", func(b []byte, _, slots int) { b[slots] |= 1 << 6 }, "no free slot"},
		{"free ahead", func(b []byte, _, slots int) { put(b, slots, 1001<<8) }, "free"},
		{"position", func(b []byte, _, slots int) { put(b, slots+2*128+8, 12) }, "with position 12"},
		{"length", func(b []byte, _, slots int) { put(b, slots+2*128+16, 25) }, "message 6 has 25 bytes, want 24"},
		{"mark", func(b []byte, body, _ int) { put(b, body+layout.QueueMarksOffset(layout.DefaultSlots), 0) }, "not found by its mark"},
		{"unmarked", func(b []byte, _, slots int) { b[slots+128] &^= layout.QueueMarked }, "unmarked behind the head"},
	} {
		t.Run(d.name, func(t *testing.T) {
			damaged(t, "d", d.damage)
			defer shm.Remove("/shoal.d")
			says := func(err error) bool { return errors.Is(err, shm.ErrCorrupt) && strings.Contains(err.Error(), d.says) }
			q, err := queue.Open[tick]("d", nil)
			if err != nil {
				if !says(err) {
					t.Error(err)
				}
				return
			}
			defer q.Close()
			o := got(queue.Observe("d"))(t)
			defer o.Close()
			if d.says == "" {
				must(t, q.Check())
				must(t, o.Check())
				return
			}
			met := says(q.Check())
			for range 6 {
				_, err := q.TrySend(tick{})
				met = met || says(err)
			}
			if !met {
				t.Errorf("not noticed; Check: %v", q.Check())
			}
			if says(q.Check()) != says(o.Check()) {
				t.Errorf("Check: %v, by who looks on: %v", q.Check(), o.Check())
			}
		})
	}
}

// Repair makes good what is wrong with a slot: what can be delivered is.
func TestRepair(t *testing.T) {
	for name, d := range map[string]struct {
		damage func(b []byte, body, slots int)
		left   int // messages
	}{
		"gone":     {func(b []byte, _, slots int) { put(b, slots+2*128, 77<<32|2<<16|layout.QueueTaken) }, 2},
		"filling":  {func(b []byte, _, slots int) { put(b, slots+2*128, 77<<32|2<<16|layout.QueueClaimed) }, 1},
		"length":   {func(b []byte, _, slots int) { put(b, slots+2*128+16, 25) }, 1},
		"position": {func(b []byte, _, slots int) { put(b, slots+2*128+8, 13) }, 1},
		"mark":     {func(b []byte, body, _ int) { put(b, body+layout.QueueMarksOffset(layout.DefaultSlots), 1) }, 2},
		"unmarked": {func(b []byte, _, slots int) { b[slots+128] &^= layout.QueueMarked }, 2},
		"free":     {func(b []byte, _, slots int) { put(b, slots, 1001<<8) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			damaged(t, "d", d.damage)
			defer shm.Remove("/shoal.d")
			q := got(queue.Open[tick]("d", nil))(t)
			defer q.Close()
			must(t, q.Repair())
			for left := d.left; ; left-- {
				m, ok, err := q.TryReceive()
				must(t, err)
				if !ok {
					if left != 0 {
						t.Errorf("%d messages are missing", left)
					}
					break
				}
				must(t, m.Ack())
			}
			for i := range 9 {
				must(t, q.Send(background, tick{Time: int64(i)}))
				m := got(q.Receive(background))(t)
				if m.Value.Time != int64(i) {
					t.Errorf("%d, want %d", m.Value.Time, i)
				}
				must(t, m.Ack())
			}
			must(t, q.Check())
			if s := q.Stats(); s.Free != 4 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// Whatever stands in an object: an error at most, and soon.
func FuzzQueue(f *testing.F) {
	// Each patch is an offset, relative to a part of the object, and a byte.
	f.Add([]byte{0, 0, 0, 3, 1, 0, 2, 9})
	f.Add([]byte{1, 0, 128, 255, 1, 0, 135, 255})
	f.Add([]byte{2, 0, 0, 3, 2, 0, 1, 77})
	f.Add([]byte{2, 1, 0, 7, 2, 1, 16, 200})
	f.Add([]byte{2, 1, 1, 9, 1, 0, 128, 60}) // a message where it does not belong
	f.Add([]byte{1, 1, 0, 200, 1, 1, 5, 1, 1, 1, 136, 255})
	f.Fuzz(func(t *testing.T, patches []byte) {
		name := fmt.Sprint("d", os.Getpid()) // there are several at work
		damaged(t, name, func(b []byte, body, slots int) {
			for ; len(patches) >= 4; patches = patches[4:] {
				at := int(binary.BigEndian.Uint16(patches[1:]))
				switch patches[0] % 4 {
				case 0: // the header, without its size: what lies behind is not ours to map
					at %= 64
				case 1:
					at = body + at%layout.QueueSize
				case 2:
					at = slots + at%(4*128)
				case 3:
					at = body + layout.QueueSize + at%(slots-body-layout.QueueSize)
				}
				b[at] = patches[3]
			}
		})
		defer shm.Remove("/shoal." + name)
		began := time.Now()
		if o, err := queue.Observe(name); err == nil {
			o.Check()
			o.Stats()
			o.Peek(func([]byte, uint64, int) bool { return true })
			o.Close()
		}
		q, err := queue.Open[tick](name, nil)
		if err != nil {
			return
		}
		defer q.Close()
		ctx, cancel := context.WithTimeout(background, 5*time.Millisecond)
		defer cancel()
		for round := range 2 {
			q.Check()
			q.Send(ctx, tick{})
			for range 6 {
				q.TrySend(tick{})
			}
			q.Receive(ctx)
			for i := range 6 {
				m, ok, _ := q.TryReceive()
				switch {
				case !ok:
				case i%2 == 0:
					m.Ack()
				default:
					m.Nack()
				}
			}
			q.Stats()
			if round == 0 {
				q.Repair()
			}
		}
		if d := time.Since(began); d > 2*time.Second {
			t.Errorf("it took %v", d)
		}
	})
}
