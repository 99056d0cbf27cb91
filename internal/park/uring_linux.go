//go:build linux && (amd64 || arm64)

package park

import (
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/sys"
)

// linger is how long threads of the shared waiter stay when there is nothing to
// watch: starting one costs about 100 µs.
const linger = 100 * time.Millisecond

// Sizes of the ring. Requests are submitted in batches of at most the first;
// completions beyond the second are kept by the kernel in memory that it
// allocates.
const (
	uringEntries     = 256
	uringCompletions = 4096
)

// uring is the io_uring backend: one thread, which alone touches the ring, and
// which carries out what the others write down here.
//
// Each watch has a slot from add until the kernel has completed its wait, which
// it does exactly once, whatever happens: woken, changed, cancelled. So a late
// completion never meets the next user of a slot.
//
// All fields but control are guarded by the hub's mutex.
type uring struct {
	running  bool // the thread has been started
	asleep   bool // it sleeps, or is about to, and must be woken to look here
	slots    []slot
	free     []int    // slots without a watch
	arm      []*Watch // to be given to the kernel
	disarm   []*Watch // stopped or rescued, to be taken back from it
	reopened time.Time

	control atomic.Uint32 // a futex in the ring, too: changing it wakes the thread
}

// slot is the place of a watch in the table. The kernel knows it by its index and
// generation.
type slot struct {
	x          *Watch
	word       *mem.Uint32
	generation uint32
	submitted  bool
}

// Data of requests: slots have their index in the low and their generation in the
// high half.
const (
	controlData = 1<<32 - 1
	cancelData  = 1<<32 - 2
)

func (u *uring) data(seat int) uint64 { return uint64(u.slots[seat].generation)<<32 | uint64(seat) }

func (u *uring) add(x *Watch) {
	if n := len(u.free); n > 0 {
		x.seat, u.free = u.free[n-1], u.free[:n-1]
	} else {
		x.seat, u.slots = len(u.slots), append(u.slots, slot{})
	}
	s := &u.slots[x.seat]
	s.x, s.word = x, x.w
	u.arm = append(u.arm, x)
	if !u.running {
		u.running = true
		go u.run()
	}
	u.rouse()
}

func (u *uring) remove(x *Watch) {
	if u.slots[x.seat].submitted {
		u.disarm = append(u.disarm, x)
		u.rouse()
	} // else its turn in u.arm frees the slot
}

// rescue cancels the wait. What the kernel answers tells whether it had ended.
func (u *uring) rescue(x *Watch) {
	if u.slots[x.seat].submitted {
		u.disarm = append(u.disarm, x)
		u.rouse()
	}
}

// rouse wakes the thread if it sleeps.
func (u *uring) rouse() {
	if u.asleep {
		u.asleep = false
		u.control.Add(1)
		sys.FutexWakePrivate(&u.control, 1)
	}
}

// release frees a slot of which the kernel knows nothing any more.
func (u *uring) release(seat int) {
	s := &u.slots[seat]
	*s = slot{generation: s.generation + 1}
	u.free = append(u.free, seat)
}

// run works on one thread until there is nothing to watch. The thread then goes
// back to the runtime: to end it would send a signal to children that were started
// on it with a parent-death signal (prctl(2), PR_SET_PDEATHSIG).
func (u *uring) run() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	debug.SetPanicOnFault(true)
	ring, err := sys.NewIoUring(uringEntries, uringCompletions)
	for err == nil {
		if err = u.serve(ring); err == nil {
			return
		}
		// The ring is of no use any more. Begin again with a new one, but not if
		// that has happened just now.
		shared.mu.Lock()
		again := time.Since(u.reopened) > time.Second
		if again {
			u.reopened = time.Now()
			u.reset()
			for _, x := range shared.armed {
				u.slots, x.seat = append(u.slots, slot{x: x, word: x.w}), len(u.slots)
				u.arm = append(u.arm, x)
			}
		}
		shared.mu.Unlock()
		if again {
			ring, err = sys.NewIoUring(uringEntries, uringCompletions)
		}
	}
	shared.mu.Lock()
	shared.fall(kindUring, err)
	shared.mu.Unlock()
}

