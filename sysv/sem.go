package sysv

import (
	"context"
	"math"
	"time"
)

// SemID identifies a set of semaphores in the kernel.
type SemID int32

// SemGet returns the id of the set with a key, and makes it where flags say so.
// It is semget(2).
//
// nsems is the number of semaphores of a new set, at least 1; for an existing
// set the least number that the caller can use, 0 takes any.
//
// New semaphores have the value 0 on Linux, and there is no way to make them
// with another. Between SemGet and the first [SemID.SetAll] or [SemID.Op] of
// the creator another process can find the set half made. The remedy is as old
// as the interface: the creator's first Op is what finishes the set, since it
// sets [SemInfo.OTime], atomically with the values.
//
//	creator:  SemGet(key, 1, Create|Exclusive|0o600), then Op(SemBuf{Op: +n})
//	others:   SemGet(key, 1, 0o600), then wait until OTime is not zero
//
// A creator that dies in between leaves a set whose OTime stays zero; its
// [SemInfo.ChangeTime] says since when.
//
// Errors: EEXIST with Create|Exclusive on an existing key; ENOENT without
// Create on a missing one; EINVAL for nsems below 1 (new) or above the limit
// SEMMSL, or above the size of an existing set; EACCES if the set's mode refuses
// the access that flags ask for; ENOSPC at the limits SEMMNI and SEMMNS; ENOMEM.
func SemGet(key Key, nsems int, flags Flag) (SemID, error) {
	id, err := -1, errInvalid
	if nsems <= math.MaxInt32 && nsems >= math.MinInt32 { // else C's int would cut it, perhaps to a valid number
		id, err = semGet(key, nsems, flags)
	}
	if err != nil {
		return -1, wrap("semget", keyObject(key), err, func(err error) string {
			return semGetAdvice(key, nsems, flags, err)
		})
	}
	return SemID(id), nil
}

// SemBuf is one operation on one semaphore of a set (struct sembuf).
//
//	Op > 0   add Op; never sleeps
//	Op < 0   wait until the value is at least -Op, then subtract
//	Op = 0   wait until the value is 0
//
// With the flag [NoWait] the operation fails with EAGAIN instead of waiting.
//
// With [Undo] the kernel remembers the opposite of Op, and applies it when the
// process ends, whatever the cause. It is remembered for the process, not for
// the goroutine or thread: a goroutine that ends leaves its operations as they
// are. What would bring a value below 0 brings it to 0. Setting a value by
// [SemID.SetValue] or [SemID.SetAll] forgets what was to be undone, of all
// processes.
type SemBuf struct {
	Num   uint16 // which semaphore, from 0
	Op    int16  // what to do, see above; -32768 to 32767
	Flags Flag   // NoWait, Undo
}

// Op performs operations atomically, all or none, and sleeps until it can. It
// is semop(2). A sleeping Op can be ended by removing the set only; see
// [SemID.OpContext].
//
// Errors: EAGAIN if a [NoWait] operation would have to wait; EIDRM (which is
// [io/fs.ErrNotExist]) if the set was removed while Op slept; EINVAL without
// operations, or for an id that does not exist (any more); EFBIG for a semaphore
// that the set does not have; E2BIG for more operations than the limit SEMOPM;
// ERANGE if a value would rise above 32767; EACCES if the mode refuses altering,
// or reading where all operations wait for 0; ENOSPC at the limit of undo
// structures; ENOMEM.
func (id SemID) Op(ops ...SemBuf) error {
	return id.opError("semop", semOp(id, ops))
}

// TimedOp is [SemID.Op] that waits no longer than timeout, semtimedop(2). A
// timeout of 0, or below, tries once.
//
// Errors: those of Op. When the time is over the error is EAGAIN as well as
// [os.ErrDeadlineExceeded]; the latter tells it from a [NoWait] operation's.
func (id SemID) TimedOp(timeout time.Duration, ops ...SemBuf) error {
	expired, err := semTimedOp(id, timeout, ops)
	err = id.opError("semtimedop", err)
	if e, ok := err.(*Error); ok {
		e.timeout = expired
	}
	return err
}

