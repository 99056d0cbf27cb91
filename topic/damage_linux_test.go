//go:build linux && (amd64 || arm64)

package topic_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

var tiny = &topic.Options{Publishers: 1, Subscribers: 2, LaneSize: topic.MinLaneSize}

// fresh returns the bytes of a small topic in which something was sent, and somebody
// with a name is behind.
func fresh(t testing.TB, o *topic.Options) []byte {
	t.Helper()
	name := fmt.Sprintf("fresh-%d", os.Getpid())
	tp := got(topic.Create[[]byte](name, o))(t)
	defer topic.Remove(name)
	defer tp.Close()
	p, s := got(tp.Publisher())(t), got(tp.Subscribe(&topic.SubscribeOptions{Name: "n"}))(t)
	for i := range 60 {
		must(t, p.Send(background, make([]byte, i*7%90)))
		if i < 40 {
			got(s.Receive(background))(t)
		}
	}
	must(t, p.Close())
	must(t, s.Close())
	seg := got(shm.Open("/shoal."+name, nil))(t)
	defer seg.Close()
	return bytes.Clone(seg.Bytes())
}

// use does with a damaged topic all that never waits, or not for long, and returns the
// errors that it meets.
func use(t testing.TB, name string) (all []error) {
	failed := func(err error) bool {
		if err != nil {
			if e := (*shm.Error)(nil); !errors.As(err, &e) || e.Object != name {
				t.Errorf("%v does not name its object", err)
			}
			all = append(all, err)
		}
		return err != nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
	defer cancel()
	if o, err := topic.Observe(name); !failed(err) {
		failed(o.Check())
		o.Stats()
		for _, from := range []topic.From{topic.Oldest, topic.Now} {
			n := 0
			for _, err := range o.All(ctx, from) {
				if n++; failed(err) && n > 1000 || n > 2000 {
					break
				}
			}
		}
		o.Close()
	}
	tp, err := topic.Open[[]byte](name, nil)
	if failed(err) {
		return all
	}
	defer tp.Close()
	failed(tp.Check())
	tp.Stats()
	p, perr := tp.Publisher()
	failed(perr)
	for _, o := range []topic.SubscribeOptions{{Name: "n"}, {From: topic.Oldest}, {History: 2}, {Lossy: true}, {}} {
		s, err := tp.Subscribe(&o)
		if failed(err) {
			continue
		}
		for range 10 {
			if perr == nil {
				_, err := p.TrySend(make([]byte, 50))
				failed(err)
			}
			for range 100 {
				if _, ok, err := s.TryReceive(); failed(err) || !ok {
					break
				}
			}
		}
		if perr == nil {
			failed(p.Send(ctx, make([]byte, 2000)))
		}
		n := 0
		for _, err := range s.Runs(ctx) {
			if n++; failed(err) && n > 1000 || n > 2000 {
				break
			}
		}
		failed(s.Close())
	}
	tp.Forget("n")
	_, err = tp.Repair()
	failed(err)
	return all
}

// damaged makes an object of these bytes, and uses it.
func damaged(t testing.TB, b []byte, what string) (all []error) {
	t.Helper()
	name := fmt.Sprintf("damaged-%d", os.Getpid()) // fuzzing has several processes
	seg := got(shm.Create("/shoal."+name, int64(max(len(b), 1)), nil))(t)
	defer seg.Close()
	defer seg.Remove()
	copy(seg.Bytes(), b)
	done := make(chan struct{})
	go func() {
		defer close(done)
		all = use(t, name)
	}()
	select {
	case <-done:
	case <-time.After(30 * time.Second):
		panic(what + ": hangs")
	}
	return all
}

// A word that cannot be what it says is an error that names it.
func TestDamage(t *testing.T) {
	for _, d := range []struct {
		at    int // from the body
		value uint64
		says  string
	}{
		{0, 1 << 40, "0 lanes"}, {0, 1<<32 | 2000, "2000 lanes"}, {0, 5<<32 | 1, "lane 0"}, {8, 5000, "5000 bytes"}, {8, 1 << 40, "lane of"}, {16, 9, "policy 9"},
		{2 * 128, 77, "used are 77 lanes"}, {3 * 128, 99 << 16, "owner of lane 0"}, {3*128 + 8, 1 << 50, "claimed"},
		{3*128 + 16, 1 << 60, "mark"}, {layout.PlacesAt(1), 0xf0, "place of subscriber 0"}, {layout.PlacesAt(1) + 8, 1, "place of subscriber 1"},
		{layout.CursorsAt(1, 2) + 8, 1 << 30, "1073741824"}, {layout.CursorsAt(1, 2) + 8, 12, "position 12"},
	} {
		b := fresh(t, tiny)
		body := int(binary.LittleEndian.Uint64(b[32:]))
		binary.LittleEndian.PutUint64(b[body+d.at:], d.value)
		if d.says == "mark" {
			binary.LittleEndian.PutUint64(b[body+4*128:], 4)
			d.says = "multiple of 8"
		}
		found := false
		for _, err := range damaged(t, b, d.says) {
			found = found || errors.Is(err, shm.ErrCorrupt) && strings.Contains(err.Error(), d.says)
		}
		if !found {
			t.Errorf("%#x at %d: nobody says %q: %v", d.value, d.at, d.says, damaged(t, b, d.says))
		}
	}
}

// Every word of the control part, damaged: an error or none, but no panic, no fault,
// no hang.
func TestDamaged(t *testing.T) {
	b := fresh(t, tiny)
	body := int(binary.LittleEndian.Uint64(b[32:]))
	for at := body; at < body+layout.DataAt(1, 2)+300; at += 8 {
		old := binary.LittleEndian.Uint64(b[at:])
		if old == 0 && (at-body)%128 > 64 {
			continue // nobody reads the rest of a line
		}
		for _, v := range []uint64{^uint64(0), 1 << 63, old ^ 8} {
			binary.LittleEndian.PutUint64(b[at:], v)
			damaged(t, b, fmt.Sprintf("%#x at %d", v, at))
		}
		binary.LittleEndian.PutUint64(b[at:], old)
	}
	for _, n := range []int{0, 63, 100, body, body + 128, len(b) - 1} {
		damaged(t, b[:n], fmt.Sprintf("%d bytes", n))
	}
}

// Patches of 12 bytes, an offset and a word, on a small topic.
func FuzzTopic(f *testing.F) {
	b := fresh(f, tiny)
	patch := func(all ...uint64) (p []byte) {
		for i := 0; i < len(all); i += 2 {
			p = binary.LittleEndian.AppendUint32(p, uint32(all[i]))
			p = binary.LittleEndian.AppendUint64(p, all[i+1])
		}
		return p
	}
	f.Add(patch())
	f.Add(patch(0, 0))
	f.Fuzz(func(t *testing.T, p []byte) {
		b := bytes.Clone(b)
		for ; len(p) >= 12; p = p[12:] {
			at := int(binary.LittleEndian.Uint32(p)) % (len(b) - 7)
			binary.LittleEndian.PutUint64(b[at:], binary.LittleEndian.Uint64(p[4:]))
		}
		if len(p) > 0 {
			b = b[:len(b)*int(p[0])/256]
		}
		damaged(t, b, "fuzzed")
	})
}
