// Package inspect is the read-only model of the shared objects of a machine:
// what there is, who made it, who uses it, and whether it is still of use. It is
// what shoal ls, stat, who and gc show.
//
//	s, err := inspect.Take()
//	for _, o := range s.Objects {
//		fmt.Println(o.Address, o.State, inspect.Judge(o, inspect.Policy{}).Reason)
//	}
//
// It sees the objects of every program: System V segments, semaphore sets and
// message queues, POSIX objects, named semaphores and message queues. Of Shoal's own
// it tells what they say of themselves: who takes part, who has what, and, of rings,
// topics and queues, what goes through them ([Flow]) and who is how far behind. Looking
// changes nothing, not even a time of last use.
//
// A picture is of one moment and of one IPC and mount namespace. Holders are
// those that /proc shows the caller: [Snapshot.Partial] says why that may not be
// all.
//
// Linux on x86-64 and arm64; elsewhere everything returns an error that is
// errors.ErrUnsupported.
package inspect
