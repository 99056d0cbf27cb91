//go:build linux && (amd64 || arm64)

package sys

import (
	"syscall"
	"unsafe"
)

// MqAttr is struct mq_attr of <linux/mqueue.h>: how large a POSIX message queue
// is, and how full.
//
//	0        8         16         24         32         64
//	+--------+---------+----------+----------+----------+
//	| flags  | maxmsg  | msgsize  | curmsgs  | reserved |
//	+--------+---------+----------+----------+----------+
type MqAttr struct {
	Flags   int64 // O_NONBLOCK or 0
	Maxmsg  int64 // messages
	Msgsize int64 // bytes in one message
	Curmsgs int64 // messages
	_       [4]int64
}

const (
	_ = uint(unsafe.Sizeof(MqAttr{}) - 64)
	_ = uint(64 - unsafe.Sizeof(MqAttr{}))
	_ = uint(unsafe.Offsetof(MqAttr{}.Flags) - 0)
	_ = uint(0 - unsafe.Offsetof(MqAttr{}.Flags))
	_ = uint(unsafe.Offsetof(MqAttr{}.Maxmsg) - 8)
	_ = uint(8 - unsafe.Offsetof(MqAttr{}.Maxmsg))
	_ = uint(unsafe.Offsetof(MqAttr{}.Msgsize) - 16)
	_ = uint(16 - unsafe.Offsetof(MqAttr{}.Msgsize))
	_ = uint(unsafe.Offsetof(MqAttr{}.Curmsgs) - 24)
	_ = uint(24 - unsafe.Offsetof(MqAttr{}.Curmsgs))
)

// MqOpen is the system call below mq_open(3). The name comes without the
// leading slash, which the C library takes off. attr may be nil; the kernel
// reads Maxmsg and Msgsize. The descriptor is close-on-exec whatever the flags.
func MqOpen(name string, flags int, mode uint32, attr *MqAttr) (int, error) {
	p, err := syscall.BytePtrFromString(name)
	if err != nil {
		return -1, err
	}
	r, _, errno := syscall.Syscall6(syscall.SYS_MQ_OPEN, uintptr(unsafe.Pointer(p)), uintptr(flags), uintptr(mode),
		uintptr(unsafe.Pointer(attr)), 0, 0)
	return result(r, errno)
}

// MqUnlink is the system call below mq_unlink(3). The name comes without the
// leading slash.
func MqUnlink(name string) error {
	p, err := syscall.BytePtrFromString(name)
	if err != nil {
		return err
	}
	_, _, errno := syscall.Syscall(syscall.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(p)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// MqSend is mq_timedsend(2) without a time-out: on a descriptor with O_NONBLOCK
// it returns EAGAIN rather than sleep.
func MqSend(fd int, msg []byte, priority uint32) error {
	_, _, errno := syscall.Syscall6(syscall.SYS_MQ_TIMEDSEND, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(msg))),
		uintptr(len(msg)), uintptr(priority), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// MqReceive is mq_timedreceive(2) without a time-out: on a descriptor with
// O_NONBLOCK it returns EAGAIN rather than sleep. It returns the length of the
// message.
func MqReceive(fd int, buf []byte) (n int, priority uint32, err error) {
	r, _, errno := syscall.Syscall6(syscall.SYS_MQ_TIMEDRECEIVE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(buf))),
		uintptr(len(buf)), uintptr(unsafe.Pointer(&priority)), 0, 0)
	n, err = result(r, errno)
	return n, priority, err
}

// MqGetattr is mq_getsetattr(2) that only gets.
func MqGetattr(fd int, attr *MqAttr) error {
	_, _, errno := syscall.Syscall(syscall.SYS_MQ_GETSETATTR, uintptr(fd), 0, uintptr(unsafe.Pointer(attr)))
	if errno != 0 {
		return errno
	}
	return nil
}
