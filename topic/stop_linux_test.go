//go:build linux && (amd64 || arm64)

package topic_test

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/topic"
)

// A stopped subscriber is waited for as the policy says, and keeps its place; a stopped
// publisher keeps its lane.
func TestStop(t *testing.T) {
	for _, policy := range []topic.Policy{topic.Wait, topic.Refuse, topic.Drop} {
		t.Run(policy.String(), func(t *testing.T) {
			tp := got(topic.Create[[]byte]("k", small(policy)))(t)
			defer topic.Remove("k")
			defer tp.Close()
			h := rerun.Start(t, "hold") // which has a lane, and a place that it does not read
			h.Expect("holds")
			h.Stop()
			p := got(tp.Publisher())(t)
			if p.Number() != 1 {
				t.Errorf("lane %d of a stopped process", 1-p.Number())
			}
			if _, err := tp.Publisher(); !errors.Is(err, topic.ErrNoSlot) {
				t.Error(err)
			}
			sent := 0
			for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
				ok, err := p.TrySend(make([]byte, 100))
				if must(t, err); ok {
					sent++
				} else {
					time.Sleep(time.Millisecond)
				}
				if n := got(tp.Repair())(t); n != 0 {
					t.Fatalf("%d repairs of what a live process has", n)
				}
				if sent > 1000 {
					break
				}
			}
			sub := tp.Stats().Subscribers[0]
			if !sub.Port.Alive || sub.Port.PID != h.PID() {
				t.Errorf("%+v", sub)
			}
			switch policy {
			case topic.Drop:
				if sent <= 1000 || sub.State != topic.Dropped {
					t.Errorf("sent %d, %+v", sent, sub)
				}
			default:
				if sent > 40 || sub.State != topic.Reliable || sub.Lag[1].Records != uint64(sent) {
					t.Errorf("sent %d, %+v", sent, sub)
				}
			}
			if policy == topic.Refuse {
				if err := p.Send(background, make([]byte, 100)); !errors.Is(err, topic.ErrFull) {
					t.Error(err)
				}
			}
			// When it dies, stopped, publishers go on.
			done := make(chan error)
			go func() {
				err := p.Send(background, make([]byte, 100))
				for errors.Is(err, topic.ErrFull) {
					err = p.Send(background, make([]byte, 100))
				}
				done <- err
			}()
			h.Kill()
			must(t, <-done)
			got(tp.Publisher())(t)
			must(t, tp.Check())
		})
	}
}

// A topic that does not fit on the disk is not made, and leaves nothing.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatalf("tests run in a namespace of their own: %v", err)
	}
	defer unix.Unmount(dir, 0)
	name := "file:" + dir + "/t"
	if _, err := topic.Create[tick](name, nil); !errors.Is(err, syscall.ENOSPC) {
		t.Error(err)
	}
	if all := got(os.ReadDir(dir))(t); len(all) != 0 {
		t.Error(all)
	}
	tp := got(topic.Create[tick](name, small(topic.Wait)))(t)
	must(t, topic.Remove(name))
	must(t, tp.Close())
}

// Any one of a few who were woken wakes the others: a hundred sleep, and all have what
// was sent, whoever of them is stopped.
func TestWakeMany(t *testing.T) {
	tp := got(topic.Create[line]("bench", &topic.Options{Publishers: 1, Subscribers: 200, LaneSize: topic.MinLaneSize}))(t)
	defer topic.Remove("bench")
	defer tp.Close()
	p := got(tp.Publisher())(t)
	var all []*rerun.Process
	for range 4 {
		r := rerun.Start(t, "sleepers", "25")
		r.Expect("ready")
		all = append(all, r)
	}
	stopped := -1
	for round := range 40 {
		eventually(t, "they sleep", func() bool { asleep, _ := tp.Sleeping(); return asleep })
		if round%8 == 7 {
			stopped = round / 8 % 4
			all[stopped].Stop()
		}
		must(t, p.Send(background, line{}))
		eventually(t, "all who are not stopped have it", func() bool {
			for _, s := range tp.Stats().Subscribers {
				if s.Lag[0].Records != 0 && (stopped < 0 || s.Port.PID != all[stopped].PID()) {
					return false
				}
			}
			return true
		})
		if stopped >= 0 {
			all[stopped].Continue()
			stopped = -1
			eventually(t, "the stopped have it", func() bool {
				for _, s := range tp.Stats().Subscribers {
					if s.Lag[0].Records != 0 {
						return false
					}
				}
				return true
			})
		}
	}
	if s := tp.Stats(); s.LostWakes != 0 {
		t.Errorf("%d lost wake-ups", s.LostWakes)
	}
	// The few who were woken may die of it.
	for _, r := range all[:3] {
		must(t, p.Send(background, line{}))
		r.Kill()
		eventually(t, "the others have it", func() bool {
			for _, s := range tp.Stats().Subscribers {
				if s.Lag[0].Records != 0 && s.Port.Alive && s.Port.PID != r.PID() {
					return false
				}
			}
			return true
		})
	}
	must(t, tp.Check())
}
