// Package pshared has the synchronization that shared memory requires: a
// [Mutex], [RWMutex], [Cond], [Semaphore], [Event], [Barrier] and [Once] that lie
// in shared memory and work between any goroutines of any processes.
//
// They are robust. A process may be killed while it holds a lock, at any
// instruction: the others learn it from the kernel within about a millisecond,
// without polling, a daemon or a clock, and go on.
//
//	mu, err := pshared.OpenMutex("accounts")
//	if err != nil { … }
//	defer mu.Close()
//
//	switch err := mu.Lock(); {
//	case errors.Is(err, pshared.ErrOwnerDied): // we hold the lock
//		mend()                             // what the dead owner may have left half-done
//		mu.MarkConsistent()
//	case err != nil:
//		return err
//	}
//	defer mu.Unlock()
//
// # Named, or in a segment of yours
//
// OpenMutex("accounts") opens the Shoal object of that name and makes it if
// there is none; so does every Open function here. [Options] have the same
// functions, for another mode or more members.
//
// All of them can also be placed in a segment of package shm, beside the data
// that they guard. The segment then holds a table of [Members], which every
// process joins first, and the primitives lie where the program says:
//
//	 0              MembersFootprint(0)      +MutexFootprint
//	 +--------------+------------------------+---------------- …
//	 | Members      | Mutex                  | your data
//	 +--------------+------------------------+---------------- …
//
//	m, err := pshared.Join(seg, 0, 0)                         // the first one makes the table
//	mu, err := pshared.InitMutex(m, pshared.MembersFootprint(0)) // by one process, once
//	mu, err := pshared.JoinMutex(m, pshared.MembersFootprint(0)) // by the others
//
// Offsets are multiples of 64. The memory must be zero before Init.
//
// # Death
//
// A member that has died, or has left, loses whatever it held: a lock passes to
// the next one who asks, with ErrOwnerDied where the data may be half-changed;
// read locks, permits and places in a barrier are free again. A process that is
// only stopped (SIGSTOP, a debugger, a long pause) keeps everything, however
// long.
//
// # Cost
//
// Without contention nothing enters the kernel: a Lock and its Unlock are one
// compare-and-swap each. A goroutine that has to wait spins for some
// microseconds and then sleeps in the kernel; the first few of a process each in
// a thread of its own, for the lowest latency, all others together in one.
//
// # Errors
//
// Besides its own sentinels this package returns those of package shm
// (shm.ErrCorrupt where a word in shared memory cannot be what it says,
// shm.ErrVersion, shm.ErrKind, shm.ErrClosed) and the errors of contexts. All of
// them come with operation and object, as [*shm.Error].
//
// Linux on x86-64 and arm64; elsewhere opening fails with errors.ErrUnsupported.
package pshared
