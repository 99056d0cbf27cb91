//go:build linux

package sys

import "unsafe"

// SemidDs is struct semid64_ds of x86-64, <asm/sembuf.h>: unlike everywhere
// else a reserved word follows each time. Times are seconds since 1970, 0 for
// never.
type SemidDs struct {
	Perm  IpcPerm
	Otime int64
	_     uint64
	Ctime int64
	_     uint64
	Nsems uint64
	_     [2]uint64
}

const (
	_ = uint(unsafe.Sizeof(SemidDs{}) - 104)
	_ = uint(104 - unsafe.Sizeof(SemidDs{}))
	_ = uint(unsafe.Offsetof(SemidDs{}.Otime) - 48)
	_ = uint(48 - unsafe.Offsetof(SemidDs{}.Otime))
	_ = uint(unsafe.Offsetof(SemidDs{}.Ctime) - 64)
	_ = uint(64 - unsafe.Offsetof(SemidDs{}.Ctime))
	_ = uint(unsafe.Offsetof(SemidDs{}.Nsems) - 80)
	_ = uint(80 - unsafe.Offsetof(SemidDs{}.Nsems))
)
