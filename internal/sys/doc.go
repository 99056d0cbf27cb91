// Package sys holds the system calls that golang.org/x/sys/unix lacks, and the
// kernel structures that they exchange.
//
// It is a thin layer: one function for one system call, plain integers and
// slices in and out, errors as bare [syscall.Errno] values. Nothing is retried
// here, not even after EINTR, and nothing is explained: names, advice and
// patience belong to the packages above (sysv, posix, pshared).
//
// The other purpose of the package is to fence in package unsafe. Whatever
// must turn an address into memory, or a Go value into a pointer for the
// kernel, does it here, so that the packages above need no unsafe code.
//
// Every structure that the kernel reads or writes has its size and its offsets
// asserted at compile time. A wrong field does not build.
//
// # Blocking
//
// Calls that can sleep (semtimedop, msgsnd, msgrcv) go through
// [syscall.Syscall], which tells the scheduler, so that other goroutines run
// on. Each sleeping call occupies one operating system thread. The short ones
// go the same way: a System V call may have to wait for a lock inside the
// kernel, and a raw call that waits would hold up the garbage collector.
package sys
