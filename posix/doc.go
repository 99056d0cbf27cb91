// Package posix offers the POSIX calls for shared memory and message queues,
// one to one, in Go clothes. It sees the same objects as any C program on the
// machine: the same names, the same permissions, the same errors.
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
//
// This is the thin layer: umask applies, a new object has size 0, and touching
// a page past its end is SIGBUS. Package shm builds the careful one on top:
// objects that appear complete, with their memory reserved.
//
// Errors are [*fs.PathError] with the call's C name as Op and the object's name
// as Path, so errors.Is works with fs.ErrExist, fs.ErrNotExist,
// fs.ErrPermission and every syscall.Errno.
//
// Linux only (x86-64 and arm64); elsewhere every call returns an error that is
// errors.ErrUnsupported.
package posix
