package sysv

import (
	"fmt"
	"time"
)

// ShmID identifies a segment in the kernel. Unlike a key it never leads to
// another object until the machine has made tens of thousands of them. It is an
// int of C, and in /proc/PID/maps it is the inode of the mapping.
type ShmID int32

// ShmGet returns the id of the segment with a key, and makes it where flags
// say so. It is shmget(2).
//
// size is in bytes. For a new segment it must be at least 1; whole pages are
// set aside, filled with zeros, and the size is reported as asked. For an
// existing one it is the least size that the caller can use; 0 takes any.
//
// Errors: EEXIST with Create|Exclusive on an existing key (before the size is
// looked at); ENOENT without Create on a missing one; EINVAL for a new segment
// of size 0 or more than kernel.shmmax, for an existing one smaller than size,
// and for huge pages of a size that the machine lacks; EACCES if the segment's
// mode refuses the access that flags ask for; ENOSPC at the limits
// kernel.shmmni and kernel.shmall; ENOMEM without memory or huge pages; EPERM
// for huge pages without the privilege.
func ShmGet(key Key, size int, flags Flag) (ShmID, error) {
	id, err := shmGet(key, size, flags)
	if err != nil {
		return -1, wrap("shmget", keyObject(key), err, func(err error) string {
			return shmGetAdvice(key, size, flags, err)
		})
	}
	return ShmID(id), nil
}

// ShmAt attaches a segment to this process and returns its bytes: as many as
// the segment's size, with no spare capacity. It is shmat(2).
//
// addr is 0, the kernel then chooses the place, or a multiple of the page size
// (see [Round]). The bytes are shared with every process that has the segment
// attached, and with every other attachment in this one. They are not on the Go
// heap: whoever called ShmAt owns them and gives them back with [ShmDt]; after
// that any access, through this slice or one made from it, is a fatal fault.
// The end of the process detaches everything.
//
// Errors: EINVAL for an id that does not exist (any more), an addr that is not
// aligned and not rounded, or occupied and not remapped, and Remap without
// addr; EACCES if the mode refuses reading, or writing unless [ReadOnly] is
// given; ENOMEM. A removed segment that somebody still has attached can be
// attached by its id.
func ShmAt(id ShmID, addr uintptr, flags AttachFlag) ([]byte, error) {
	b, err := shmAt(id, addr, flags)
	if err != nil {
		return nil, wrap("shmat", idObject(id), err, func(err error) string {
			return shmAtAdvice(id, addr, flags, err)
		})
	}
	return b, nil
}

// ShmDt detaches what [ShmAt] returned: the slice itself, or any that begins
// at the same byte. It is shmdt(2). The caller sees to it that nobody uses the
// bytes any more.
//
// Errors: EINVAL if no attached segment begins there: never attached, already
// detached, or a slice from the middle.
func ShmDt(b []byte) error {
	if b == nil {
		return wrap("shmdt", "nil slice", errInvalid, notAttached)
	}
	if err := shmDt(b); err != nil {
		return wrap("shmdt", fmt.Sprintf("address %#x", address(b)), err, notAttached)
	}
	return nil
}

func notAttached(err error) string {
	if isInvalid(err) {
		return "no attached segment begins here: pass the slice that ShmAt returned, once"
	}
	return ""
}

// ShmInfo is what the kernel knows of a segment (struct shmid_ds).
//
// Process ids are as the caller's pid namespace sees them, 0 for a process of
// another one. Times have a resolution of one second.
type ShmInfo struct {
	ID         ShmID     // leads to the segment until it is gone, and to no other
	Key        Key       // [Private] for a segment without one, or that has been removed
	Size       int64     // bytes, as asked for at creation
	UID, GID   uint32    // owner
	CreatorUID uint32    // who made it
	CreatorGID uint32    // and with which group
	Mode       Mode      // permissions, locked, dest
	CreatorPID int       // who made it
	LastPID    int       // who last attached or detached
	Attached   int       // attachments, of all processes together
	AttachTime time.Time // last attached; zero if never
	DetachTime time.Time // last detached; zero if never
	ChangeTime time.Time // made, or last changed by Set
	Resident   int64     // bytes in memory; -1 if unknown, see [ShmID.Residency]
	Swapped    int64     // bytes in swap; -1 if unknown
}

// Perm returns what [ShmID.Set] would leave unchanged.
func (i ShmInfo) Perm() Perm { return Perm{i.UID, i.GID, i.Mode & 0o777} }

