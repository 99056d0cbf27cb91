//go:build linux && (amd64 || arm64)

package sys

import (
	"syscall"
	"unsafe"
)

// Commands of msgctl alone. Source: <linux/msg.h>.
const (
	MSG_STAT     = 11
	MSG_INFO     = 12
	MSG_STAT_ANY = 13
)

// MsgHeader is the length in bytes of what stands before a message's text:
// its type, a native 64-bit integer.
const MsgHeader = 8

// MsqidDs is struct msqid64_ds of <asm-generic/msgbuf.h>: what IPC_STAT tells
// of a queue. Times are seconds since 1970, 0 for never.
type MsqidDs struct {
	Perm   IpcPerm
	Stime  int64
	Rtime  int64
	Ctime  int64
	Cbytes uint64
	Qnum   uint64
	Qbytes uint64
	Lspid  int32
	Lrpid  int32
	_      [2]uint64
}

// Msginfo is struct msginfo, which IPC_INFO and MSG_INFO fill. MSG_INFO puts
// the number of queues into Msgpool, of messages into Msgmap and of their
// bytes into Msgtql.
type Msginfo struct {
	Msgpool, Msgmap, Msgmax, Msgmnb int32
	Msgmni, Msgssz, Msgtql          int32
	Msgseg                          uint16
	_                               uint16
}

const (
	_ = uint(unsafe.Sizeof(MsqidDs{}) - 120)
	_ = uint(120 - unsafe.Sizeof(MsqidDs{}))
	_ = uint(unsafe.Offsetof(MsqidDs{}.Stime) - 48)
	_ = uint(48 - unsafe.Offsetof(MsqidDs{}.Stime))
	_ = uint(unsafe.Offsetof(MsqidDs{}.Rtime) - 56)
	_ = uint(56 - unsafe.Offsetof(MsqidDs{}.Rtime))
	_ = uint(unsafe.Offsetof(MsqidDs{}.Ctime) - 64)
	_ = uint(64 - unsafe.Offsetof(MsqidDs{}.Ctime))
	_ = uint(unsafe.Offsetof(MsqidDs{}.Cbytes) - 72)
	_ = uint(72 - unsafe.Offsetof(MsqidDs{}.Cbytes))
	_ = uint(unsafe.Offsetof(MsqidDs{}.Qnum) - 80)
	_ = uint(80 - unsafe.Offsetof(MsqidDs{}.Qnum))
	_ = uint(unsafe.Offsetof(MsqidDs{}.Qbytes) - 88)
	_ = uint(88 - unsafe.Offsetof(MsqidDs{}.Qbytes))
	_ = uint(unsafe.Offsetof(MsqidDs{}.Lspid) - 96)
	_ = uint(96 - unsafe.Offsetof(MsqidDs{}.Lspid))
	_ = uint(unsafe.Offsetof(MsqidDs{}.Lrpid) - 100)
	_ = uint(100 - unsafe.Offsetof(MsqidDs{}.Lrpid))

	_ = uint(unsafe.Sizeof(Msginfo{}) - 32)
	_ = uint(32 - unsafe.Sizeof(Msginfo{}))
	_ = uint(unsafe.Offsetof(Msginfo{}.Msgtql) - 24)
	_ = uint(24 - unsafe.Offsetof(Msginfo{}.Msgtql))
	_ = uint(unsafe.Offsetof(Msginfo{}.Msgseg) - 28)
	_ = uint(28 - unsafe.Offsetof(Msginfo{}.Msgseg))
)

// Msgget is msgget(2). It returns the queue's id.
func Msgget(key int32, flags int) (int, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_MSGGET, uintptr(key), uintptr(flags), 0)
	return result(r, errno)
}

// Msgsnd is msgsnd(2). The message begins with [MsgHeader] bytes of type, and
// the text follows. It sleeps unless told not to, and returns EINTR after any
// signal.
// Preconditions: len(msg) >= MsgHeader.
func Msgsnd(id int, msg []byte, flags int) error {
	_ = msg[MsgHeader-1]
	_, _, errno := syscall.Syscall6(syscall.SYS_MSGSND, uintptr(id),
		uintptr(unsafe.Pointer(unsafe.SliceData(msg))), uintptr(len(msg)-MsgHeader), uintptr(flags), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Msgrcv is msgrcv(2). It fills msg with [MsgHeader] bytes of type and then
// the text, and returns the length of the text alone. It sleeps unless told not
// to, and returns EINTR after any signal that came before a message.
// Preconditions: len(msg) >= MsgHeader.
func Msgrcv(id int, msg []byte, typ int64, flags int) (int, error) {
	_ = msg[MsgHeader-1]
	r, _, errno := syscall.Syscall6(syscall.SYS_MSGRCV, uintptr(id),
		uintptr(unsafe.Pointer(unsafe.SliceData(msg))), uintptr(len(msg)-MsgHeader), uintptr(typ), uintptr(flags), 0)
	return result(r, errno)
}

func msgctl(id, cmd int, p unsafe.Pointer) (int, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_MSGCTL, uintptr(id), uintptr(cmd), uintptr(p))
	return result(r, errno)
}

// MsgStat is msgctl(2) IPC_STAT.
func MsgStat(id int, ds *MsqidDs) error {
	_, err := msgctl(id, IPC_STAT, unsafe.Pointer(ds))
	return err
}

// MsgStatAny is msgctl(2) MSG_STAT_ANY (Linux 4.17): what IPC_STAT tells, of
// the queue at an index of the kernel's table, without asking for permission.
// It returns the queue's id, EINVAL for an empty place.
func MsgStatAny(index int, ds *MsqidDs) (int, error) {
	return msgctl(index, MSG_STAT_ANY, unsafe.Pointer(ds))
}

// MsgSet is msgctl(2) IPC_SET. The kernel reads UID, GID and the nine
// permission bits of ds.Perm, and ds.Qbytes, and nothing else.
func MsgSet(id int, ds *MsqidDs) error {
	_, err := msgctl(id, IPC_SET, unsafe.Pointer(ds))
	return err
}

// MsgRemove is msgctl(2) IPC_RMID.
func MsgRemove(id int) error {
	_, err := msgctl(id, IPC_RMID, nil)
	return err
}

// MsgInfo is msgctl(2) IPC_INFO or MSG_INFO. It returns the highest used index.
func MsgInfo(cmd int, m *Msginfo) (int, error) { return msgctl(0, cmd, unsafe.Pointer(m)) }
