// Package shm shares memory between processes: one type of segment over
// everything that the system calls shared memory, with the care that the plain
// calls leave to their users.
//
//	process A                      kernel                      process B
//	seg.Bytes() ──▶ [ same pages ] ◀── sysv:0x1234 /ticks ──▶ [ same pages ] ◀── seg.Bytes()
//	                                   file:PATH memfd:NAME
//
// An address names the object: "/name" or "posix:/name" (shm_open), "sysv:0x1234"
// and "sysv-id:7" (shmget), "file:PATH" (a mapped file), "memfd:NAME" (anonymous,
// handed over with [Segment.Send]). C programs find what Go made, and the other
// way round; nothing is added to the bytes.
//
//	seg, err := shm.Create("/ticks", 1<<20, nil) // exclusive, 0600, memory reserved
//	copy(seg.Bytes(), "Hello, Shared Memory!")
//	seg.Close()                                  // the object stays
//	shm.Remove("/ticks")                         // until somebody removes it
//
// What the package takes care of:
//
//   - A new object appears complete or not at all: sized, with its mode, its
//     memory reserved. (It is built without a name and then linked into place; a
//     creator that dies half-way leaves nothing.) System V segments appear at
//     once, as shmget makes them.
//   - A full /dev/shm is an error at creation that says what to do, never SIGBUS
//     later.
//   - Modes are exactly those asked for; the default lets only the owner in.
//   - A peer that makes an object shorter causes an error in ReadAt, WriteAt and
//     under [Segment.Guard], not the end of the program.
//   - Close waits for borrowed views.
//
// What it cannot do: order the accesses of several processes. Two that touch the
// same bytes need atomics or locks.
//
// Linux on x86-64 and arm64; elsewhere everything returns an error that is
// errors.ErrUnsupported.
package shm
