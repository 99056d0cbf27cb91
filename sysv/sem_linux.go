//go:build linux && (amd64 || arm64)

package sysv

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/sys"
)

func semGet(key Key, nsems int, flags Flag) (int, error) {
	return sys.Semget(int32(key), nsems, int(flags))
}

// fewOps is how many operations are converted without touching the heap.
const fewOps = 8

// appendOps converts operations to the kernel's form. Flags that do not fit it
// are refused rather than cut.
func appendOps(to []sys.Sembuf, ops []SemBuf) ([]sys.Sembuf, error) {
	for _, op := range ops {
		if op.Flags&^0x7fff != 0 {
			return nil, errInvalid
		}
		to = append(to, sys.Sembuf{Num: op.Num, Op: op.Op, Flg: int16(op.Flags)})
	}
	return to, nil
}

func semOp(id SemID, ops []SemBuf) error {
	var few [fewOps]sys.Sembuf
	kernel, err := appendOps(few[:0], ops)
	if err != nil {
		return err
	}
	for {
		if err := sys.Semtimedop(int(id), kernel, nil); err != syscall.EINTR {
			return err
		}
	}
}

// semTimedOp also tells whether the time was used up. Every signal ends the
// sleep, and Go programs send themselves many: it goes on with what remains.
func semTimedOp(id SemID, timeout time.Duration, ops []SemBuf) (expired bool, err error) {
	var few [fewOps]sys.Sembuf
	kernel, err := appendOps(few[:0], ops)
	if err != nil {
		return false, err
	}
	start := time.Now()
	for remaining := timeout; ; remaining = timeout - time.Since(start) {
		ts := syscall.NsecToTimespec(int64(max(remaining, 0)))
		err := sys.Semtimedop(int(id), kernel, &ts)
		if err == syscall.EINTR {
			continue
		}
		return err == syscall.EAGAIN && time.Since(start) >= timeout, err
	}
}

func semOpContext(ctx context.Context, id SemID, ops []SemBuf) error {
	kernel, err := appendOps(nil, ops)
	if err != nil {
		return err
	}
	return operation{
		busy: syscall.EAGAIN,
		call: func(sleep bool) error {
			if sleep {
				return sys.Semtimedop(int(id), kernel, nil)
			}
			return sys.Semtimedop(int(id), kernel, &syscall.Timespec{})
		},
		nap: func(d time.Duration) (bool, error) { return semTimedOp(id, d, ops) },
	}.wait(ctx)
}

func semGetVal(id SemID, num int) (int, error)    { return sys.SemCtl(int(id), num, sys.GETVAL, 0) }
func semGetNCount(id SemID, num int) (int, error) { return sys.SemCtl(int(id), num, sys.GETNCNT, 0) }
func semGetZCount(id SemID, num int) (int, error) { return sys.SemCtl(int(id), num, sys.GETZCNT, 0) }
func semGetPID(id SemID, num int) (int, error)    { return sys.SemCtl(int(id), num, sys.GETPID, 0) }

func semSetVal(id SemID, num, value int) error {
	_, err := sys.SemCtl(int(id), num, sys.SETVAL, value)
	return err
}

func semGetAll(id SemID) ([]uint16, error) {
	info, err := semStat(id)
	if err != nil {
		return nil, err
	}
	values := make([]uint16, info.Count)
	if err := sys.SemArray(int(id), sys.GETALL, values); err != nil {
		return nil, err
	}
	return values, nil
}

// semSetAll returns the size of the set too, -1 if it could not be learned. The
// kernel trusts the length of the array: it is checked here. Looking the size up
// takes read permission, setting takes write permission; with the latter alone
// the list, which needs none, tells.
func semSetAll(id SemID, values []uint16) (count int, err error) {
	info, err := semStat(id)
	if errors.Is(err, syscall.EACCES) {
		if listed, ok := find(semList, func(s SemInfo) bool { return s.ID == id }); ok {
			info, err = listed, nil
		}
	}
	if err != nil {
		return -1, err
	}
	if info.Count != len(values) {
		return info.Count, errInvalid
	}
	return info.Count, sys.SemArray(int(id), sys.SETALL, values)
}

func semStat(id SemID) (SemInfo, error) {
	var ds sys.SemidDs
	if err := sys.SemStat(int(id), &ds); err != nil {
		return SemInfo{}, err
	}
	return toSemInfo(int(id), &ds), nil
}

func toSemInfo(id int, ds *sys.SemidDs) SemInfo {
	return SemInfo{
		ID:         SemID(id),
		Key:        Key(ds.Perm.Key),
		Count:      int(ds.Nsems),
		UID:        ds.Perm.UID,
		GID:        ds.Perm.GID,
		CreatorUID: ds.Perm.CUID,
		CreatorGID: ds.Perm.CGID,
		Mode:       Mode(ds.Perm.Mode),
		OTime:      seconds(ds.Otime),
		ChangeTime: seconds(ds.Ctime),
	}
}

func semSet(id SemID, p Perm) error {
	return sys.SemSet(int(id), &sys.SemidDs{Perm: toIpcPerm(p)})
}

func semRemove(id SemID) error {
	_, err := sys.SemCtl(int(id), 0, sys.IPC_RMID, 0)
	return err
}

func semLimits() (SemLimit, error) {
	var s sys.Seminfo
	if _, err := sys.SemInfo(sys.IPC_INFO, &s); err != nil {
		return SemLimit{}, err
	}
	return SemLimit{
		MaxSets:       int(s.Semmni),
		MaxSemaphores: int(s.Semmns),
		MaxPerSet:     int(s.Semmsl),
		MaxOps:        int(s.Semopm),
		MaxValue:      int(s.Semvmx),
	}, nil
}

func semUsage() (SemUse, error) {
	var s sys.Seminfo
	if _, err := sys.SemInfo(sys.SEM_INFO, &s); err != nil {
		return SemUse{}, err
	}
	return SemUse{Sets: int(s.Semusz), Semaphores: int(s.Semaem)}, nil
}

// semStatAny is replaced by tests.
var semStatAny = func(index int) (SemInfo, error) {
	var ds sys.SemidDs
	id, err := sys.SemStatAny(index, &ds)
	if err != nil {
		return SemInfo{}, err
	}
	return toSemInfo(id, &ds), nil
}

func semList() ([]SemInfo, error) {
	var s sys.Seminfo
	highest, err := sys.SemInfo(sys.SEM_INFO, &s)
	if err != nil {
		return nil, err
	}
	list, err := listAny(highest, int(s.Semusz), semStatAny)
	if err != nil {
		return fallBack(err, procSem, parseSem)
	}
	return list, nil
}
