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