// reset forgets all slots.
func (u *uring) reset() { u.slots, u.free, u.arm, u.disarm, u.asleep = nil, nil, nil, nil, false }

// serve works with one ring, which it closes. It returns nil, and the thread
// counts as ended, when there has been nothing to watch for a while.
func (u *uring) serve(ring *sys.IoUring) error {
	defer ring.Close()
	controlled := false // a wait on control is in the kernel
	var idle time.Time  // when the last slot was freed
	var fired []*Watch
	for {
		var timeout *unix.Timespec
		shared.mu.Lock()
		u.submit(ring)
		switch {
		case len(u.arm)+len(u.disarm) > 0: // no room: come back at once
			timeout = &unix.Timespec{}
		case len(u.free) < len(u.slots):
			idle = time.Time{}
		case idle.IsZero():
			idle = time.Now()
			fallthrough
		default:
			left := linger - time.Since(idle)
			if left <= 0 {
				u.reset()
				u.running = false
				shared.mu.Unlock()
				return nil
			}
			ts := unix.NsecToTimespec(int64(left))
			timeout = &ts
		}
		if timeout == nil || *timeout != (unix.Timespec{}) {
			u.asleep = true
			if !controlled {
				ring.WaitPrivate(&u.control, u.control.Load(), controlData)
				controlled = true
			}
		}
		shared.mu.Unlock()

		err := ring.Enter(timeout)

		shared.mu.Lock()
		u.asleep = false
		for {
			data, result, ok := ring.Next()
			if !ok {
				break
			}
			switch data & (1<<32 - 1) {
			case controlData:
				controlled = false
			case cancelData:
			default:
				fired = u.complete(data, sys.Errno(result), fired)
			}
		}
		shared.mu.Unlock()

		switch err {
		case nil, unix.EINTR, unix.ETIME, unix.EAGAIN, unix.EBUSY:
		default:
			call(fired)
			return err
		}
		if len(fired) > 0 {
			call(fired)
			clear(fired)
			fired = fired[:0]
			// Those who were called about run on this P. Let them, before the
			// next call takes it to sleep with us.
			runtime.Gosched()
		}
	}
}

// submit prepares what has been asked for, as far as there is room. One place
// is kept for the control word.
// Preconditions: the hub's mutex is held.
func (u *uring) submit(ring *sys.IoUring) {
	for len(u.disarm) > 0 && ring.Room() > 1 {
		x := u.disarm[0]
		u.disarm[0], u.disarm = nil, u.disarm[1:]
		// Its wait may have been completed meanwhile, and its slot reused.
		if s := &u.slots[x.seat]; s.x == x && s.submitted {
			ring.Cancel(u.data(x.seat), cancelData)
		}
	}
	for len(u.arm) > 0 && ring.Room() > 1 {
		x := u.arm[0]
		u.arm[0], u.arm = nil, u.arm[1:]
		if x.state != armed {
			u.release(x.seat)
			continue
		}
		u.slots[x.seat].submitted = true
		ring.WaitShared(x.w, x.val, u.data(x.seat))
	}
	if len(u.arm) == 0 {
		u.arm = nil // and its memory after a burst
	}
	if len(u.disarm) == 0 {
		u.disarm = nil
	}
}

// complete takes back a slot from the kernel.
// Preconditions: the hub's mutex is held.
func (u *uring) complete(data uint64, errno syscall.Errno, fired []*Watch) []*Watch {
	seat := int(data & (1<<32 - 1))
	if seat >= len(u.slots) || u.data(seat) != data {
		return fired // cannot happen: each wait completes once
	}
	s := &u.slots[seat]
	x, word := s.x, s.word
	switch {
	case x.state != armed:
		if errno == 0 {
			handOn(word)
		}
	case errno == unix.ECANCELED && x.rescued:
		x.lost = true
		fired = shared.fire(x, fired)
	case errno == unix.ENOMEM || errno == unix.EINTR || errno == unix.ECANCELED:
		// The kernel could not wait: once more.
		s.generation++
		s.submitted = false
		u.arm = append(u.arm, x)
		return fired
	default: // woken, changed, not mapped
		fired = shared.fire(x, fired)
	}
	u.release(seat)
	return fired
}
