//go:build linux && (amd64 || arm64)

package sysv

import (
	"fmt"
	"slices"
	"syscall"
)

// Advice is worked out after the failure, so others may have changed what it
// looks at: it is worded as what is so now, and is left out where nothing fits.

func shmGetAdvice(key Key, size int, flags Flag, err error) string {
	switch err {
	case syscall.EINVAL:
		if old, ok := shmOfKey(key); ok {
			if int64(size) > old.Size || size < 0 {
				return fmt.Sprintf("%d bytes asked, the segment with this key (id %d) has %d: "+
					"ask for no more, or for 0 to take any size, or remove it first", size, old.ID, old.Size)
			}
			return ""
		}
		if size == 0 {
			return "0 bytes asked: a new segment has at least 1"
		}
		if l, e := shmLimits(); e == nil && uint64(size) > l.MaxBytes {
			return fmt.Sprintf("%d bytes asked, the sysctl kernel.shmmax permits %d", size, l.MaxBytes)
		}
		if flags&HugeTLB != 0 {
			return fmt.Sprintf("this machine has no huge pages of 2^%d bytes: see /sys/kernel/mm/hugepages", int(flags>>hugeShift)&hugeMask)
		}
	case syscall.ENOSPC:
		l, e1 := shmLimits()
		u, e2 := shmUsage()
		if e1 != nil || e2 != nil {
			return ""
		}
		if uint64(u.Segments) >= l.MaxSegments {
			return fmt.Sprintf("%d segments exist, the sysctl kernel.shmmni permits %d: remove some, or raise it", u.Segments, l.MaxSegments)
		}
		return fmt.Sprintf("%d bytes asked, the segments that exist use %d pages of the %d that the sysctl kernel.shmall permits: remove some, or raise it",
			size, u.Pages, l.MaxPages)
	case syscall.ENOMEM:
		if flags&HugeTLB != 0 {
			return fmt.Sprintf("not enough huge pages for %d bytes: reserve some (sysctl vm.nr_hugepages, /sys/kernel/mm/hugepages), or leave HugeTLB out", size)
		}
		return fmt.Sprintf("%d bytes asked, more than memory and swap can ever hold: see /proc/meminfo, sysctl vm.overcommit_memory, and the memory limit of the control group", size)
	case syscall.EPERM:
		if flags&HugeTLB != 0 {
			return "huge pages need CAP_IPC_LOCK or membership of the group in the sysctl vm.hugetlb_shm_group"
		}
	case syscall.EACCES:
		if old, ok := shmOfKey(key); ok {
			return refused(old.Mode, old.UID, old.GID)
		}
	}
	return ""
}

func shmAtAdvice(id ShmID, addr uintptr, flags AttachFlag, err error) string {
	switch err {
	case syscall.EINVAL:
		list, e := shmList()
		switch {
		case e == nil && !slices.ContainsFunc(list, func(s ShmInfo) bool { return s.ID == id }):
			return noSuchID
		case addr == 0 && flags&Remap != 0:
			return "Remap needs an address"
		case addr%uintptr(syscall.Getpagesize()) != 0 && flags&Round == 0:
			return fmt.Sprintf("address %#x is not a multiple of the page size, and Round is not given", addr)
		case addr != 0 && flags&Remap == 0:
			return fmt.Sprintf("something is mapped at address %#x: let the kernel choose (0), or Remap", addr)
		}
	case syscall.EACCES:
		s := refusedID(id)
		if s != "" && flags&ReadOnly == 0 {
			s += "; ReadOnly needs read permission alone"
		}
		return s
	}
	return ""
}

func semGetAdvice(key Key, nsems int, flags Flag, err error) string {
	switch err {
	case syscall.EINVAL:
		if old, ok := semOfKey(key); ok && nsems > old.Count {
			return fmt.Sprintf("%s asked, the set with this key (id %d) has %d: ask for no more, or for 0 to take any number, or remove it first",
				plural(nsems, "semaphore"), old.ID, old.Count)
		}
		if l, e := semLimits(); e == nil && (nsems < 1 || nsems > l.MaxPerSet) {
			return fmt.Sprintf("%s asked: a set has 1 to %d (SEMMSL, the 1st number of the sysctl kernel.sem)", plural(nsems, "semaphore"), l.MaxPerSet)
		}
	case syscall.ENOSPC:
		l, e1 := semLimits()
		u, e2 := semUsage()
		if e1 != nil || e2 != nil {
			return ""
		}
		if u.Sets >= l.MaxSets {
			return fmt.Sprintf("%d sets exist, SEMMNI, the 4th number of the sysctl kernel.sem, permits %d: remove some, or raise it", u.Sets, l.MaxSets)
		}
		return fmt.Sprintf("%s asked, %d exist, SEMMNS, the 2nd number of the sysctl kernel.sem, permits %d: remove some, or raise it",
			plural(nsems, "semaphore"), u.Semaphores, l.MaxSemaphores)
	case syscall.EACCES:
		if old, ok := semOfKey(key); ok {
			return refused(old.Mode, old.UID, old.GID)
		}
	}
	return ""
}

func semOpAdvice(id SemID, err error) string {
	switch err {
	case syscall.EFBIG:
		return "the set has no semaphore of that number: they count from 0"
	case syscall.E2BIG:
		if l, e := semLimits(); e == nil {
			return fmt.Sprintf("SEMOPM, the 3rd number of the sysctl kernel.sem, permits %d operations in one call", l.MaxOps)
		}
	case syscall.ERANGE:
		return "a semaphore's value, and what is to be undone, stay at or below 32767"
	case syscall.ENOSPC:
		return "the kernel's limit of undo structures (SEMMNU) is reached"
	}
	return ctlAdvice(id)(err)
}

