//go:build linux && (amd64 || arm64)

package park

import (
	"sync"
	"testing"
	"time"
)

// A word that changes without a wake-up is left alone as long as that is right,
// and the wake-up counts as lost as soon as it is not.
func TestWaitDue(t *testing.T) {
	everyWay(t, func(t *testing.T) {
		_, words := memory(t)
		w := &words[0]
		lost := make(chan bool, 8)
		var wg sync.WaitGroup
		wg.Go(func() {
			for v := w.Load(); v != 2; v = w.Load() {
				// It may return for nothing, but must not say that a wake-up was lost.
				l, err := WaitDue(background, w, v, func(word uint32) bool { return word == 2 })
				if err != nil {
					t.Error(err)
				}
				if l || w.Load() == 2 {
					lost <- l
				}
			}
		})
		eventually(t, "somebody sleeps", func() bool { return sleeping() > 0 })
		time.Sleep(10 * time.Millisecond) // and is in the kernel
		w.Store(1)
		select {
		case l := <-lost:
			t.Errorf("woken for nothing; lost %v", l)
		case <-time.After(3*shared.every + 4*confirm): // scans enough
		}
		w.Store(2)
		within(t, 20*time.Second, func() {
			if !<-lost {
				t.Error("not counted as lost")
			}
			wg.Wait() // it looks at the word once more
		})
	})
}
