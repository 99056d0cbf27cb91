//go:build linux && (amd64 || arm64)

package park

import (
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

// groupSize is how many words one thread watches beside its control word.
const groupSize = sys.FutexWaitvMax - 1

// waitv is the futex_waitv backend: threads that watch a group of words each.
// Its fields are guarded by the hub's mutex.
type waitv struct {
	groups []*waitvGroup // that have threads
}

// waitvGroup is the words of one thread. All fields but control are guarded by
// the hub's mutex.
type waitvGroup struct {
	members []*Watch
	asleep  bool          // the thread sleeps, or is about to, and must be woken to look here
	queued  bool          // it is in the kernel, or on its way
	taken   []*mem.Uint32 // words of watches stopped meanwhile

	control atomic.Uint32 // changing it wakes the thread
}

func (v *waitv) add(x *Watch) {
	i := slices.IndexFunc(v.groups, func(g *waitvGroup) bool { return len(g.members) < groupSize })
	if i < 0 {
		i = len(v.groups)
		v.groups = append(v.groups, new(waitvGroup))
		go v.run(v.groups[i])
	}
	x.group = v.groups[i]
	x.group.members = append(x.group.members, x)
	x.group.rouse()
}

func (v *waitv) remove(x *Watch) {
	g := x.group
	if i := slices.Index(g.members, x); i >= 0 {
		g.members = slices.Delete(g.members, i, i+1)
		if g.queued {
			g.taken = append(g.taken, x.w)
		}
		g.rouse()
	}
}

// rescue has the thread look.
func (v *waitv) rescue(x *Watch) { x.group.rouse() }

// rouse wakes the group's thread if it sleeps.
func (g *waitvGroup) rouse() {
	if g.asleep {
		g.asleep = false
		g.control.Add(1)
		sys.FutexWakePrivate(&g.control, 1)
	}
}

// run watches a group until it has been empty for a while.
func (v *waitv) run(g *waitvGroup) {
	debug.SetPanicOnFault(true)
	var (
		waiters [sys.FutexWaitvMax]sys.FutexWaiter
		known   []*Watch // those in waiters, after the control word
		fired   []*Watch
		idle    time.Time
	)
	for {
		shared.mu.Lock()
		known = append(known[:0], g.members...)
		var deadline *unix.Timespec
		switch {
		case len(known) > 0:
			idle = time.Time{}
		case idle.IsZero():
			idle = time.Now()
			fallthrough
		default:
			left := linger - time.Since(idle)
			if left <= 0 {
				if i := slices.Index(v.groups, g); i >= 0 {
					v.groups = slices.Delete(v.groups, i, i+1)
				}
				shared.mu.Unlock()
				return
			}
			ts := after(left)
			deadline = &ts
		}
		// The control word comes first: of several words that were woken the kernel
		// names the last.
		waiters[0].Private(&g.control, g.control.Load())
		for i, x := range known {
			waiters[i+1].Shared(x.w, x.val)
		}
		g.asleep, g.queued = true, true
		shared.mu.Unlock()

		woken, err := sys.FutexWaitv(waiters[:len(known)+1], deadline)

		shared.mu.Lock()
		g.asleep, g.queued = false, false
		for _, w := range g.taken {
			handOn(w)
		}
		g.taken = g.taken[:0]
		gone := false
		for i, x := range known {
			switch {
			case x.state != armed:
				gone = true
			case err == nil && woken == i+1 || x.changed():
				// The last that was woken is named: the control word, if no other.
				x.lost = x.rescued && err == nil && woken == 0
				fired = shared.fire(x, fired)
			}
		}
		g.members = slices.DeleteFunc(g.members, func(x *Watch) bool { return x.state != armed })
		shared.mu.Unlock()

		switch {
		case len(fired) > 0:
			call(fired)
			clear(fired)
			fired = fired[:0]
			runtime.Gosched() // let them run before we sleep on this P
		case err == unix.EFAULT && gone: // a word that was stopped, and then unmapped
		case err != nil && err != unix.EAGAIN && err != unix.EINTR && err != unix.ETIMEDOUT:
			time.Sleep(confirm) // for want of memory, for instance
		}
		clear(known)
	}
}