func msgGetAdvice(key Key, err error) string {
	switch err {
	case syscall.ENOSPC:
		if l, e := msgLimits(); e == nil {
			return fmt.Sprintf("the sysctl kernel.msgmni permits %d queues: remove some, or raise it", l.MaxQueues)
		}
	case syscall.EACCES:
		if old, ok := find(msgList, func(s MsgInfo) bool { return s.Key == key }); ok {
			return refused(old.Mode, old.UID, old.GID)
		}
	}
	return ""
}

func msgSendAdvice(id MsgID, typ int64, size int, err error) string {
	if err == syscall.EINVAL {
		if typ < 1 {
			return fmt.Sprintf("a message's type is at least 1, not %d", typ)
		}
		if l, e := msgLimits(); e == nil && size > l.MaxMessageBytes {
			return fmt.Sprintf("%d bytes, the sysctl kernel.msgmax permits %d in one message", size, l.MaxMessageBytes)
		}
	}
	return ctlAdvice(id)(err)
}

func msgReceiveAdvice(id MsgID, flags Flag, size int, err error) string {
	switch {
	case err == syscall.E2BIG:
		return fmt.Sprintf("the message is longer than the buffer of %d bytes and stays in the queue: use a larger one, or MsgNoError to cut it", size)
	case err == syscall.EINVAL && flags&MsgCopy != 0 && flags&(NoWait|MsgExcept) != NoWait:
		return "MsgCopy goes with NoWait, and not with MsgExcept"
	case err == syscall.ENOSYS && flags&MsgCopy != 0:
		return "MsgCopy needs a kernel with CONFIG_CHECKPOINT_RESTORE"
	}
	return ctlAdvice(id)(err)
}

func msgSetAdvice(id MsgID, maxBytes int64, err error) string {
	if err == syscall.EPERM {
		if l, e := msgLimits(); e == nil && maxBytes > int64(l.MaxQueueBytes) {
			return fmt.Sprintf("%d bytes asked, the sysctl kernel.msgmnb permits %d to all but the privileged", maxBytes, l.MaxQueueBytes)
		}
	}
	return ctlAdvice(id)(err)
}

const noSuchID = "no object has this id: it has been removed, or is of another kind or IPC namespace"

// ctlAdvice is about an object of which only the id is known.
func ctlAdvice[ID objectID](id ID) func(error) string {
	return func(err error) string {
		switch err {
		case syscall.EIDRM:
			return "the object was removed meanwhile"
		case syscall.EPERM:
			return "only its owner, its creator and the privileged may do that"
		case syscall.EACCES:
			return refusedID(id)
		}
		return ""
	}
}

// idAdvice is [ctlAdvice] for the calls whose EINVAL is about the id alone.
func idAdvice[ID objectID](id ID) func(error) string {
	return func(err error) string {
		if err == syscall.EINVAL {
			return noSuchID
		}
		return ctlAdvice(id)(err)
	}
}

func lockAdvice(id ShmID) func(error) string {
	return func(err error) string {
		switch err {
		case syscall.EPERM:
			return "only its owner and its creator, if RLIMIT_MEMLOCK (ulimit -l) is above 0, and those with CAP_IPC_LOCK may do that"
		case syscall.ENOMEM:
			return "RLIMIT_MEMLOCK (ulimit -l) does not permit that much: raise it, or have CAP_IPC_LOCK"
		}
		return idAdvice(id)(err)
	}
}

// refusedID tells why access to an object is refused, as the list, which needs
// no permission, has it.
func refusedID[ID objectID](id ID) string {
	switch id := any(id).(type) {
	case ShmID:
		if s, ok := find(shmList, func(s ShmInfo) bool { return s.ID == id }); ok {
			return refused(s.Mode, s.UID, s.GID)
		}
	case SemID:
		if s, ok := find(semList, func(s SemInfo) bool { return s.ID == id }); ok {
			return refused(s.Mode, s.UID, s.GID)
		}
	case MsgID:
		if s, ok := find(msgList, func(s MsgInfo) bool { return s.ID == id }); ok {
			return refused(s.Mode, s.UID, s.GID)
		}
	}
	return ""
}

func refused(m Mode, uid, gid uint32) string {
	return fmt.Sprintf("its mode is %#o, its owner uid %d, gid %d; this process is uid %d, gid %d",
		uint32(m.Perm()), uid, gid, syscall.Geteuid(), syscall.Getegid())
}

// shmOfKey finds the segment that a key leads to, whatever its permissions.
func shmOfKey(key Key) (ShmInfo, bool) {
	return find(shmList, func(s ShmInfo) bool { return s.Key == key && key != Private })
}

// semOfKey finds the set that a key leads to, whatever its permissions.
func semOfKey(key Key) (SemInfo, bool) {
	return find(semList, func(s SemInfo) bool { return s.Key == key && key != Private })
}

// find returns the first object of a list that is the one.
func find[T any](list func() ([]T, error), is func(T) bool) (found T, ok bool) {
	all, err := list()
	if err != nil {
		return found, false
	}
	if i := slices.IndexFunc(all, is); i >= 0 {
		return all[i], true
	}
	return found, false
}
