//go:build linux && (amd64 || arm64)

package sys

import (
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/mem"
)

// IoUring is an io_uring for futex waits. All its methods must be called on the
// thread that has made it: the kernel runs completions there
// (IORING_SETUP_SINGLE_ISSUER and _DEFER_TASKRUN) and refuses others with
// EEXIST; and when that thread ends, its requests are cancelled.
//
// The kernel reads a word when it takes the request, and afterwards only knows
// its address: words may be unmapped while a wait is pending.
type IoUring struct {
	fd    int
	rings []byte // submission and completion ring
	sqes  []sqe
	cqes  []cqe

	// In the rings. We write sqTail and cqHead, the kernel the others.
	sqTail, sqFlags, cqHead, cqTail *uint32

	queued uint32         // prepared and not yet submitted
	last   unsafe.Pointer // a word: to store it here keeps words off the stack, which may move
}

// NewIoUring makes a ring for about entries requests a submission and
// completions pending completions (more are kept by the kernel, at its expense).
// The error is that of io_uring_setup(2) or mmap(2), or ENOTSUP for a kernel
// without what it needs.
func NewIoUring(entries, completions uint32) (*IoUring, error) {
	p := IoUringParams{
		CQEntries: completions,
		Flags:     IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
	}
	fd, err := IoUringSetup(entries, &p)
	if err != nil {
		return nil, err
	}
	r := &IoUring{fd: fd}
	const need = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG
	if p.Features&need != need {
		r.Close()
		return nil, unix.ENOTSUP
	}
	if err := r.mmap(&p); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// mmap maps the rings. A child made by fork(2) must not inherit them: it would
// share them with us.
func (r *IoUring) mmap(p *IoUringParams) error {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	size := max(uintptr(p.sq.array)+4*uintptr(p.SQEntries), uintptr(p.cq.cqes)+unsafe.Sizeof(cqe{})*uintptr(p.CQEntries))
	ring, err := unix.MmapPtr(r.fd, ioringOffRing, nil, size, prot, flags)
	if err != nil {
		return err
	}
	r.rings = unsafe.Slice((*byte)(ring), size)
	sqes, err := unix.MmapPtr(r.fd, ioringOffSQEs, nil, unsafe.Sizeof(sqe{})*uintptr(p.SQEntries), prot, flags)
	if err != nil {
		return err
	}
	r.sqes = unsafe.Slice((*sqe)(sqes), p.SQEntries)
	for _, b := range [][]byte{r.rings, unsafe.Slice((*byte)(sqes), len(r.sqes)*int(unsafe.Sizeof(sqe{})))} {
		if err := unix.Madvise(b, unix.MADV_DONTFORK); err != nil {
			return err
		}
	}
	word := func(offset uint32) *uint32 { return (*uint32)(unsafe.Add(ring, offset)) }
	r.sqTail, r.sqFlags, r.cqHead, r.cqTail = word(p.sq.tail), word(p.sq.flags), word(p.cq.head), word(p.cq.tail)
	r.cqes = unsafe.Slice((*cqe)(unsafe.Add(ring, p.cq.cqes)), p.CQEntries)
	// The ring holds indexes of entries; entry i always stands at place i.
	for i := range p.SQEntries {
		*word(p.sq.array + 4*i) = i
	}
	return nil
}

// Close gives the ring up; the kernel cancels what is pending.
func (r *IoUring) Close() error {
	if r.sqes != nil {
		unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(r.sqes)), uintptr(len(r.sqes))*unsafe.Sizeof(sqe{}))
	}
	if r.rings != nil {
		unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(r.rings)), uintptr(len(r.rings)))
	}
	return unix.Close(r.fd)
}

// Room returns how many requests can be prepared before [IoUring.Enter].
func (r *IoUring) Room() int { return len(r.sqes) - int(r.queued) }

// WaitShared prepares a futex wait on a word that processes share. Its
// completion carries data and 0 (woken), -EAGAIN (the word is not val),
// -ECANCELED, -EFAULT (not mapped) or another error.
// Preconditions: Room is not 0, as for the other two; the caller keeps a word of
// the Go heap alive.
func (r *IoUring) WaitShared(w *mem.Uint32, val uint32, data uint64) {
	r.last = w.Pointer()
	r.prepare(sqe{opcode: opFutexWait, fd: futex2U32, addr: address(w.Pointer()), addr2: uint64(val), addr3: FutexAnyBit, userData: data})
}

// WaitPrivate is [IoUring.WaitShared] for a word of this process alone. The
// caller keeps it alive.
func (r *IoUring) WaitPrivate(w *atomic.Uint32, val uint32, data uint64) {
	r.last = unsafe.Pointer(w)
	r.prepare(sqe{opcode: opFutexWait, fd: futex2U32 | futex2Private, addr: address(unsafe.Pointer(w)), addr2: uint64(val),
		addr3: FutexAnyBit, userData: data})
}

// Cancel prepares the cancellation of the wait with the given data. Its own
// completion carries data; 0 (found) or -ENOENT (completed already).
func (r *IoUring) Cancel(wait, data uint64) {
	r.prepare(sqe{opcode: opAsyncCancel, fd: -1, addr: wait, userData: data})
}

func (r *IoUring) prepare(e sqe) {
	tail := *r.sqTail + r.queued // only we write the tail
	r.sqes[tail&uint32(len(r.sqes)-1)] = e
	r.queued++
}

// Enter submits what was prepared, and then waits for one completion, for the
// given time at most; a timeout of 0 does not wait, nil waits without end. What
// could not be submitted stays prepared. Errors are those of [IoUringEnter];
// EBADR says that the kernel had no memory to keep a completion.
func (r *IoUring) Enter(timeout *unix.Timespec) error {
	// Publishes the entries; pairs with the kernel's acquiring load of the tail.
	atomic.StoreUint32(r.sqTail, *r.sqTail+r.queued)
	want := uint32(1)
	if timeout != nil && *timeout == (unix.Timespec{}) || r.Pending() {
		want = 0
	}
	// With GETEVENTS the kernel also runs deferred completions and hands over
	// what did not fit into the completion ring.
	n, err := IoUringEnter(r.fd, r.queued, want, IORING_ENTER_GETEVENTS|IORING_ENTER_EXT_ARG, timeout)
	if err != nil {
		n = 0
	}
	r.queued -= uint32(n)
	atomic.StoreUint32(r.sqTail, *r.sqTail-r.queued)
	return err
}

// Pending reports whether a completion can be had without waiting.
func (r *IoUring) Pending() bool {
	return *r.cqHead != atomic.LoadUint32(r.cqTail) || atomic.LoadUint32(r.sqFlags)&ioringSQOverflow != 0
}

// Next takes one completion from the ring: the request's data, and its result,
// a number or a negative errno.
func (r *IoUring) Next() (data uint64, result int, ok bool) {
	head := *r.cqHead // only we write the head
	// Pairs with the kernel's releasing store: the entry is complete.
	if head == atomic.LoadUint32(r.cqTail) {
		return 0, 0, false
	}
	e := r.cqes[head&uint32(len(r.cqes)-1)]
	// Gives the place back; pairs with the kernel's load of the head.
	atomic.StoreUint32(r.cqHead, head+1)
	return e.userData, int(e.res), true
}

// Errno returns the error in the result of a completion, 0 for none.
func Errno(result int) syscall.Errno {
	if result >= 0 {
		return 0
	}
	return syscall.Errno(-result)
}
