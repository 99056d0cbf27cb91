//go:build linux && (amd64 || arm64)

package park

import "testing"

// answers makes a ready that says true at the n-th look, and counts.
func answers(n int, looks *int) func() bool {
	*looks = 0
	return func() bool { *looks++; return *looks >= n }
}

// Who runs dry close behind a fast writer backs off; who gets answers, or few
// records, does not.
func TestFollower(t *testing.T) {
	if usable() < 2 {
		t.Skip("one processor: nobody spins")
	}
	forgetProcessors()
	looks := 0
	follow := func(f *Follower, times int, run uint64, look int) {
		taken := f.taken
		for range times {
			taken += run
			f.Spin(taken, answers(look, &looks))
		}
	}
	var f Follower
	follow(&f, 10_000, 1, 10) // a record for each long wait: ping-pong
	if f.Dense() || f.short != 0 {
		t.Errorf("ping-pong is taken for a dense stream: %+v", &f)
	}
	follow(&f, 100, 1, 3) // lock-step: the first look, and two in the spin
	if f.Dense() {
		t.Errorf("backs off though that brings one record each time: %+v", &f)
	}
	if f.trust <= firstTrust {
		t.Errorf("has learned nothing from backing off in vain: %+v", &f)
	}
	follow(&f, 10_000, 1, 3)
	if f.trust != lastTrust {
		t.Errorf("after many times in vain: %+v", &f)
	}
	f = Follower{}
	follow(&f, firstTrust+1, 1, 3)
	if !f.Dense() {
		t.Errorf("lock-step is not noticed: %+v", &f)
	}
	follow(&f, 10, 100, 1)
	if f.back != lastBack || f.trust != firstTrust {
		t.Errorf("in a dense stream: %+v", &f)
	}
	if follow(&f, 1, 100, 1); looks != 1 {
		t.Errorf("%d looks behind a back-off, want 1", looks)
	}
	if f.Spin(f.taken+100, func() bool { return false }) || f.Dense() {
		t.Errorf("the stream has ended: %+v", &f)
	}
	if n := testing.AllocsPerRun(100, func() { f.Spin(f.taken+1, func() bool { return true }) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Who does not run dry looks how far the writer is ahead, and lets it get further only if
// it is close, and fast.
func TestFollowerKeepsOff(t *testing.T) {
	processors.Do(measure)
	var f Follower
	f.Spin(1000, func() bool { return true })
	if f.Tight(1000+longRun-1) || !f.Tight(1000+longRun) {
		t.Error("does not look after a long run")
	}
	looks := 0
	writer := func(sent ...uint64) func() uint64 {
		looks = 0
		return func() uint64 {
			looks++
			return sent[min(looks, len(sent))-1]
		}
	}
	if f.KeepOff(1000, 64, writer(1000+tooClose/64)); looks != 1 || f.look != 1000+tooClose/64 {
		t.Errorf("far ahead: %d looks, the next at %d", looks, f.look)
	}
	if f.KeepOff(1000, 64, writer(1001, 1101, 1201, 1301, 1401)); looks != 4 || f.look != 1301 {
		t.Errorf("close and fast: %d looks, the next at %d", looks, f.look)
	}
	if f.KeepOff(1000, 64, writer(1001, 1002, 1301)); looks != 2 || f.look != 1000+longRun {
		t.Errorf("close and slow: %d looks, the next at %d", looks, f.look)
	}
	if f.KeepOff(1000, 1, writer(1001, 1100, 1200, 1300, 1400, 1500, 1600, 1700)); looks != 1+int(lastBack/pace) || f.look != 1600 {
		t.Errorf("tiny records: %d looks, the next at %d", looks, f.look)
	}
	if f.KeepOff(1000, 64, writer(1000)); looks != 2 || f.look != 1000+longRun {
		t.Errorf("nothing there: %d looks, the next at %d", looks, f.look)
	}
	if f.KeepOff(1000, 64, writer(900)); f.look < 1000 {
		t.Errorf("behind us, as no writer is: the next look at %d", f.look)
	}
}
