// Package park puts goroutines to sleep until a word in shared memory changes,
// and wakes those who sleep in other processes.
//
// From the ground up:
//
//   - [Wait], [Wake] and [WakeAll] are the futex(2) calls for goroutines: with a
//     context, and without a thread for each of thousands of sleepers.
//   - [NewWatch] calls a function when a word changes. Any number of words cost
//     one thread, or few: the shared waiter.
//   - [EventCount] is a word made for waiting: whoever publishes something pays
//     one load when nobody sleeps.
//   - [Spinner] looks a while before anybody sleeps, as long as it is worth it.
//
// # How a goroutine sleeps
//
// A thread in futex(2) is the fastest sleeper, and costs a thread. The first
// few sleepers of a process ([directSleepers]) get one each. Those who come while
// all of these are taken go to the shared waiter, which needs one more thread
// switch to wake them. It has one of three backends, chosen when it is first used:
//
//	io_uring      one thread for any number of words. Linux 6.7, and not
//	              everywhere allowed (kernel.io_uring_disabled, seccomp)
//	futex_waitv   one thread for 127 words. Linux 5.16
//	futex         one thread for each of 256 words; more are looked at every
//	              millisecond, or less often if there are thousands
//
// The environment variable SHOAL_PARK, with the value uring, waitv or futex, asks
// for one of them; what the kernel refuses still falls back to the next. [Backend]
// tells the outcome. Goroutines, and descriptors, of the shared waiter appear when
// there is something to watch, and are gone a tenth of a second after there is
// nothing; the threads go back to the Go runtime.
//
// # Lost wake-ups
//
// A waker changes the word and then calls the kernel. If it dies in between,
// those who sleep are not woken. So words that are slept on are looked at now
// and then (ten times a second for direct sleepers, once a second
// for the shared waiter). If a change has stood for 60 ms without a wake-up, the
// sleeper is woken and told that one was lost. Without kills that means that a
// waker was stopped or starved for so long between its two steps; it does not mean
// that the sleeper was slow to wake: with io_uring and futex_waitv the kernel says
// whether it slept still.
//
// The package holds no lock while it calls the functions that it is given, and
// never reads a word after the Wait or the Watch on it has ended.
package park
