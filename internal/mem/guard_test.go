package mem

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// hot returns a guard that has been used so often that it is quick, where that can be.
func hot(t testing.TB) *Guard {
	t.Helper()
	g := new(Guard)
	use := func(n int) {
		for range n {
			if !g.Enter() {
				t.Fatal("a free guard cannot be entered")
			}
			g.Leave()
		}
	}
	use(quickAfter + 1)
	for end := time.Now().Add(10 * time.Second); CanBarrier() && !Fenceless(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the kernel does not register this process")
		}
	}
	use(2)
	if g.quick.Load() != CanBarrier() {
		t.Fatalf("quick: %t", g.quick.Load())
	}
	return g
}

func TestGuard(t *testing.T) {
	for name, g := range map[string]*Guard{"new": new(Guard), "quick": hot(t)} {
		if !g.Enter() || g.Enter() {
			t.Errorf("%s: entered twice", name)
		}
		if g.Shut() || g.IsShut() {
			t.Errorf("%s: shut over somebody", name)
		}
		g.Leave()
		if g.Enter() {
			t.Errorf("%s: entered while somebody wants to shut it", name)
		}
		if !g.Shut() || !g.IsShut() || g.Shut() || g.Enter() {
			t.Errorf("%s: not shut, or twice", name)
		}
	}
}

// Who waits inside takes a guard again that looks free.
func TestGuardHold(t *testing.T) {
	g := hot(t)
	g.Enter()
	g.Leave() // by somebody who has got in at the same moment
	g.Hold()
	if g.Enter() || g.Shut() {
		t.Error("the guard is free though somebody is inside")
	}
	g.Leave()
	if !g.Shut() {
		t.Error("it cannot be shut")
	}
}

// When Shut says so nobody is inside, nor gets in.
func TestGuardShut(t *testing.T) {
	for round := range 300 {
		g := hot(t)
		var inside, shut atomic.Bool
		var wg sync.WaitGroup
		began := make(chan struct{})
		wg.Go(func() {
			for n := 0; g.Enter(); n++ {
				if shut.Load() {
					t.Errorf("round %d: inside a guard that is shut", round)
				}
				inside.Store(n%2 == 0)
				if n == 10 {
					close(began)
				}
				inside.Store(false)
				g.Leave()
			}
		})
		<-began
		for !g.Shut() {
		}
		shut.Store(true)
		if inside.Load() {
			t.Errorf("round %d: shut while somebody is inside", round)
		}
		wg.Wait()
	}
}

// Of a store without a fence and a store with a barrier behind it, each followed by
// a look at the other, one is seen: the litmus test of store buffers.
func TestBarrier(t *testing.T) {
	if !CanBarrier() {
		t.Skip("no fence is left out here, and there is no barrier")
	}
	hot(t)
	var x, y [16]Uint64 // on lines of their own
	var round atomic.Uint64
	seen := make(chan uint64, 1)
	const rounds = 3000
	go func() {
		for n := uint64(1); n <= rounds; n++ {
			for round.Load() != n {
			}
			x[8].Release(n)
			seen <- y[8].Load()
		}
	}()
	for n := uint64(1); n <= rounds; n++ {
		round.Store(n)
		for range n % 64 {
			round.Load()
		}
		y[8].Store(n)
		Barrier()
		mine := x[8].Load()
		if theirs := <-seen; mine != n && theirs != n {
			t.Fatalf("round %d: neither has seen the other's store", n)
		}
	}
}

// BenchmarkGuard is what a quick guard costs, and a new one.
func BenchmarkGuard(b *testing.B) {
	g := hot(b)
	b.Run("quick", func(b *testing.B) {
		for b.Loop() {
			g.Enter()
			g.Leave()
		}
	})
	b.Run("slow", func(b *testing.B) {
		var g Guard
		for b.Loop() {
			g.enterSlow()
			g.Leave()
			g.uses = 0
		}
	})
}