// Stat tells what the kernel knows of the segment: shmctl(2) IPC_STAT. It is
// one system call, and so leaves Resident and Swapped unknown.
//
// Errors: EACCES without read permission (use [ShmList], which needs none);
// EINVAL or EIDRM for an id that does not exist (any more).
func (id ShmID) Stat() (ShmInfo, error) {
	info, err := shmStat(id)
	return info, wrap("shmctl(IPC_STAT)", idObject(id), err, idAdvice(id))
}

// Residency tells how many bytes of the segment are in memory and how many in
// swap. It reads /proc/sysvipc/shm, which needs no permission on the segment.
//
// Errors: EINVAL for an id that does not exist (any more); those of opening the
// file; [errors.ErrUnsupported] where the kernel does not say.
func (id ShmID) Residency() (resident, swapped int64, err error) {
	resident, swapped, err = shmResidency(id)
	return resident, swapped, wrap("read /proc/sysvipc/shm", idObject(id), err, idAdvice(id))
}

// Set changes owner, group and permissions: shmctl(2) IPC_SET.
//
// Errors: EPERM unless the caller is owner, creator or privileged; EINVAL for
// an id that does not exist (any more), or a UID or GID that does not.
func (id ShmID) Set(p Perm) error {
	return wrap("shmctl(IPC_SET)", idObject(id), shmSet(id, p), ctlAdvice(id))
}

// Remove removes the segment: shmctl(2) IPC_RMID. The key is free at once.
// Processes that have the segment attached keep it, and others may even attach
// it by its id, until the last one detaches; meanwhile its mode shows
// [Mode.Dest] and its key is [Private].
//
// Errors: EPERM unless the caller is owner, creator or privileged; EINVAL or
// EIDRM for an id that does not exist (any more).
func (id ShmID) Remove() error {
	return wrap("shmctl(IPC_RMID)", idObject(id), shmRemove(id), idAdvice(id))
}

// Lock keeps the segment's pages in memory, once they are there: shmctl(2)
// SHM_LOCK. It does not bring them there.
//
// Errors: EPERM unless the caller is privileged, or owner or creator with a
// RLIMIT_MEMLOCK above 0; ENOMEM beyond that limit; EINVAL or EIDRM for an id
// that does not exist (any more).
func (id ShmID) Lock() error {
	return wrap("shmctl(SHM_LOCK)", idObject(id), shmLock(id, true), lockAdvice(id))
}

// Unlock lets the segment be swapped again: shmctl(2) SHM_UNLOCK. Its errors
// are those of [ShmID.Lock], without ENOMEM.
func (id ShmID) Unlock() error {
	return wrap("shmctl(SHM_UNLOCK)", idObject(id), shmLock(id, false), idAdvice(id))
}

// ShmList returns every segment of the IPC namespace, whatever its permissions,
// in the order of the kernel's table. Others come and go meanwhile: an entry
// may be gone when it is looked at.
//
// It asks with SHM_STAT_ANY (Linux 4.17) and, where that fails, reads
// /proc/sysvipc/shm. Resident and Swapped come from that file; without it they
// are -1.
func ShmList() ([]ShmInfo, error) {
	list, err := shmList()
	return list, wrap("shmctl(SHM_STAT_ANY)", "", err, nil)
}

// ShmLimit holds the limits of the IPC namespace on segments (struct shminfo).
type ShmLimit struct {
	MaxBytes    uint64 // one segment: kernel.shmmax
	MinBytes    uint64 // one segment: 1
	MaxSegments uint64 // kernel.shmmni
	MaxPages    uint64 // all segments together, in pages: kernel.shmall
}

// ShmLimits tells the limits: shmctl(2) IPC_INFO.
func ShmLimits() (ShmLimit, error) {
	l, err := shmLimits()
	return l, wrap("shmctl(IPC_INFO)", "", err, nil)
}

// ShmUse is what all segments of the IPC namespace use together (struct
// shm_info).
type ShmUse struct {
	Segments      int    // that exist, removed ones that are still attached among them
	Pages         uint64 // set aside
	PagesResident uint64 // of those, in memory
	PagesSwapped  uint64 // of those, in swap
}

// ShmUsage tells what is used: shmctl(2) SHM_INFO.
func ShmUsage() (ShmUse, error) {
	u, err := shmUsage()
	return u, wrap("shmctl(SHM_INFO)", "", err, nil)
}
