package inspect

import (
	"io/fs"
	"strings"
	"time"

	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// Type is what an object is.
type Type uint8

// The types of objects.
const (
	Memory       Type = iota // a segment: plain bytes
	Semaphore                // a POSIX named semaphore of glibc: /dev/shm/sem.*, 32 bytes
	Draft                    // a segment of Shoal that its creator has not finished
	SemaphoreSet             // System V semaphores
	MessageQueue             // a System V or POSIX message queue
	LockFile                 // of Shoal: the members of a System V segment lock its bytes, for want of a file of the segment
)

// String returns the type in words: "memory", "semaphore", "draft",
// "semaphore set", "message queue", "lock file".
func (t Type) String() string {
	switch t {
	case Memory:
		return "memory"
	case Semaphore:
		return "semaphore"
	case Draft:
		return "draft"
	case SemaphoreSet:
		return "semaphore set"
	case MessageQueue:
		return "message queue"
	case LockFile:
		return "lock file"
	}
	return "invalid"
}

// State is what has become of an object.
//
//	         named?   used?   creator    size
//	InUse    yes      yes     any        any
//	Idle     yes      no      alive *    > 0     * or out of sight; or what is to be found as it was left: a
//	                                               semaphore, a Shoal event, once, or lock whose owner died;
//	                                               a ring, topic or queue in which there is something
//	                                               that somebody is still to have; or the lock file of a segment that exists
//	Orphan   yes      no      dead **    > 0     ** or nobody recorded it (POSIX)
//	Damaged  yes      no      not alive  0
//	Removed  no       yes     any        any
type State uint8

// The states of an object.
const (
	Unknown State = iota // the kernel keeps no record of who uses it: semaphore sets, message queues
	InUse                // some process has it mapped, attached or open
	Idle                 // nobody uses it now, and that is no sign of anything: its creator lives, or it waits for its next user
	Orphan               // nobody uses it, and its creator is dead or nobody recorded one
	Removed              // it has no name any more and lives until its last user lets go
	Damaged              // nobody uses it and it has no bytes: its creator died before it gave it some
)

// String returns the state in words: "in use", "idle", "orphan", "removed",
// "damaged", "unknown".
func (s State) String() string {
	switch s {
	case InUse:
		return "in use"
	case Idle:
		return "idle"
	case Orphan:
		return "orphan"
	case Removed:
		return "removed"
	case Damaged:
		return "damaged"
	}
	return "unknown"
}

// Holder is a process that has an object mapped or open.
type Holder struct {
	shm.Holder
	Command string // its name as the kernel has it (/proc/PID/comm); empty if out of sight
}

// Object is one object at the moment it was looked at.
//
// Its JSON form is what shoal ls --json prints. What is unknown, or has no
// meaning for the type, is left out there.
type Object struct {
	// Address names the object. Segments and named semaphores have the addresses
	// of package shm; the others are "sysv-sem:KEY", "sysv-sem-id:ID",
	// "sysv-msg:KEY", "sysv-msg-id:ID" and "mq:/NAME". The address of a Removed
	// POSIX object is the one that it had.
	Address string
	// Name is the bare name of a Shoal object: "ticks" for "/shoal.ticks". It is
	// empty for all others, and where the object's contents are out of reach.
	Name  string
	Type  Type  // what it is
	State State // what has become of it
	// Certain is false if State rests on seeing no holder where the caller cannot
	// see every process. System V segments carry a count and are always certain.
	Certain bool
	// Own says that the object is Shoal's: its POSIX name begins with "shoal.", it
	// is a Draft, or it has a Structure. All others are foreign, whoever made them.
	Own bool

	ID       int32       // System V id; 0 for POSIX
	Size     int64       // bytes, as asked for at creation; of a queue, the bytes in it; -1 if it has none
	Count    int         // semaphores of a set, messages of a queue; -1 if it has neither
	Resident int64       // bytes of memory in use; -1 if unknown
	Swapped  int64       // bytes on swap; -1 if unknown
	Mode     fs.FileMode // permission bits
	UID, GID uint32      // owner

	Creator Creator // who made it: recorded for System V segments alone
	// LastPID is the process that last attached, detached, sent or received; 0 if
	// nobody recorded it.
	LastPID int
	// Attached is the number of attachments of a System V segment, by all
	// processes of the machine; -1 where the kernel keeps no count.
	Attached int
	// Holders are the processes that have the object mapped or open, as far as the
	// caller can see, by PID. Semaphore sets and message queues have none.
	Holders []Holder

	Created time.Time // creation, if the system recorded it
	Changed time.Time // last change of size, mode or owner (System V: of mode or owner, at first its creation)
	Used    time.Time // last attach, detach, operation, send or receive, if the system recorded it

	// Structure is what a Shoal object, or a segment with a member table, says of
	// itself; nil for every other. System V segments are not looked into by Take, and
	// by Find only if a lock file says that they have members: to attach one is
	// recorded by the kernel as its last use.
	Structure *Structure
	Unread    error // why Structure, or Semaphores, may be missing; nil if nothing hindered
	// Semaphores are those of a set, or the one of a Semaphore. Take does not ask.
	Semaphores []SemaphoreState
	// LocksOf is the address of the segment to which a LockFile belongs: "sysv-id:7".
	LocksOf string
	lockOf  int32

	Locked bool // kept in memory (SHM_LOCK)
	Sealed bool // it cannot become shorter
}

// Since returns the last sign of life that the system recorded: the latest of
// Created, Changed and Used. Stores into mapped memory leave none.
func (o *Object) Since() time.Time {
	t := o.Created
	for _, u := range []time.Time{o.Changed, o.Used} {
		if u.After(t) {
			t = u
		}
	}
	return t
}

// Names of POSIX objects that tell what they are.
const (
	ownPrefix       = "shoal."        // the objects of Shoal
	draftPrefix     = ".shoal-draft-" // see package shm: objects before they get their name
	semaphorePrefix = "sem."          // glibc, nptl/sem_open.c
	semaphoreSize   = 32              // sizeof(sem_t), on all 64-bit platforms
)

// memory makes an Object of what package shm tells of a segment.
func memory(info shm.Info, holders []shm.Holder, partial bool) Object {
	o := Object{
		Address:  info.Address.String(),
		Certain:  true,
		ID:       info.ID,
		Size:     info.Size,
		Count:    -1,
		Resident: info.Resident,
		Swapped:  info.Swapped,
		Mode:     info.Mode,
		UID:      info.UID,
		GID:      info.GID,
		Attached: info.Attached,
		Created:  info.Created,
		Changed:  info.Changed,
		Locked:   info.Locked,
		Sealed:   info.Sealed,
	}
	for _, h := range holders {
		o.Holders = append(o.Holders, Holder{Holder: h, Command: Command(h.PID)})
	}
	if info.Address.Kind() == shm.POSIX {
		name := strings.TrimPrefix(o.Address, "/")
		o.Type, o.Own = recognise(name, info.Size)
		if o.Type == LockFile {
			o.lockOf, _ = lockFileOf(name, info.Size)
			o.LocksOf = shm.IDAddress(sysv.ShmID(o.lockOf)).String()
		}
	}
	if info.Address.Kind() == shm.SysV {
		o.Creator = creator(info.CreatorPID, info.Changed)
	}
	used := info.Attached > 0 || len(holders) > 0
	switch {
	case info.Removed:
		o.State = Removed
		return o
	case used:
		o.State = InUse
		return o
	}
	o.Certain = info.Attached >= 0 || !partial
	switch {
	case o.Creator.Life == Alive || info.Address.Kind() == shm.SysV && o.Creator.PID == 0:
		o.State = Idle
	case o.Size == 0:
		o.State = Damaged
	case o.Type == Semaphore:
		o.State = Idle
	default:
		o.State = Orphan
	}
	return o
}

// recognise tells from its name what a POSIX object is, and whose.
func recognise(name string, size int64) (t Type, own bool) {
	switch {
	case strings.HasPrefix(name, draftPrefix):
		return Draft, true
	case strings.HasPrefix(name, semaphorePrefix) && size == semaphoreSize:
		return Semaphore, false
	}
	if _, ok := lockFileOf(name, size); ok {
		return LockFile, true
	}
	return Memory, strings.HasPrefix(name, ownPrefix)
}

// HasID reports whether ID counts: whether the object is a System V one.
func (o *Object) HasID() bool { return strings.HasPrefix(o.Address, "sysv") }
