//go:build linux && (amd64 || arm64)

package sys

import (
	"syscall"
	"unsafe"
)

// Commands that shmctl, semctl and msgctl share. Source: <linux/ipc.h>.
const (
	IPC_RMID = 0
	IPC_SET  = 1
	IPC_STAT = 2
	IPC_INFO = 3
)

// IpcPerm is struct ipc64_perm of <asm-generic/ipcbuf.h>: what all three kinds
// of objects begin with.
//
//	0     4     8     12     16     20     24    26    28    32         40        48
//	+-----+-----+-----+------+------+------+-----+-----+-----+----------+---------+
//	| key | uid | gid | cuid | cgid | mode | seq | pad | pad | reserved | reserved|
//	+-----+-----+-----+------+------+------+-----+-----+-----+----------+---------+
type IpcPerm struct {
	Key  int32
	UID  uint32
	GID  uint32
	CUID uint32
	CGID uint32
	Mode uint32
	Seq  uint16
	_    uint16
	_    uint32
	_    [2]uint64
}

const sizeofIpcPerm = 48

// Each line fails to compile unless both sides are equal: a constant of type
// uint cannot be negative.
const (
	_ = uint(unsafe.Sizeof(IpcPerm{}) - sizeofIpcPerm)
	_ = uint(sizeofIpcPerm - unsafe.Sizeof(IpcPerm{}))

	_ = uint(unsafe.Offsetof(IpcPerm{}.Key) - 0)
	_ = uint(0 - unsafe.Offsetof(IpcPerm{}.Key))
	_ = uint(unsafe.Offsetof(IpcPerm{}.UID) - 4)
	_ = uint(4 - unsafe.Offsetof(IpcPerm{}.UID))
	_ = uint(unsafe.Offsetof(IpcPerm{}.GID) - 8)
	_ = uint(8 - unsafe.Offsetof(IpcPerm{}.GID))
	_ = uint(unsafe.Offsetof(IpcPerm{}.CUID) - 12)
	_ = uint(12 - unsafe.Offsetof(IpcPerm{}.CUID))
	_ = uint(unsafe.Offsetof(IpcPerm{}.CGID) - 16)
	_ = uint(16 - unsafe.Offsetof(IpcPerm{}.CGID))
	_ = uint(unsafe.Offsetof(IpcPerm{}.Mode) - 20)
	_ = uint(20 - unsafe.Offsetof(IpcPerm{}.Mode))
	_ = uint(unsafe.Offsetof(IpcPerm{}.Seq) - 24)
	_ = uint(24 - unsafe.Offsetof(IpcPerm{}.Seq))
)

// result turns what a system call returned into Go's form. The error, if there
// is one, is a [syscall.Errno].
func result(r uintptr, errno syscall.Errno) (int, error) {
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}
