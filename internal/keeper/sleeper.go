//go:build linux && (amd64 || arm64)

package keeper

import (
	"runtime"
	"sync"

	"github.com/seed-247006a4/shoal/internal/sys"
)

// Sleeper is the calling goroutine's thread while it sleeps for a mutex.
//
// A wake-up chooses one sleeper. If the chosen one's process dies before it has
// taken the mutex, the wake-up would be lost and the others sleep on beside a
// free mutex. The kernel prevents that if the sleeping thread has announced the
// mutex in its own robust list; the keeper's list has place for one only.
type Sleeper struct{ s *sys.RobustSleeper }

// idle are announcements that nobody uses: each holds a page for good.
var idle struct {
	sync.Mutex
	sleepers []*sys.RobustSleeper
}

// Sleep locks the goroutine to its thread and announces e there. Wake must
// follow, from the same goroutine, once it has the mutex or has given up. Where
// the system does not permit the announcement (a seccomp filter), nothing is
// announced.
func Sleep(e *sys.RobustEntry) Sleeper {
	s := borrow()
	if s == nil {
		return Sleeper{}
	}
	runtime.LockOSThread()
	if s.Announce(e) != nil {
		runtime.UnlockOSThread()
		giveBack(s)
		return Sleeper{}
	}
	return Sleeper{s}
}

// Wake takes the announcement back.
func (s Sleeper) Wake() {
	if s.s == nil {
		return
	}
	s.s.Retract()
	runtime.UnlockOSThread()
	giveBack(s.s)
}

func borrow() *sys.RobustSleeper {
	idle.Lock()
	defer idle.Unlock()
	if last := len(idle.sleepers) - 1; last >= 0 {
		s := idle.sleepers[last]
		idle.sleepers = idle.sleepers[:last]
		return s
	}
	s, err := sys.NewRobustSleeper(mutexOffset)
	if err != nil {
		return nil
	}
	return s
}

func giveBack(s *sys.RobustSleeper) {
	idle.Lock()
	defer idle.Unlock()
	idle.sleepers = append(idle.sleepers, s)
}
