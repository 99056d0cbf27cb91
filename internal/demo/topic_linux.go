//go:build linux && (amd64 || arm64)

package demo

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

const (
	announcements = 300_000                // records that are published
	firstKill     = announcements / 10 * 3 // how far the subscriber is that is killed then, at least
	secondKill    = announcements / 10 * 6 // likewise the publisher
	standing      = "ledger"               // the subscription that outlives its process
)

// tellTopic is the fifth chapter. One publisher, three subscribers: two are there
// to the end, and check every number. The third, whose subscription has a name, is
// killed in full flow, and another process goes on in its place. Then the publisher is
// killed, and another one goes on behind what that one was told had been sent.
func tellTopic(s *story) (err error) {
	dir := filepath.Join(posix.ShmDir, fmt.Sprintf("shoal-demo-%d-%016x", os.Getpid(), rand.Uint64()))
	if err := s.own(property{Dir: dir}); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, property{Dir: dir}.remove()) }()
	reached, addr := "file:"+filepath.Join(dir, "reached"), "file:"+filepath.Join(dir, "topic")
	seg, err := shm.Create(reached, reachedSize, nil)
	if err != nil {
		return err
	}
	defer seg.Close()
	// There may be little room.
	tp, err := topic.Create[announcement](addr, &topic.Options{Publishers: 2, Subscribers: 4, LaneSize: 32 << 10})
	if err != nil {
		return err
	}
	defer tp.Close()

	join := func(who, name string) (*process, error) {
		p, err := s.cast.start(who, "topic-subscriber", []string{addr, reached, name})
		if err == nil {
			_, err = s.until(func(e event) bool { return e.PID == p.pid && e.Line != "" })
		}
		return p, err
	}
	publish := func() (*process, error) {
		return s.cast.start("sender", "topic-publisher", []string{addr, reached})
	}
	var there []*process
	for range 2 {
		p, err := join("reader", "")
		if err != nil {
			return err
		}
		there = append(there, p)
	}
	victim, err := join(standing, standing)
	if err != nil {
		return err
	}
	sender, err := publish()
	if err != nil {
		return err
	}
	w := waypoints(seg.Bytes())
	if _, err := s.kill(victim, func() bool { return w.get(released) >= firstKill }); err != nil {
		return err
	}
	began, left := w.get(begun), w.get(released)
	heir, err := join(standing, standing)
	if err != nil {
		return err
	}
	killed, err := s.kill(sender, func() bool { return w.get(sent) >= secondKill })
	if err != nil {
		return err
	}
	acknowledged := w.get(sent)
	if sender, err = publish(); err != nil {
		return err
	}
	if err := s.finish(append(there, heir, sender)...); err != nil {
		return err
	}
	rate, err := tallied(there, heir, began, left)
	if err != nil {
		return err
	}
	if err := tp.Check(); err != nil {
		return err
	}
	s.print("\n  %d records of %d bytes, %.1f million a second, two processes killed: all\n"+
		"  three subscriptions have every number from 1 on, in order. The second ledger\n"+
		"  went on with %d, behind what the first had released. The sender that died\n"+
		"  had sent %d; the next came from its successor %.1f ms after the kill.\n",
		announcements, announcementSize, rate/1e6, heir.tally.First, acknowledged,
		float64(int64(w.get(resumed))-killed)/1e6)
	return nil
}

// own has the warden, and the demo, know of something before the demo makes it.
func (s *story) own(p property) error {
	s.cast.estate = append(s.cast.estate, p)
	return put(s.cast.will, p)
}

// kill kills a process as soon as it is somewhere, and returns when its end is
// known. The time is that of the signal: nanoseconds, CLOCK_MONOTONIC.
func (s *story) kill(p *process, there func() bool) (at int64, err error) {
	for !there() {
		if err := s.pause(time.Millisecond); err != nil {
			return 0, err
		}
		if s.cast.playing[p.pid] == nil {
			return 0, fmt.Errorf("%s (process %d) has come to its end before it could be killed", p.who, p.pid)
		}
	}
	p.doomed = true
	s.note("kill -9 %d: the %s, in full flow", p.pid, p.who)
	at = now()
	if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
		return 0, fmt.Errorf("kill the %s (process %d): %w", p.who, p.pid, err)
	}
	return at, s.finish(p)
}

// tallied compares what the subscribers have had with what was to be had, and
// returns how many records a second there were.
func tallied(there []*process, heir *process, began, left uint64) (rate float64, err error) {
	for _, p := range append(there, heir) {
		if p.tally == nil {
			return 0, fmt.Errorf("%s (process %d) has not said what it has received", p.who, p.pid)
		}
	}
	for _, p := range there {
		t := p.tally
		if t.First != 1 || t.Last != announcements || t.Count-t.Twice != announcements || t.Twice > 1 {
			return 0, fmt.Errorf("a reader has received %d records, from %d to %d, %d of them twice; "+
				"expected each of %d, and at most one twice", t.Count, t.First, t.Last, t.Twice, announcements)
		}
		rate = announcements / (float64(t.End-t.Begin) / 1e9)
	}
	if began != 1 {
		return 0, fmt.Errorf("the ledger that was killed has received from %d on; expected from 1", began)
	}
	// The victim may have died between the release and the note of it.
	if t := heir.tally; t.First < left+1 || t.First > left+2 || t.Last != announcements {
		return 0, fmt.Errorf("the heir has received from %d to %d; expected from behind %d to %d",
			t.First, t.Last, left, announcements)
	}
	return rate, nil
}

// waypoints is memory in which the processes note how far they are, for the demo to
// see what those have done that it kills.
type waypoints []byte

// The words of waypoints, as offsets.
const (
	sent        = 0   // the last number for which Send has returned
	released    = 128 // the last number that the named subscription is through with
	begun       = 256 // the first number that the named subscription had
	resumed     = 384 // when the second publisher's first Send had returned
	reachedSize = 4096
)

func (w waypoints) get(at int) uint64    { return ledger(w).get(at) }
func (w waypoints) set(at int, x uint64) { ledger(w).set(at, x) }