// OpContext is [SemID.Op] that gives up when ctx is done; the error then wraps
// ctx's. An error means that nothing was performed, nil that everything was,
// even if ctx is done by now. A ctx that is done already performs nothing.
//
// Cancelling is prompt and waiting costs nothing: the sleeping thread is woken
// by a signal, SIGURG, which the Go runtime uses for itself and programs ignore.
// A program that ignores or blocks SIGURG makes OpContext poll instead, every
// 50 ms when it has waited for long.
func (id SemID) OpContext(ctx context.Context, ops ...SemBuf) error {
	return id.opError("semop", semOpContext(ctx, id, ops))
}

func (id SemID) opError(call string, err error) error {
	if err == nil {
		return nil
	}
	return wrap(call, idObject(id), err, func(err error) string { return semOpAdvice(id, err) })
}

// Value returns the value of a semaphore, 0 to 32767: semctl(2) GETVAL. It may
// have changed by the time that it is looked at.
//
// Errors, also of the other methods about one semaphore: EINVAL for a number
// that the set does not have, or an id that does not exist (any more); EACCES
// without read permission.
func (id SemID) Value(num int) (int, error) { return id.get("GETVAL", semGetVal, num) }

// NCount returns how many threads sleep until the semaphore's value rises:
// semctl(2) GETNCNT. Errors are those of [SemID.Value].
func (id SemID) NCount(num int) (int, error) { return id.get("GETNCNT", semGetNCount, num) }

// ZCount returns how many threads sleep until the semaphore's value is 0:
// semctl(2) GETZCNT. Errors are those of [SemID.Value].
func (id SemID) ZCount(num int) (int, error) { return id.get("GETZCNT", semGetZCount, num) }

// PID returns the process that last operated on the semaphore, or set it, or
// ended with an operation to be undone: semctl(2) GETPID. 0 is nobody, or a
// process of another pid namespace. Errors are those of [SemID.Value].
func (id SemID) PID(num int) (int, error) { return id.get("GETPID", semGetPID, num) }

func (id SemID) get(cmd string, f func(SemID, int) (int, error), num int) (int, error) {
	v, err := -1, errInvalid
	if num <= math.MaxInt32 && num >= math.MinInt32 {
		v, err = f(id, num)
	}
	if err != nil {
		return -1, wrap("semctl("+cmd+")", numObject(id, num), err, ctlAdvice(id))
	}
	return v, nil
}

// SetValue sets the value of a semaphore: semctl(2) SETVAL. It wakes those who
// can go on, and forgets what was to be undone on it ([Undo]). It does not touch
// [SemInfo.OTime].
//
// Errors: ERANGE for a value below 0 or above 32767; those of [SemID.Value],
// but EACCES without alter (write) permission.
func (id SemID) SetValue(num, value int) error {
	err := errInvalid
	switch {
	case value > math.MaxInt32 || value < math.MinInt32:
		err = errRange
	case num <= math.MaxInt32 && num >= math.MinInt32:
		err = semSetVal(id, num, value)
	}
	return wrap("semctl(SETVAL)", numObject(id, num), err, ctlAdvice(id))
}

// All returns the values of all semaphores at one moment: semctl(2) GETALL.
//
// Errors: EACCES without read permission; EINVAL or EIDRM for an id that does
// not exist (any more).
func (id SemID) All() ([]uint16, error) {
	v, err := semGetAll(id)
	return v, wrap("semctl(GETALL)", idObject(id), err, idAdvice(id))
}

// SetAll sets the values of all semaphores at once, otherwise like
// [SemID.SetValue]: semctl(2) SETALL.
//
// Errors: EINVAL unless there are as many values as semaphores (C would read
// past the end of the array); ERANGE for a value above 32767, and then none is
// set; EACCES without alter (write) permission; EINVAL or EIDRM for an id that
// does not exist (any more).
func (id SemID) SetAll(values []uint16) error {
	count, err := semSetAll(id, values)
	return wrap("semctl(SETALL)", idObject(id), err, func(err error) string {
		if count >= 0 && count != len(values) {
			return plural(len(values), "value") + " for a set of " + plural(count, "semaphore") + ": pass one for each"
		}
		return ctlAdvice(id)(err)
	})
}

