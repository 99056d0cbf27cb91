package shm

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
)

// Segment is memory that this process shares with others: an open, mapped
// object. [Create], [Open], [OpenOrCreate], [Receive] and [FromFile] make one.
//
// Its methods may be called from any goroutine at any time. What is written to
// its bytes is another matter: they are memory like any other, and unordered
// access from several goroutines or processes is a data race.
//
// A Segment that is dropped without Close stays mapped until the process ends:
// slices of its bytes may be anywhere, so no garbage collector can decide.
type Segment struct {
	addr    Address
	obj     object
	options settings
	uses    borrows

	view atomic.Pointer[[]byte] // the newest mapping; nil once closed

	mu       sync.Mutex
	mappings [][]byte  // every mapping made, the newest last
	first    [1][]byte // where mappings starts

	closing sync.Once
}

// newSegment maps an open object whole. It owns obj from here on.
func newSegment(obj opened, s settings) (*Segment, error) {
	if obj.size == 0 {
		obj.close()
		return nil, ErrNotSized
	}
	b, err := obj.attach(obj.size, s)
	if err != nil {
		obj.close()
		return nil, err
	}
	seg := &Segment{addr: obj.addr, obj: obj.object, options: s, first: [1][]byte{b}}
	seg.mappings = seg.first[:]
	seg.view.Store(&seg.first[0])
	return seg, nil
}

// Address returns the address of the object.
func (s *Segment) Address() Address { return s.addr }

// Size returns how many bytes are mapped: the length of [Segment.Bytes].
func (s *Segment) Size() int { return len(s.Bytes()) }

// Bytes returns the whole segment. The slice is the memory itself: writes are
// seen by every process that has it mapped, at once. It is valid until Close;
// touching it afterwards ends the program. After Grow, Bytes returns the larger
// view, and slices of the smaller one stay good. After Close it returns nil.
//
// Where Close may run at the same time, use [Segment.Borrow]. Cost: two loads,
// one after the other, which a loop should leave outside; the bytes themselves
// cost what those of any slice do.
func (s *Segment) Bytes() []byte {
	if v := s.view.Load(); v != nil {
		return *v
	}
	return nil
}

// View is a borrowed view of a segment: Close waits until it is released.
type View struct {
	segment *Segment
	bytes   []byte
	done    atomic.Bool
}

// Borrow lends the segment's bytes until [View.Release]. It returns ErrClosed
// once Close has begun. A goroutine that closes the segment while it holds a
// view of it itself waits for ever.
func (s *Segment) Borrow() (*View, error) {
	if !s.uses.acquire() {
		return nil, fail("borrow", s.addr, ErrClosed)
	}
	return &View{segment: s, bytes: s.Bytes()}, nil
}

// Bytes returns the borrowed bytes, valid until Release, and nil after it.
func (v *View) Bytes() []byte {
	if v.done.Load() {
		return nil
	}
	return v.bytes
}

// Release gives the view back. Releasing twice is harmless.
func (v *View) Release() {
	if !v.done.Swap(true) {
		v.segment.uses.release()
	}
}

