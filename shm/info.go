package shm

import (
	"io/fs"
	"time"
)

// Info describes an object: what [Stat], [List] and [Segment.Stat] tell.
type Info struct {
	Address  Address     // by which others reach it; a System V segment without a key has its id
	ID       int32       // System V id; 0 otherwise
	Size     int64       // bytes, as its creator asked
	Resident int64       // bytes of memory in use; -1 if unknown
	Swapped  int64       // bytes on swap; -1 if unknown
	Mode     fs.FileMode // permission bits
	UID, GID uint32      // owner

	// CreatorPID is the process that made it, in this PID namespace; 0 where
	// nobody recorded it (POSIX, file, memfd) or it lives in another namespace.
	CreatorPID int
	// Attached is how many attachments a System V segment has, in all processes
	// of the machine; -1 where the kernel keeps no count.
	Attached int

	Created time.Time // creation, if the system recorded it; else the zero time
	Changed time.Time // last change of size, mode or owner (System V: of mode or owner, at first its creation)

	Locked  bool // System V: kept in memory (SHM_LOCK)
	Removed bool // without a name, and freed when its last user lets go
	Sealed  bool // it cannot become shorter (F_SEAL_SHRINK)

	identity identity
}

// identity is how the kernel tells objects apart. It is what /proc/PID/maps
// shows: the inode of a System V segment is its id.
type identity struct {
	sysv  bool
	dev   uint64
	inode uint64
}

// Stat describes the object at addr. It needs no permission on the object.
func Stat(addr string) (Info, error) {
	a, err := ParseAddress(addr)
	if err != nil {
		return Info{}, err
	}
	info, err := statObject(a)
	return info, fail("stat", a, err)
}

// List describes every System V and POSIX object of the machine (of this IPC
// and mount namespace), whoever made it, named semaphores too: they are files
// /dev/shm/sem.* and so POSIX objects of 32 bytes. What vanishes meanwhile is
// left out.
func List() ([]Info, error) {
	infos, err := listObjects()
	if err != nil {
		return nil, &Error{Op: "list", Object: "shared memory", Err: err}
	}
	return infos, nil
}
