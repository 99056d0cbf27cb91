//go:build linux && (amd64 || arm64)

package shm

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// passByte is the data that must accompany a descriptor (unix(7)).
const passByte = 'S'

func sendObject(conn *net.UnixConn, obj object) error {
	o, ok := obj.(*fileObject)
	if !ok {
		return errNoDescriptor(errors.ErrUnsupported)
	}
	_, _, err := conn.WriteMsgUnix([]byte{passByte}, unix.UnixRights(o.fd), nil)
	return err
}

// receiveDescriptor reads one byte and exactly one descriptor. Go's recvmsg
// sets MSG_CMSG_CLOEXEC, so that no child inherits it.
func receiveDescriptor(conn *net.UnixConn) (int, error) {
	data := make([]byte, 1)
	// Room to see and close surplus ones, and for the credentials that come first
	// on a socket with SO_PASSCRED.
	control := make([]byte, unix.CmsgSpace(unix.SizeofUcred)+unix.CmsgSpace(4*4))
	n, cn, flags, _, err := conn.ReadMsgUnix(data, control)
	if err != nil {
		return -1, err
	}
	fds, err := descriptors(control[:cn])
	if err == nil {
		switch {
		case n == 0 && len(fds) == 0:
			err = io.EOF
		case flags&unix.MSG_CTRUNC != 0 || len(fds) != 1:
			err = fmt.Errorf("peer sent %d descriptors, expected 1: %w", len(fds), unix.EPROTO)
		default:
			return fds[0], nil
		}
	}
	for _, fd := range fds {
		unix.Close(fd)
	}
	return -1, err
}

func descriptors(control []byte) (fds []int, err error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	for i := range messages {
		if h := messages[i].Header; h.Level != unix.SOL_SOCKET || h.Type != unix.SCM_RIGHTS {
			continue
		}
		got, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return fds, err
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

func duplicate(obj object) (int, error) {
	o, ok := obj.(*fileObject)
	if !ok {
		return -1, errNoDescriptor(errors.ErrUnsupported)
	}
	return duplicateFD(o.fd)
}

func duplicateFD(fd int) (int, error) {
	return unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
}

// adopt maps the object behind fd, which it owns from here on.
func adopt(fd int, s settings) (Address, *Segment, error) {
	o := &fileObject{addr: Address{kind: Memfd}, fd: fd}
	size, err := o.identify(s)
	if err != nil {
		o.close()
		return o.addr, nil, err
	}
	seg, err := newSegment(opened{o, o.addr, size}, s)
	return o.addr, seg, err
}

// identify finds out what the descriptor is, from what the kernel says of it.
func (o *fileObject) identify(s settings) (size int64, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(o.fd, &st); err != nil {
		return 0, err
	}
	if err := checkKind(st.Mode); err != nil {
		return 0, err
	}
	link, err := os.Readlink(procSelfFD(o.fd))
	if err != nil {
		return 0, err
	}
	var removed bool
	if o.addr, removed, _ = describe(link, true, 0); removed {
		if a, ok := make(directories).find(o.addr, identity{dev: st.Dev, inode: st.Ino}); ok {
			o.addr = a
		}
	}
	if o.addr.kind != Memfd || s.Unsealed {
		return st.Size, nil
	}
	seals, err := unix.FcntlInt(uintptr(o.fd), unix.F_GET_SEALS, 0)
	if err == nil && seals&unix.F_SEAL_SHRINK == 0 {
		err = fmt.Errorf("memfd is not sealed against shrinking (F_SEAL_SHRINK), so its sender could make readers fault: %w", unix.EPERM)
	}
	return st.Size, err
}
