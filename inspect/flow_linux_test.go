package inspect

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

// flow looks at an object that must be sound.
func flow(t *testing.T, name, kind string) *Flow {
	t.Helper()
	o := find(t, "/shoal."+name)
	s := o.Structure
	if s == nil || s.Kind != kind || s.Flow == nil || s.Damage != nil || s.Members == nil || o.Unread != nil || s.Flow.Schema == nil ||
		!IsFlow(kind) || s.Flow.Type != s.Flow.Schema.String() || s.Flow.MaxRecord <= 0 {
		t.Fatalf("%+v, %+v, %v", o, s, o.Unread)
	}
	if _, err := json.Marshal(o); err != nil {
		t.Error(err)
	}
	found, err := Check(name)
	if err != nil || found == nil || found.Damage != nil || found.Flow == nil {
		t.Errorf("check: %+v, %v", found, err)
	}
	return s.Flow
}

// kept reports whether gc spares what nobody uses, and why.
func kept(t *testing.T, name string) (bool, string) {
	t.Helper()
	v := Judge(find(t, "/shoal."+name), Policy{Age: -1})
	return !v.Remove, v.Reason
}

func TestFlowOfRing(t *testing.T) {
	ctx, self := context.Background(), os.Getpid()
	r, err := ring.Create[int32]("t", &ring.Options{Size: 4096})
	closing(t, r, err)
	t.Cleanup(func() { ring.Remove("t") })
	f := flow(t, "t", "ring")
	if f.Room != 4096 || f.Used != 0 || f.Fill() != 0 || f.Unread != 0 || !f.Gated || f.Type != "shoal schema 1\nint32\n" ||
		len(f.Senders) != 1 || f.Senders[0].PID != 0 || len(f.Receivers) != 1 || f.Receivers[0].PID != 0 {
		t.Errorf("new: %+v", f)
	}
	w, err := r.Writer()
	noError(t, err)
	n, err := w.SendBatch(ctx, []int32{1, 2, 3})
	noError(t, err)
	if n != 3 {
		t.Fatal(n)
	}
	f = flow(t, "t", "ring")
	if f.Sent != 3 || f.Bytes != 12 || f.Unread != 3 || f.Used < 3*16 || f.Fill() <= 0 || f.Fill() > 0.1 || f.Received != 0 ||
		f.Senders[0].PID != self || !f.Senders[0].Alive || f.Senders[0].Sent != 3 || f.Receivers[0].Lag != 3 {
		t.Errorf("three sent: %+v", f)
	}
	if senders, receivers := f.Live(); senders != 1 || receivers != 0 {
		t.Errorf("%d and %d live", senders, receivers)
	}
	noError(t, w.Close())
	noError(t, r.Close())
	if ok, why := kept(t, "t"); !ok || !strings.Contains(why, "3 records in it nobody has read") {
		t.Errorf("unread: %v, %q", ok, why)
	}
	r, err = ring.Open[int32]("t", nil)
	noError(t, err)
	reader, err := r.Reader()
	noError(t, err)
	for range 3 {
		_, err = reader.Receive(ctx)
		noError(t, err)
	}
	if f = flow(t, "t", "ring"); f.Received != 3 || f.Unread != 0 || f.Used != 0 || f.Receivers[0].PID != self {
		t.Errorf("all read: %+v", f)
	}
	noError(t, r.Close())
	if ok, why := kept(t, "t"); ok {
		t.Errorf("empty and unused: %q", why)
	}
}