// SemInfo is what the kernel knows of a set (struct semid_ds). Times have a
// resolution of one second.
type SemInfo struct {
	ID         SemID     // leads to the set until it is removed, and to no other
	Key        Key       // [Private] for a set without one
	Count      int       // semaphores
	UID, GID   uint32    // owner
	CreatorUID uint32    // who made it
	CreatorGID uint32    // and with which group
	Mode       Mode      // permissions
	OTime      time.Time // last successful Op; zero if never, see [SemGet]
	ChangeTime time.Time // made, or last changed by Set, SetValue, SetAll
}

// Perm returns what [SemID.Set] would leave unchanged.
func (i SemInfo) Perm() Perm { return Perm{i.UID, i.GID, i.Mode & 0o777} }

// Stat tells what the kernel knows of the set: semctl(2) IPC_STAT.
//
// Errors: EACCES without read permission (use [SemList], which needs none);
// EINVAL or EIDRM for an id that does not exist (any more).
func (id SemID) Stat() (SemInfo, error) {
	info, err := semStat(id)
	return info, wrap("semctl(IPC_STAT)", idObject(id), err, idAdvice(id))
}

// OTime returns when the last successful operation took place, zero if none
// ever has: the creator has not finished making the set, see [SemGet]. Errors
// are those of [SemID.Stat].
func (id SemID) OTime() (time.Time, error) {
	info, err := id.Stat()
	return info.OTime, err
}

// Set changes owner, group and permissions: semctl(2) IPC_SET.
//
// Errors: EPERM unless the caller is owner, creator or privileged; EINVAL for
// an id that does not exist (any more), or a UID or GID that does not.
func (id SemID) Set(p Perm) error {
	return wrap("semctl(IPC_SET)", idObject(id), semSet(id, p), ctlAdvice(id))
}

// Remove removes the set at once: semctl(2) IPC_RMID. Whoever sleeps in it
// wakes with EIDRM.
//
// Errors: EPERM unless the caller is owner, creator or privileged; EINVAL or
// EIDRM for an id that does not exist (any more).
func (id SemID) Remove() error {
	return wrap("semctl(IPC_RMID)", idObject(id), semRemove(id), idAdvice(id))
}

// SemList returns every set of the IPC namespace, whatever its permissions, in
// the order of the kernel's table, by SEM_STAT_ANY or, where that fails, from
// /proc/sysvipc/sem. An entry may be gone when it is looked at.
func SemList() ([]SemInfo, error) {
	list, err := semList()
	return list, wrap("semctl(SEM_STAT_ANY)", "", err, nil)
}

// SemLimit holds the limits of the IPC namespace on semaphores (struct
// seminfo). The sysctl kernel.sem holds the first four that count: SEMMSL,
// SEMMNS, SEMOPM, SEMMNI.
type SemLimit struct {
	MaxSets       int // SEMMNI
	MaxSemaphores int // in all sets together: SEMMNS
	MaxPerSet     int // SEMMSL
	MaxOps        int // in one call: SEMOPM
	MaxValue      int // 32767: SEMVMX
}

// SemLimits tells the limits: semctl(2) IPC_INFO.
func SemLimits() (SemLimit, error) {
	l, err := semLimits()
	return l, wrap("semctl(IPC_INFO)", "", err, nil)
}

// SemUse is what all sets of the IPC namespace use together.
type SemUse struct {
	Sets       int // that exist
	Semaphores int // in all of them
}

// SemUsage tells what is used: semctl(2) SEM_INFO.
func SemUsage() (SemUse, error) {
	u, err := semUsage()
	return u, wrap("semctl(SEM_INFO)", "", err, nil)
}
