// Package posix offers the POSIX calls for shared memory, message queues,
// semaphores and robust mutexes, one to one, in Go clothes. It sees the same
// objects as any C program on the machine: the same names, the same permissions,
// the same errors.
//
//	C                               Go
//	shm_open(name, flags, mode)     ShmOpen(name, flag, perm)
//	shm_unlink(name)                ShmUnlink(name)
//	ftruncate(fd, size)             (*os.File).Truncate(size)
//	posix_fallocate(fd, off, len)   Fallocate(f, off, n)
//	mmap(…, MAP_SHARED, fd, off)    Mmap(f, off, length, prot)
//	msync(p, len, MS_SYNC)          Msync(b)
//	munmap(p, len)                  Munmap(b)
//	mq_open(name, flags, mode, a)   MQOpen(name, flag, perm, attr)
//	mq_send, mq_timedsend           (*MQ).Send(ctx, data, priority), TrySend
//	mq_receive, mq_timedreceive     (*MQ).Receive(ctx, buf), TryReceive
//	mq_getattr, mq_close            (*MQ).Attr, Close
//	mq_unlink(name)                 MQUnlink(name)
//	sem_open(name, flags, mode, v)  SemOpen(name, flag, perm, value)
//	sem_unlink(name)                SemUnlink(name)
//	sem_init(sem, 1, v)             SemInit(b, offset, value); SemAt(b, offset) for those who join
//	sem_wait, sem_trywait           (*Sem).Wait, TryWait
//	sem_timedwait, sem_clockwait    (*Sem).TimedWait(deadline), WaitContext(ctx)
//	sem_post, sem_getvalue          (*Sem).Post, Value
//	sem_close                       (*Sem).Close
//	pthread_mutex_init(m, attr)     MutexInit(b, offset, type); MutexAt(b, offset) for those who join
//	pthread_mutex_lock, trylock     (*Mutex).Lock, TryLock
//	pthread_mutex_timedlock         (*Mutex).LockContext(ctx)
//	pthread_mutex_unlock            (*Mutex).Unlock
//	pthread_mutex_consistent        (*Mutex).MarkConsistent
//
// This is the thin layer: umask applies, a new object has size 0, and touching
// a page past its end is SIGBUS. Package shm builds the careful one on top:
// objects that appear complete, with their memory reserved.
//
// Errors are [*fs.PathError] with the call's C name as Op and the object's name
// as Path, so errors.Is works with fs.ErrExist, fs.ErrNotExist,
// fs.ErrPermission and every syscall.Errno.
//
// Semaphores and mutexes are memory, not system calls, and their format belongs
// to the C library: here it is that of glibc on 64-bit machines. musl's differs.
//
// Linux only (x86-64 and arm64); elsewhere every call returns an error that is
// errors.ErrUnsupported.
package posix
