//go:build linux

package sys

import "unsafe"

// SemidDs is struct semid64_ds of arm64, <asm-generic/sembuf.h>. Times are
// seconds since 1970, 0 for never.
type SemidDs struct {
	Perm  IpcPerm
	Otime int64
	Ctime int64
	Nsems uint64
	_     [2]uint64
}

const (
	_ = uint(unsafe.Sizeof(SemidDs{}) - 88)
	_ = uint(88 - unsafe.Sizeof(SemidDs{}))
	_ = uint(unsafe.Offsetof(SemidDs{}.Otime) - 48)
	_ = uint(48 - unsafe.Offsetof(SemidDs{}.Otime))
	_ = uint(unsafe.Offsetof(SemidDs{}.Ctime) - 56)
	_ = uint(56 - unsafe.Offsetof(SemidDs{}.Ctime))
	_ = uint(unsafe.Offsetof(SemidDs{}.Nsems) - 64)
	_ = uint(64 - unsafe.Offsetof(SemidDs{}.Nsems))
)