func TestFlowOfTopic(t *testing.T) {
	ctx, self := context.Background(), os.Getpid()
	tp, err := topic.Create[[]byte]("t", &topic.Options{Publishers: 2, Subscribers: 3, LaneSize: 4096, Policy: topic.Drop})
	noError(t, err)
	t.Cleanup(func() { tp.Close(); topic.Remove("t") })
	if f := flow(t, "t", "topic"); f.Gated || f.Fill() != -1 || f.Policy != "drop" || f.Lanes != 2 || f.Places != 3 || f.Type != "" || f.MaxRecord != tp.MaxRecord() {
		t.Errorf("new: %+v", f)
	}
	p, err := tp.Publisher()
	noError(t, err)
	_, err = tp.Subscribe(&topic.SubscribeOptions{Lossy: true})
	noError(t, err)
	if f := flow(t, "t", "topic"); f.Gated || len(f.Receivers) != 1 || f.Receivers[0].State != "lossy" {
		t.Errorf("lossy: %+v", f)
	}
	s, err := tp.Subscribe(&topic.SubscribeOptions{Name: "ledger"})
	noError(t, err)
	for range 10 {
		noError(t, p.Send(ctx, make([]byte, 100)))
	}
	f := flow(t, "t", "topic")
	if !f.Gated || f.Sent != 10 || f.Bytes != 1000 || f.Unread != 10 || f.Used < 1080 || f.Fill() < 0.25 || f.Fill() > 0.3 ||
		len(f.Senders) != 1 || f.Senders[0].PID != self || len(f.Receivers) != 2 {
		t.Errorf("ten sent: %+v", f)
	}
	if r := f.Receivers[1]; r.Name != "ledger" || r.State != "reliable" || !r.Alive || r.Lag != 10 || len(r.Lags) != 1 || r.Lags[0].Records != 10 || r.Joined.IsZero() {
		t.Errorf("its subscription: %+v", r)
	}
	_, err = s.Receive(ctx)
	noError(t, err)
	if f := flow(t, "t", "topic"); f.Unread != 9 || f.Received != 1 {
		t.Errorf("one received: %+v", f)
	}
	noError(t, tp.Close())
	if ok, why := kept(t, "t"); !ok || !strings.Contains(why, `its subscription "ledger" waits for its process, with 9 records unread`) {
		t.Errorf("a subscription waits: %v, %q", ok, why)
	}
	tp, err = topic.Open[[]byte]("t", nil)
	noError(t, err)
	noError(t, tp.Forget("ledger"))
	noError(t, tp.Close())
	if f := flow(t, "t", "topic"); f.Gated || len(f.Receivers) != 0 {
		t.Errorf("forgotten: %+v", f)
	}
	if ok, why := kept(t, "t"); ok {
		t.Errorf("nobody waits: %q", why)
	}
}

func TestFlowOfQueue(t *testing.T) {
	ctx, self := context.Background(), os.Getpid()
	q, err := queue.Create[int64]("t", &queue.Options{Slots: 8})
	noError(t, err)
	t.Cleanup(func() { q.Close(); queue.Remove("t") })
	for i := range int64(3) {
		noError(t, q.Send(ctx, i))
	}
	m, err := q.Receive(ctx)
	noError(t, err)
	f := flow(t, "t", "queue")
	if f.Room != 8 || f.Used != 3 || f.Fill() != 0.375 || f.Unread != 3 || f.Ready != 2 || f.Taken != 1 || f.Sent != 3 || f.Bytes != 24 || f.MaxRecord != 8 ||
		len(f.Holdings) != 1 || f.Holdings[0].PID != self || !f.Holdings[0].Alive || !f.Holdings[0].Taken || f.Holdings[0].Deliveries != 1 ||
		time.Since(f.Holdings[0].Since) > time.Hour {
		t.Errorf("three sent, one received: %+v", f)
	}
	noError(t, m.Ack())
	noError(t, q.Close())
	if ok, why := kept(t, "t"); !ok || !strings.Contains(why, "2 messages in it nobody has acknowledged") {
		t.Errorf("two left: %v, %q", ok, why)
	}
	q, err = queue.Open[int64]("t", nil)
	noError(t, err)
	for range 2 {
		m, err := q.Receive(ctx)
		noError(t, errors.Join(err, m.Ack()))
	}
	noError(t, q.Close())
	if f := flow(t, "t", "queue"); f.Unread != 0 || f.Acked != 3 || f.Used != 0 {
		t.Errorf("all acknowledged: %+v", f)
	}
	if ok, why := kept(t, "t"); ok {
		t.Errorf("empty and unused: %q", why)
	}
}

// TestDamagedFlow pokes words into rings, topics and queues that are sound.
func TestDamagedFlow(t *testing.T) {
	ctx := context.Background()
	for name, tt := range map[string]struct {
		make func() error
		at   int64 // behind the body
		word uint64
		want string // behind the offset
		deep bool   // it takes Check to find it
	}{
		"size of a ring": {func() error {
			r, err := ring.Create[int32]("t", nil)
			return errors.Join(err, r.Close())
		}, 0, 12345, "lane data: 12345 bytes are no power of two", false},
		"size of lanes": {func() error {
			tp, err := topic.Create[int32]("t", nil)
			return errors.Join(err, tp.Close())
		}, 8, 1 << 40, "", false},
		"slots of a queue": {func() error {
			q, err := queue.Create[int32]("t", nil)
			return errors.Join(err, q.Close())
		}, 0, 7, "queue of 7 slots", false},
		"head of a queue": {func() error {
			q, err := queue.Create[int32]("t", nil)
			return errors.Join(err, q.Send(ctx, 1), q.Close())
		}, 256, 1 << 40, "head is 1099511627776", true},
	} {
		t.Run(name, func(t *testing.T) {
			noError(t, tt.make())
			t.Cleanup(func() { shm.Remove("/shoal.t") })
			b, err := os.ReadFile("/dev/shm/shoal.t")
			noError(t, err)
			body := int64(binary.LittleEndian.Uint64(b[32:]))
			f, err := os.OpenFile("/dev/shm/shoal.t", os.O_WRONLY, 0)
			noError(t, err)
			_, err = f.WriteAt(binary.LittleEndian.AppendUint64(nil, tt.word), body+tt.at)
			noError(t, errors.Join(err, f.Close()))
			s, err := Check("t")
			noError(t, err)
			if len(s.Damage) == 0 || s.Damage[0].Offset < body || !strings.HasPrefix(s.Damage[0].Text, tt.want) ||
				strings.Contains(s.Damage[0].Text, shm.ErrCorrupt.Error()) {
				t.Errorf("check finds %v; want %q", s.Damage, tt.want)
			}
			s, err = Look("t")
			noError(t, err)
			if (len(s.Damage) > 0) == tt.deep || (s.Flow != nil) != tt.deep {
				t.Errorf("a glance finds %v", s.Damage)
			}
		})
	}
}

