// Package member knows who takes part in a shared object, and who has died.
//
// Every participant of an object owns a slot of its member table
// (layout.Members). Two facts of the kernel make that ownership certain:
//
//   - The verdict: the owner holds an open-file-description lock (fcntl(2),
//     F_OFD_SETLK) on one byte of the object's file. The kernel drops it when the
//     last thread of the process is gone, so a free lock means that the owner
//     will never store anything again. It knows no process id and no clock, and
//     works across containers.
//   - The bell: the slot's futex word is in the robust list of a keeper thread
//     (package keeper). When the process dies the kernel marks the word and wakes
//     a waiter, within microseconds. The bell may ring while another thread of
//     the dying process still runs; it only tells when to ask for the verdict.
//
// What a member takes (a lock, a message) it takes by writing its [layout.Owner]
// into a shared word: slot and epoch. When a member has died, whoever takes the
// lock of its slot first retires the epoch, with one store: from then on
// everything that the dead member had taken is void, whichever structure it is
// in and whether anybody has looked at it yet or not.
//
//	free(e) ──lock byte──▶ joining ──claim = active(e+1)──▶ active(e+1)
//	   ▲                                                        │
//	   │      leave:  claim = free(e+1), unlock                 │
//	   └──────────────────────────────────────────────────── ───┤
//	   ▲      death:  bell rings, kernel drops the lock,        │
//	   │              a survivor locks, repairs,                │
//	   └───────────── claim = free(e+1), unlocks ◀──────────────┘
//
// A stopped process (SIGSTOP, a debugger) keeps its lock and so its slot,
// however long it is stopped: no clock is consulted.
package member
