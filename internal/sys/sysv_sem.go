//go:build linux && (amd64 || arm64)

package sys

import (
	"syscall"
	"unsafe"
)

// Commands of semctl alone. Source: <linux/sem.h>.
const (
	GETPID       = 11
	GETVAL       = 12
	GETALL       = 13
	GETNCNT      = 14
	GETZCNT      = 15
	SETVAL       = 16
	SETALL       = 17
	SEM_STAT     = 18
	SEM_INFO     = 19
	SEM_STAT_ANY = 20
)

// Sembuf is struct sembuf: one operation of semop.
type Sembuf struct {
	Num uint16
	Op  int16
	Flg int16
}

// Seminfo is struct seminfo, which IPC_INFO and SEM_INFO fill. SEM_INFO puts
// the number of sets into Semusz and the number of semaphores into Semaem.
type Seminfo struct {
	Semmap, Semmni, Semmns, Semmnu, Semmsl int32
	Semopm, Semume, Semusz, Semvmx, Semaem int32
}

// SemidDs itself differs between the architectures: sysv_sem_amd64.go,
// sysv_sem_arm64.go.
const (
	_ = uint(unsafe.Sizeof(Sembuf{}) - 6)
	_ = uint(6 - unsafe.Sizeof(Sembuf{}))
	_ = uint(unsafe.Offsetof(Sembuf{}.Op) - 2)
	_ = uint(2 - unsafe.Offsetof(Sembuf{}.Op))
	_ = uint(unsafe.Offsetof(Sembuf{}.Flg) - 4)
	_ = uint(4 - unsafe.Offsetof(Sembuf{}.Flg))

	_ = uint(unsafe.Sizeof(Seminfo{}) - 40)
	_ = uint(40 - unsafe.Sizeof(Seminfo{}))
	_ = uint(unsafe.Offsetof(Seminfo{}.Semopm) - 20)
	_ = uint(20 - unsafe.Offsetof(Seminfo{}.Semopm))
	_ = uint(unsafe.Offsetof(Seminfo{}.Semaem) - 36)
	_ = uint(36 - unsafe.Offsetof(Seminfo{}.Semaem))
)

// Semget is semget(2). It returns the set's id.
func Semget(key int32, nsems, flags int) (int, error) {
	r, _, errno := syscall.Syscall(syscall.SYS_SEMGET, uintptr(key), uintptr(nsems), uintptr(flags))
	return result(r, errno)
}

// Semtimedop is semtimedop(2); without a timeout (nil) it is semop(2). It
// sleeps, and returns EINTR after any signal.
func Semtimedop(id int, ops []Sembuf, timeout *syscall.Timespec) error {
	_, _, errno := syscall.Syscall6(syscall.SYS_SEMTIMEDOP, uintptr(id),
		uintptr(unsafe.Pointer(unsafe.SliceData(ops))), uintptr(len(ops)),
		uintptr(unsafe.Pointer(timeout)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// The fourth argument of semctl is a union by value: one machine word that is
// a number for SETVAL and a pointer for the others. Hence two functions.

func semctl(id, num, cmd int, p unsafe.Pointer) (int, error) {
	r, _, errno := syscall.Syscall6(syscall.SYS_SEMCTL, uintptr(id), uintptr(num), uintptr(cmd), uintptr(p), 0, 0)
	return result(r, errno)
}

// SemCtl is semctl(2) for the commands whose argument is a number or absent:
// SETVAL, GETVAL, GETPID, GETNCNT, GETZCNT, IPC_RMID.
func SemCtl(id, num, cmd, value int) (int, error) {
	r, _, errno := syscall.Syscall6(syscall.SYS_SEMCTL, uintptr(id), uintptr(num), uintptr(cmd), uintptr(value), 0, 0)
	return result(r, errno)
}

// SemArray is semctl(2) GETALL or SETALL. The kernel moves as many values as
// the set has semaphores, whatever the length of values.
// Preconditions: len(values) is at least that number.
func SemArray(id, cmd int, values []uint16) error {
	_, err := semctl(id, 0, cmd, unsafe.Pointer(unsafe.SliceData(values)))
	return err
}

// SemStat is semctl(2) IPC_STAT.
func SemStat(id int, ds *SemidDs) error {
	_, err := semctl(id, 0, IPC_STAT, unsafe.Pointer(ds))
	return err
}

// SemStatAny is semctl(2) SEM_STAT_ANY (Linux 4.17): what IPC_STAT tells, of
// the set at an index of the kernel's table, without asking for permission. It
// returns the set's id, EINVAL for an empty place.
func SemStatAny(index int, ds *SemidDs) (int, error) {
	return semctl(index, 0, SEM_STAT_ANY, unsafe.Pointer(ds))
}

// SemSet is semctl(2) IPC_SET. The kernel reads UID, GID and the nine
// permission bits of ds.Perm, and nothing else.
func SemSet(id int, ds *SemidDs) error {
	_, err := semctl(id, 0, IPC_SET, unsafe.Pointer(ds))
	return err
}

// SemInfo is semctl(2) IPC_INFO or SEM_INFO. It returns the highest used index.
func SemInfo(cmd int, s *Seminfo) (int, error) { return semctl(0, 0, cmd, unsafe.Pointer(s)) }
