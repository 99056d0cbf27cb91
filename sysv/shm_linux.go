//go:build linux && (amd64 || arm64)

package sysv

import (
	"errors"

	"github.com/seed-247006a4/shoal/internal/sys"
)

func shmGet(key Key, size int, flags Flag) (int, error) {
	return sys.Shmget(int32(key), uintptr(size), int(flags))
}

func shmAt(id ShmID, addr uintptr, flags AttachFlag) ([]byte, error) {
	return sys.Shmat(int(id), addr, int(flags))
}

func shmDt(b []byte) error { return sys.Shmdt(b) }

func address(b []byte) uintptr { return sys.Address(b) }

func shmStat(id ShmID) (ShmInfo, error) {
	var ds sys.ShmidDs
	if err := sys.ShmStat(int(id), &ds); err != nil {
		return ShmInfo{}, err
	}
	return toShmInfo(int(id), &ds), nil
}

func toShmInfo(id int, ds *sys.ShmidDs) ShmInfo {
	return ShmInfo{
		ID:         ShmID(id),
		Key:        Key(ds.Perm.Key),
		Size:       int64(ds.Segsz),
		UID:        ds.Perm.UID,
		GID:        ds.Perm.GID,
		CreatorUID: ds.Perm.CUID,
		CreatorGID: ds.Perm.CGID,
		Mode:       Mode(ds.Perm.Mode),
		CreatorPID: int(ds.Cpid),
		LastPID:    int(ds.Lpid),
		Attached:   int(ds.Nattch),
		AttachTime: seconds(ds.Atime),
		DetachTime: seconds(ds.Dtime),
		ChangeTime: seconds(ds.Ctime),
		Resident:   -1,
		Swapped:    -1,
	}
}

func shmSet(id ShmID, p Perm) error {
	return sys.ShmSet(int(id), &sys.ShmidDs{Perm: toIpcPerm(p)})
}

func toIpcPerm(p Perm) sys.IpcPerm {
	return sys.IpcPerm{UID: p.UID, GID: p.GID, Mode: uint32(p.Mode)}
}

func shmRemove(id ShmID) error { return sys.ShmCtl(int(id), sys.IPC_RMID) }

func shmLock(id ShmID, lock bool) error {
	if lock {
		return sys.ShmCtl(int(id), sys.SHM_LOCK)
	}
	return sys.ShmCtl(int(id), sys.SHM_UNLOCK)
}

func shmLimits() (ShmLimit, error) {
	var l sys.ShmLimits
	if _, err := sys.ShmIPCInfo(&l); err != nil {
		return ShmLimit{}, err
	}
	return ShmLimit{MaxBytes: l.Shmmax, MinBytes: l.Shmmin, MaxSegments: l.Shmmni, MaxPages: l.Shmall}, nil
}

func shmUsage() (ShmUse, error) {
	var u sys.ShmUsage
	if _, err := sys.ShmInfo(&u); err != nil {
		return ShmUse{}, err
	}
	return ShmUse{Segments: int(u.UsedIDs), Pages: u.Tot, PagesResident: u.Rss, PagesSwapped: u.Swp}, nil
}

// shmStatAny is replaced by tests.
var shmStatAny = func(index int) (ShmInfo, error) {
	var ds sys.ShmidDs
	id, err := sys.ShmStatAny(index, &ds)
	if err != nil {
		return ShmInfo{}, err
	}
	return toShmInfo(id, &ds), nil
}

func shmList() ([]ShmInfo, error) {
	var u sys.ShmUsage
	highest, err := sys.ShmInfo(&u)
	if err != nil {
		return nil, err
	}
	fromProc, procErr := readProc(procShm, parseShm)
	list, err := listAny(highest, int(u.UsedIDs), shmStatAny)
	if err != nil {
		if procErr != nil {
			return nil, errors.Join(err, procErr)
		}
		return fromProc, nil
	}
	memory := make(map[ShmID]ShmInfo, len(fromProc))
	for _, s := range fromProc {
		memory[s.ID] = s
	}
	for i := range list {
		if s, ok := memory[list[i].ID]; ok {
			list[i].Resident, list[i].Swapped = s.Resident, s.Swapped
		}
	}
	return list, nil
}

func shmResidency(id ShmID) (resident, swapped int64, err error) {
	list, err := readProc(procShm, parseShm)
	if err != nil {
		return -1, -1, err
	}
	for _, s := range list {
		if s.ID != id {
			continue
		}
		if s.Resident < 0 || s.Swapped < 0 {
			return -1, -1, errors.ErrUnsupported
		}
		return s.Resident, s.Swapped, nil
	}
	return -1, -1, errInvalid
}