// ReadAt copies bytes from the segment (io.ReaderAt). It returns io.EOF when
// fewer than len(p) bytes remain, ErrClosed after Close, and ErrFault rather
// than a crash when a peer has made the object shorter.
func (s *Segment) ReadAt(p []byte, off int64) (n int, err error) {
	if !s.uses.acquire() {
		return 0, fail("read", s.addr, ErrClosed)
	}
	defer s.uses.release()
	b := s.Bytes()
	if off < 0 {
		return 0, failf("read", s.addr, syscall.EINVAL, "offset %d is negative", off)
	}
	if off >= int64(len(b)) {
		return 0, io.EOF
	}
	if err := s.guard("read", func() error { n = copy(p, b[off:]); return nil }); err != nil {
		return 0, err
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt copies bytes into the segment (io.WriterAt). It writes all of p or
// nothing: what does not fit is io.ErrShortWrite with the sizes named. It
// returns ErrReadOnly, ErrClosed and ErrFault as ReadAt does; after ErrFault a
// part of p may have been written.
func (s *Segment) WriteAt(p []byte, off int64) (n int, err error) {
	if !s.uses.acquire() {
		return 0, fail("write", s.addr, ErrClosed)
	}
	defer s.uses.release()
	if s.options.ReadOnly {
		return 0, fail("write", s.addr, ErrReadOnly)
	}
	b := s.Bytes()
	if off < 0 {
		return 0, failf("write", s.addr, syscall.EINVAL, "offset %d is negative", off)
	}
	if off > int64(len(b)) || int64(len(p)) > int64(len(b))-off {
		return 0, failf("write", s.addr, io.ErrShortWrite,
			"%d bytes at offset %d do not fit into %d", len(p), off, len(b))
	}
	if err := s.guard("write", func() error { n = copy(b[off:], p); return nil }); err != nil {
		return 0, err
	}
	return n, nil
}

// Flush writes a file segment's changes to its disk and waits (msync(2)). The
// other kinds have nothing behind their memory; for them it does nothing.
func (s *Segment) Flush() error {
	if !s.uses.acquire() {
		return fail("flush", s.addr, ErrClosed)
	}
	defer s.uses.release()
	return fail("flush", s.addr, s.obj.flush(s.Bytes()))
}

// Grow makes the segment at least size bytes long and maps all of it. The new
// bytes are zero, and reserved: a full /dev/shm is an error here, not a fault
// later. Slices taken before stay valid and show the same memory. Where another
// process has grown the object already, Grow only maps it; a size that is mapped
// already is no work at all.
//
// System V segments have a fixed size (errors.ErrUnsupported). If the memory
// runs out, the object may have grown by a part.
func (s *Segment) Grow(size int64) error {
	if !s.uses.acquire() {
		return fail("grow", s.addr, ErrClosed)
	}
	defer s.uses.release()
	s.mu.Lock()
	defer s.mu.Unlock()
	if size <= int64(s.Size()) {
		return nil
	}
	now, err := s.obj.size()
	if err != nil {
		return fail("grow", s.addr, err)
	}
	if now < size {
		if s.options.ReadOnly {
			return fail("grow", s.addr, ErrReadOnly)
		}
		if err := s.obj.grow(size); err != nil {
			return fail("grow", s.addr, err)
		}
		if now, err = s.obj.size(); err != nil {
			return fail("grow", s.addr, err)
		}
	}
	if now <= int64(s.Size()) { // a peer made it shorter in between
		return failf("grow", s.addr, ErrFault, "the object has only %d bytes now", now)
	}
	b, err := s.obj.attach(now, s.options)
	if err != nil {
		return fail("grow", s.addr, err)
	}
	s.mappings = append(s.mappings, b)
	s.view.Store(&b)
	return nil
}

// Stat describes the object as it is now.
func (s *Segment) Stat() (Info, error) {
	if !s.uses.acquire() {
		return Info{}, fail("stat", s.addr, ErrClosed)
	}
	defer s.uses.release()
	info, err := s.obj.stat()
	return info, fail("stat", s.addr, err)
}

// Remove takes the object's name away (shm_unlink, shmctl IPC_RMID, unlink).
// Every process that has it mapped, this one too, goes on using it; the memory
// is freed when the last one lets go. If the name has come to mean another
// object, that one is left alone and the error is fs.ErrNotExist. (The system
// cannot look and unlink in one step: a name that changes hands just between the
// two is lost.)
func (s *Segment) Remove() error {
	if !s.uses.acquire() {
		return fail("remove", s.addr, ErrClosed)
	}
	defer s.uses.release()
	return fail("remove", s.addr, s.obj.remove())
}

// Close unmaps the segment; the object stays, for others and for the next Open.
// It waits until every borrowed view has been released and every method that is
// at work has returned, and invalidates every slice of [Segment.Bytes]. Closing
// again waits for the first Close, and returns nil.
func (s *Segment) Close() (err error) {
	s.closing.Do(func() {
		s.uses.close()
		s.view.Store(nil)
		err = fail("close", s.addr, s.release())
	})
	return err
}

// release gives back what the segment has of the system.
func (s *Segment) release() (first error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.mappings {
		if err := s.obj.detach(b); err != nil && first == nil {
			first = err
		}
	}
	s.mappings = nil
	if err := s.obj.close(); err != nil && first == nil {
		first = err
	}
	return first
}

// String describes the segment for people: its address and size.
func (s *Segment) String() string {
	return fmt.Sprintf("%s (%s)", s.addr, formatBytes(int64(s.Size())))
}
