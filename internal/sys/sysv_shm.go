//go:build linux && (amd64 || arm64)

package sys

import (
	"syscall"
	"unsafe"
)

// Commands of shmctl alone. Source: <linux/shm.h>.
const (
	SHM_LOCK     = 11
	SHM_UNLOCK   = 12
	SHM_STAT     = 13
	SHM_INFO     = 14
	SHM_STAT_ANY = 15
)

// ShmidDs is struct shmid64_ds of <asm-generic/shmbuf.h>: what IPC_STAT tells
// of a segment. Times are seconds since 1970, 0 for never.
type ShmidDs struct {
	Perm   IpcPerm
	Segsz  uint64
	Atime  int64
	Dtime  int64
	Ctime  int64
	Cpid   int32
	Lpid   int32
	Nattch uint64
	_      [2]uint64
}

// ShmLimits is struct shminfo64: the limits that IPC_INFO tells.
type ShmLimits struct {
	Shmmax uint64 // bytes in one segment
	Shmmin uint64 // bytes in one segment
	Shmmni uint64 // segments
	Shmseg uint64 // not used by the kernel
	Shmall uint64 // pages in all segments
	_      [4]uint64
}

// ShmUsage is struct shm_info: the sums that SHM_INFO tells.
type ShmUsage struct {
	UsedIDs       int32
	_             int32
	Tot           uint64 // pages
	Rss           uint64 // pages
	Swp           uint64 // pages
	SwapAttempts  uint64 // 0 since Linux 2.4
	SwapSuccesses uint64 // 0 since Linux 2.4
}

const (
	_ = uint(unsafe.Sizeof(ShmidDs{}) - 112)
	_ = uint(112 - unsafe.Sizeof(ShmidDs{}))
	_ = uint(unsafe.Offsetof(ShmidDs{}.Segsz) - 48)
	_ = uint(48 - unsafe.Offsetof(ShmidDs{}.Segsz))
	_ = uint(unsafe.Offsetof(ShmidDs{}.Atime) - 56)
	_ = uint(56 - unsafe.Offsetof(ShmidDs{}.Atime))
	_ = uint(unsafe.Offsetof(ShmidDs{}.Dtime) - 64)
	_ = uint(64 - unsafe.Offsetof(ShmidDs{}.Dtime))
	_ = uint(unsafe.Offsetof(ShmidDs{}.Ctime) - 72)
	_ = uint(72 - unsafe.Offsetof(ShmidDs{}.Ctime))
	_ = uint(unsafe.Offsetof(ShmidDs{}.Cpid) - 80)
	_ = uint(80 - unsafe.Offsetof(ShmidDs{}.Cpid))
	_ = uint(unsafe.Offsetof(ShmidDs{}.Lpid) - 84)
	_ = uint(84 - unsafe.Offsetof(ShmidDs{}.Lpid))
	_ = uint(unsafe.Offsetof(ShmidDs{}.Nattch) - 88)
	_ = uint(88 - unsafe.Offsetof(ShmidDs{}.Nattch))

	_ = uint(unsafe.Sizeof(ShmLimits{}) - 72)
	_ = uint(72 - unsafe.Sizeof(ShmLimits{}))
	_ = uint(unsafe.Offsetof(ShmLimits{}.Shmall) - 32)
	_ = uint(32 - unsafe.Offsetof(ShmLimits{}.Shmall))

	_ = uint(unsafe.Sizeof(ShmUsage{}) - 48)
	_ = uint(48 - unsafe.Sizeof(ShmUsage{}))
	_ = uint(unsafe.Offsetof(ShmUsage{}.Tot) - 8)
	_ = uint(8 - unsafe.Offsetof(ShmUsage{}.Tot))
	_ = uint(unsafe.Offsetof(ShmUsage{}.Swp) - 24)
	_ = uint(24 - unsafe.Offsetof(ShmUsage{}.Swp))
)

// Shmget is shmget(2). It returns the segment's id.
func Shmget(key int32, size uintptr, flags int) (int, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_SHMGET, uintptr(key), size, uintptr(flags))
	return result(r, errno)
}

// Shmat is shmat(2) followed by the IPC_STAT that tells how long the segment
// is: it attaches the segment and returns its bytes, with no spare capacity.
// An attached segment cannot vanish, hence the order. If the size cannot be
// learned the segment is detached again.
func Shmat(id int, addr uintptr, flags int) ([]byte, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_SHMAT, uintptr(id), addr, uintptr(flags))
	if errno != 0 {
		return nil, errno
	}
	var ds ShmidDs
	if err := ShmStat(id, &ds); err != nil {
		syscall.Syscall(syscall.SYS_SHMDT, r, 0, 0)
		return nil, err
	}
	// The address is the kernel's, not the Go heap's: the collector neither
	// moves nor frees what lies there. Reading the pointer out of r's own
	// memory says so to go vet, which suspects every integer made a pointer.
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&r)), ds.Segsz), nil
}

// Shmdt is shmdt(2) for the segment that starts at b's first byte. It passes
// EINVAL on when none does.
func Shmdt(b []byte) error {
	_, _, errno := syscall.Syscall(syscall.SYS_SHMDT, uintptr(unsafe.Pointer(unsafe.SliceData(b))), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Address returns where b's first byte lies, for messages and for looking a
// mapping up in /proc. It is a number, and keeps nothing alive.
func Address(b []byte) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))
}

func shmctl(id, cmd int, p unsafe.Pointer) (int, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_SHMCTL, uintptr(id), uintptr(cmd), uintptr(p))
	return result(r, errno)
}

// ShmStat is shmctl(2) IPC_STAT.
func ShmStat(id int, ds *ShmidDs) error {
	_, err := shmctl(id, IPC_STAT, unsafe.Pointer(ds))
	return err
}

// ShmStatAny is shmctl(2) SHM_STAT_ANY (Linux 4.17): what IPC_STAT tells, of
// the segment at an index of the kernel's table, without asking for permission.
// It returns the segment's id, EINVAL for an empty place.
func ShmStatAny(index int, ds *ShmidDs) (int, error) {
	return shmctl(index, SHM_STAT_ANY, unsafe.Pointer(ds))
}

// ShmSet is shmctl(2) IPC_SET. The kernel reads UID, GID and the nine
// permission bits of ds.Perm, and nothing else.
func ShmSet(id int, ds *ShmidDs) error {
	_, err := shmctl(id, IPC_SET, unsafe.Pointer(ds))
	return err
}

// ShmCtl is shmctl(2) for the commands without a structure: IPC_RMID, SHM_LOCK
// and SHM_UNLOCK.
func ShmCtl(id, cmd int) error {
	_, err := shmctl(id, cmd, nil)
	return err
}

// ShmIPCInfo is shmctl(2) IPC_INFO. It returns the highest used index.
func ShmIPCInfo(l *ShmLimits) (int, error) { return shmctl(0, IPC_INFO, unsafe.Pointer(l)) }

// ShmInfo is shmctl(2) SHM_INFO. It returns the highest used index.
func ShmInfo(u *ShmUsage) (int, error) { return shmctl(0, SHM_INFO, unsafe.Pointer(u)) }