// TestFaults: joined errors are taken apart, and say no more than they must.
func TestFaults(t *testing.T) {
	one, two := errors.New("one"), errors.Join(errors.New("two"), errors.New("three"))
	err := &shm.Error{Op: "check", Object: "t", Err: errors.Join(one, two)}
	if got := strings.Join(faults(err), "|"); got != "one|two|three" {
		t.Errorf("%q", got)
	}
}

// TestGuarded: a peer that cuts an object down is an error, not the end.
func TestGuarded(t *testing.T) {
	seg, err := shm.Create("/shoal.t", 3*4096, nil)
	noError(t, err)
	t.Cleanup(func() { seg.Close(); shm.Remove("/shoal.t") })
	noError(t, os.Truncate("/dev/shm/shoal.t", 0))
	sum := 0
	err = guarded(func() error {
		for _, b := range seg.Bytes() {
			sum += int(b)
		}
		return nil
	})
	if !errors.Is(err, shm.ErrFault) {
		t.Errorf("%v, sum %d", err, sum)
	}
	defer func() {
		if recover() == nil {
			t.Error("another panic is swallowed")
		}
	}()
	guarded(func() error { panic("another") })
}

// TestFlowOfSegment: a ring in System V memory, which is attached to look into it.
func TestFlowOfSegment(t *testing.T) {
	r, err := ring.Create[int32]("sysv:0x77", &ring.Options{Size: 4096})
	noError(t, err)
	o := find(t, "sysv:0x77")
	t.Cleanup(func() { r.Close(); shm.Remove("sysv:0x77"); shm.Remove(lockFileName(o.ID)) })
	if o.Structure == nil || o.Structure.Flow == nil || o.Structure.Flow.Room != 4096 || !o.Own {
		t.Fatalf("%+v, %+v", o, o.Structure)
	}
	s, err := Check("sysv:0x77")
	if err != nil || s == nil || s.Flow == nil || s.Damage != nil {
		t.Errorf("check: %+v, %v", s, err)
	}
}

// TestDamagedAnywhere: whatever stands in a ring, topic or queue, looking through it
// ends, and is no end of us.
func TestDamagedAnywhere(t *testing.T) {
	ctx := context.Background()
	for kind, fill := range map[string]func() error{
		"ring": func() error {
			r, err := ring.Create[[]byte]("t", &ring.Options{Size: 4096})
			noError(t, err)
			w, err := r.Writer()
			return errors.Join(err, w.Send(ctx, []byte("some")), r.Close())
		},
		"topic": func() error {
			tp, err := topic.Create[[]byte]("t", &topic.Options{Publishers: 1, Subscribers: 2, LaneSize: 4096})
			noError(t, err)
			_, err = tp.Subscribe(&topic.SubscribeOptions{Name: "x"})
			noError(t, err)
			p, err := tp.Publisher()
			return errors.Join(err, p.Send(ctx, []byte("some")), tp.Close())
		},
		"queue": func() error {
			q, err := queue.Create[[]byte]("t", &queue.Options{Slots: 4})
			return errors.Join(err, q.Send(ctx, []byte("some")), q.Close())
		},
	} {
		noError(t, fill())
		sound, err := os.ReadFile("/dev/shm/shoal.t")
		noError(t, err)
		random := rand.New(rand.NewPCG(1, uint64(len(sound))))
		found := 0
		for range 300 {
			bad := append([]byte(nil), sound...)
			for range 1 + random.IntN(4) {
				at := random.IntN(len(bad)/8) * 8
				binary.LittleEndian.PutUint64(bad[at:], []uint64{0, 1, ^uint64(0), 1 << 32, random.Uint64()}[random.IntN(5)])
			}
			noError(t, os.WriteFile("/dev/shm/shoal.t", bad, 0o600))
			s, err := Check("t")
			if err != nil || s == nil || len(s.Damage) > 0 {
				found++
			}
			if _, err := json.Marshal(s); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if found == 0 {
			t.Errorf("%s: no damage was found", kind)
		}
		noError(t, shm.Remove("/shoal.t"))
	}
}
