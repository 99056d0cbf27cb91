package shm

import (
	"fmt"
	"net"
	"os"
)

// Send hands the segment to the process at the other end of a unix socket: a
// descriptor travels with one byte of data (SCM_RIGHTS, unix(7)). That process
// takes it with [Receive], or in C with recvmsg(2). Any segment with a
// descriptor can be sent: memfd, POSIX, file; a System V segment has none
// (errors.ErrUnsupported), but its id can be sent as a number.
//
// The receiver may do with the object what the sender's descriptor allows: one
// opened ReadOnly stays read-only. To stop a send, set a deadline on conn.
func (s *Segment) Send(conn *net.UnixConn) error {
	if !s.uses.acquire() {
		return fail("send", s.addr, ErrClosed)
	}
	defer s.uses.release()
	return fail("send", s.addr, sendObject(conn, s.obj))
}

// Receive takes a segment that [Segment.Send] hands over, and maps it. It reads
// exactly one byte and one descriptor from conn; to stop waiting, set a deadline
// on conn. At the end of the stream it returns io.EOF.
//
// What arrives must be a regular object. A memfd must be sealed against
// shrinking, or the sender could make a reader fault at any time; the option
// Unsealed accepts such a one all the same.
func Receive(conn *net.UnixConn, opts *Options) (*Segment, error) {
	s, err := opts.settings()
	if err != nil {
		return nil, fail("receive", Address{kind: Memfd}, err)
	}
	fd, err := receiveDescriptor(conn)
	if err != nil {
		return nil, fail("receive", Address{kind: Memfd}, err)
	}
	a, seg, err := adopt(fd, s)
	return seg, fail("receive", a, err)
}

// File returns a new descriptor of the object, close-on-exec, which the caller
// closes. In the ExtraFiles of an exec.Cmd it hands the segment to a child, who
// maps it with [FromFile]. A System V segment has none (errors.ErrUnsupported).
func (s *Segment) File() (*os.File, error) {
	if !s.uses.acquire() {
		return nil, fail("file", s.addr, ErrClosed)
	}
	defer s.uses.release()
	fd, err := duplicate(s.obj)
	if err != nil {
		return nil, fail("file", s.addr, err)
	}
	return os.NewFile(uintptr(fd), s.addr.String()), nil
}

// FromFile maps the object behind a descriptor that came by inheritance or
// otherwise. It makes its own copy of the descriptor; f stays the caller's. The
// rules are those of [Receive].
func FromFile(f *os.File, opts *Options) (*Segment, error) {
	a := Address{kind: File, name: f.Name()}
	s, err := opts.settings()
	if err != nil {
		return nil, fail("open", a, err)
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return nil, fail("open", a, err)
	}
	fd := -1
	var dupErr error
	if conn.Control(func(raw uintptr) { fd, dupErr = duplicateFD(int(raw)) }) != nil {
		return nil, fail("open", a, os.ErrClosed) // the one reason, for which Control has an error value of its own
	}
	if dupErr != nil {
		return nil, fail("open", a, dupErr)
	}
	a, seg, err := adopt(fd, s)
	return seg, fail("open", a, err)
}

// errNoDescriptor is what a System V segment answers to Send and File.
func errNoDescriptor(unsupported error) error {
	return fmt.Errorf("a System V segment has no descriptor; pass on its key or id: %w", unsupported)
}
