//go:build linux && (amd64 || arm64)

package sys

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags of io_uring_setup(2) and io_uring_enter(2). Source: <linux/io_uring.h>.
const (
	IORING_SETUP_CQSIZE        = 1 << 3
	IORING_SETUP_SINGLE_ISSUER = 1 << 12 // Linux 6.0
	IORING_SETUP_DEFER_TASKRUN = 1 << 13 // Linux 6.1

	IORING_ENTER_GETEVENTS = 1 << 0
	IORING_ENTER_EXT_ARG   = 1 << 3

	IORING_FEAT_SINGLE_MMAP = 1 << 0
	IORING_FEAT_NODROP      = 1 << 1
	IORING_FEAT_EXT_ARG     = 1 << 8

	ioringSQOverflow = 1 << 1 // IORING_SQ_CQ_OVERFLOW, a flag in the submission ring

	ioringOffRing = 0          // IORING_OFF_SQ_RING, both rings with IORING_FEAT_SINGLE_MMAP
	ioringOffSQEs = 0x10000000 // IORING_OFF_SQES

	opAsyncCancel = 14 // IORING_OP_ASYNC_CANCEL
	opFutexWait   = 51 // IORING_OP_FUTEX_WAIT, Linux 6.7
)

// IoUringParams is struct io_uring_params: what is wanted of a ring, and where
// the kernel has put its parts.
type IoUringParams struct {
	SQEntries, CQEntries uint32
	Flags                uint32
	sqThreadCPU          uint32
	sqThreadIdle         uint32
	Features             uint32
	wqFD                 uint32
	_                    [3]uint32
	sq                   sqOffsets
	cq                   cqOffsets
}

// sqOffsets is struct io_sqring_offsets.
type sqOffsets struct {
	head, tail, mask, entries, flags, dropped, array, _ uint32
	_                                                   uint64
}

// cqOffsets is struct io_cqring_offsets.
type cqOffsets struct {
	head, tail, mask, entries, overflow, cqes, flags, _ uint32
	_                                                   uint64
}

// sqe is struct io_uring_sqe, as the two operations use it:
//
//	          futex wait               cancel
//	 0 opcode 51                       14
//	 4 fd     size and scope of word   -1
//	 8 addr2  the value expected       0
//	16 addr   the word                 the user data of the request to cancel
//	28 flags  0                        0: match by user data
//	32 user   request                  request
//	48 addr3  which wakes reach it     0
type sqe struct {
	opcode   uint8
	sqeFlags uint8
	ioprio   uint16
	fd       int32
	addr2    uint64
	addr     uint64
	length   uint32
	opFlags  uint32
	userData uint64
	_        [2]uint32
	addr3    uint64
	_        uint64
}

// cqe is struct io_uring_cqe.
type cqe struct {
	userData uint64
	res      int32
	flags    uint32
}

// geteventsArg is struct io_uring_getevents_arg.
type geteventsArg struct {
	sigmask   uint64
	sigmaskSz uint32
	_         uint32
	ts        *unix.Timespec
}

const (
	_ = uint(unsafe.Sizeof(IoUringParams{}) - 120)
	_ = uint(120 - unsafe.Sizeof(IoUringParams{}))
	_ = uint(unsafe.Offsetof(IoUringParams{}.Features) - 20)
	_ = uint(20 - unsafe.Offsetof(IoUringParams{}.Features))
	_ = uint(unsafe.Offsetof(IoUringParams{}.sq) - 40)
	_ = uint(40 - unsafe.Offsetof(IoUringParams{}.sq))
	_ = uint(unsafe.Offsetof(IoUringParams{}.cq) - 80)
	_ = uint(80 - unsafe.Offsetof(IoUringParams{}.cq))
	_ = uint(unsafe.Offsetof(sqOffsets{}.array) - 24)
	_ = uint(24 - unsafe.Offsetof(sqOffsets{}.array))
	_ = uint(unsafe.Offsetof(cqOffsets{}.cqes) - 20)
	_ = uint(20 - unsafe.Offsetof(cqOffsets{}.cqes))

	_ = uint(unsafe.Sizeof(sqe{}) - 64)
	_ = uint(64 - unsafe.Sizeof(sqe{}))
	_ = uint(unsafe.Offsetof(sqe{}.fd) - 4)
	_ = uint(4 - unsafe.Offsetof(sqe{}.fd))
	_ = uint(unsafe.Offsetof(sqe{}.addr2) - 8)
	_ = uint(8 - unsafe.Offsetof(sqe{}.addr2))
	_ = uint(unsafe.Offsetof(sqe{}.addr) - 16)
	_ = uint(16 - unsafe.Offsetof(sqe{}.addr))
	_ = uint(unsafe.Offsetof(sqe{}.opFlags) - 28)
	_ = uint(28 - unsafe.Offsetof(sqe{}.opFlags))
	_ = uint(unsafe.Offsetof(sqe{}.userData) - 32)
	_ = uint(32 - unsafe.Offsetof(sqe{}.userData))
	_ = uint(unsafe.Offsetof(sqe{}.addr3) - 48)
	_ = uint(48 - unsafe.Offsetof(sqe{}.addr3))

	_ = uint(unsafe.Sizeof(cqe{}) - 16)
	_ = uint(16 - unsafe.Sizeof(cqe{}))
	_ = uint(unsafe.Offsetof(cqe{}.res) - 8)
	_ = uint(8 - unsafe.Offsetof(cqe{}.res))

	_ = uint(unsafe.Sizeof(geteventsArg{}) - 24)
	_ = uint(24 - unsafe.Sizeof(geteventsArg{}))
	_ = uint(unsafe.Offsetof(geteventsArg{}.ts) - 16)
	_ = uint(16 - unsafe.Offsetof(geteventsArg{}.ts))
)

// IoUringSetup is io_uring_setup(2). The descriptor is close-on-exec. EPERM is
// kernel.io_uring_disabled or a seccomp filter, ENOSYS a kernel or a sandbox
// without, EINVAL one that does not know the flags.
func IoUringSetup(entries uint32, params *IoUringParams) (int, error) {
	r, _, errno := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(params)), 0)
	return result(r, errno)
}

// IoUringEnter is io_uring_enter(2): it submits, and then waits for at least
// minComplete completions, for the given time at most (nil: without end; then
// ETIME). It returns how many requests were submitted. It sleeps, and returns
// EINTR after a signal.
// Preconditions: flags has IORING_ENTER_EXT_ARG.
func IoUringEnter(fd int, submit, minComplete, flags uint32, timeout *unix.Timespec) (int, error) {
	arg := geteventsArg{ts: timeout}
	r, _, errno := syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(fd), uintptr(submit), uintptr(minComplete), uintptr(flags),
		uintptr(unsafe.Pointer(&arg)), unsafe.Sizeof(arg))
	return result(r, errno)
}
