// Package demo tells the story of shared memory with real processes: it is what
// "shoal demo" runs.
//
//	before      which shared objects the machine has
//	1 System V  a writer puts a message at key 0x1234 and ends; a reader finds it
//	2 POSIX     the same with /my_shm, and a semaphore instead of a race
//	3 transfer  256 MiB from process to process, checked, and timed beside a pipe
//	4 lock      one of three dies in a lock, by SIGKILL; the others go on
//	after       the same objects as before, and nothing else
//
// # How it works
//
// The processes are this very executable again. An environment variable tells
// them their role, and [Role], the first statement of main, plays it. Everything
// that happens reaches the demo as one stream of events, a pipe that all of its
// processes write to: what they say, how they end, and that the user wants it
// stopped. Since a pipe keeps order, the story is printed in the order in which
// it took place.
//
//	       start, kill
//	demo ---------------> writer, reader, sender, receiver,
//	  ^                     |     |     victim, workers
//	  |                     |     +--- I make this --> warden: removes it when
//	  +------- events ------+                          all others have ended
//
// A chapter is a file with a function and its roles, and a line in each of the
// tables chapters and roles.
//
// # Whatever happens
//
// Names that exist on the machine are left alone: everything is created
// exclusively. A process called the warden knows what is made, and removes what
// is left of it when all other processes have ended: normally nothing, and
// everything after an interruption (SIGINT, SIGTERM, SIGHUP, a closed standard
// output), a failure, or SIGKILL. Killed, the demo takes its other processes with
// it; if it is the warden that is killed, the demo removes what there is, and
// ends. Only if both are killed is something left, for the next run to find.
//
// There is no instant at which a kill goes unnoticed: the warden is told first,
// and then the object is made. So that nobody else's object is removed which has
// come to the name meanwhile, it is told something that only this one can have:
//
//	/my_shm, /shoal-demo-PID   the inode, which is there before its name is
//	sysv:0x1234                who makes it: the kernel keeps the maker's pid, and
//	                           the warden keeps the pid from being used again
//	semaphores                 nothing: they lie in memory without a name, which
//	                           the kernel frees with the last process that has it
package demo

import (
	"context"
	"io"
)

// Options say where the story goes. Both writers are needed.
type Options struct {
	Stdout io.Writer // the story: plain text, at most 80 columns
	Stderr io.Writer // what the processes say when they crash; nothing else
}

// Run tells the story, in a few seconds, and returns nil if everything in it
// came true. When it returns, its processes have ended and its objects are gone;
// what could not be removed is part of the error.
//
// The error is [io/fs.ErrExist] if a name that the story needs is taken, a
// context's if ctx was cancelled or the user interrupted the demo, and
// [errors.ErrUnsupported] elsewhere than on Linux. The program must call [Role]
// first thing in main. One Run at a time: the names are fixed.
func Run(ctx context.Context, opts Options) error { return run(ctx, opts) }

// Role plays the role that this process was started for by [Run], and ends the
// process. In any other process it does nothing and returns false.
func Role() bool { return role() }
