// Package sysv is System V interprocess communication one to one: shared
// memory, semaphore sets and message queues as shmget(2), semget(2), msgget(2)
// and their relatives give them, with Go's types, errors and contexts.
//
// An ordinary C program that calls shmget(0x1234, 1024, 0600) and a Go program
// that calls ShmGet(0x1234, 1024, 0o600) see the same bytes. Nothing is added
// to the objects and nothing is hidden; for a friendlier segment over any kind
// of shared memory see package shm.
//
// # The calls
//
//	             shared memory            semaphores                  messages
//	get          ShmGet                   SemGet                      MsgGet
//	use          ShmAt, ShmDt             SemID.Op, TimedOp,          MsgID.Send, Receive,
//	                                      OpContext                   SendContext, ReceiveContext
//	ctl
//	 IPC_STAT    ShmID.Stat               SemID.Stat                  MsgID.Stat
//	 IPC_SET     ShmID.Set                SemID.Set                   MsgID.Set
//	 IPC_RMID    ShmID.Remove             SemID.Remove                MsgID.Remove
//	 IPC_INFO    ShmLimits                SemLimits                   MsgLimits
//	 *_INFO      ShmUsage                 SemUsage                    MsgUsage
//	 *_STAT_ANY  ShmList                  SemList                     MsgList
//	 others      ShmID.Lock, Unlock       SemID.Value, SetValue,
//	                                      All, SetAll, PID,
//	                                      NCount, ZCount
//	key          Ftok, ParseKey: one name space of keys for each of the three kinds
//
// # Life of an object
//
//	Key --get--> ID --at/op/send--> in use
//	              |
//	              Remove: the key is free at once. Segments live on until the last
//	              process has detached; sets and queues are gone, and whoever sleeps
//	              in them wakes with EIDRM.
//
// System V objects belong to the kernel, not to a process: they stay until they
// are removed or the machine stops. All of them, and their limits, are per IPC
// namespace: containers usually do not see each other's.
//
// # Permissions
//
// The low nine bits of the [Flag] given to a get function are the mode of a
// new object, exactly as asked: the umask does not apply. On an existing object
// they are the access that the caller wants, and EACCES is the answer if it
// cannot have it; 0 asks for nothing and always succeeds. Owner and creator may
// both change and remove an object.
//
// # Errors
//
// Every error is an [*Error], which names the call and the object, wraps the
// system's error number and, where it can, says what to do next. errors.Is
// works with [io/fs.ErrExist], [io/fs.ErrNotExist] (also for EIDRM),
// [io/fs.ErrPermission], [os.ErrDeadlineExceeded] for a time-out, the errors of
// a context, and every [syscall.Errno]. An id that has never existed or no
// longer does is EINVAL; the kernel makes no difference. EINTR never comes out.
//
// # Concurrency
//
// Everything here may be called by any number of goroutines at once. A call
// that sleeps occupies an operating system thread while it does.
//
// # Platforms
//
// Linux on x86-64 and arm64. Elsewhere everything compiles, and every call
// fails with an error that is [errors.ErrUnsupported].
package sysv
