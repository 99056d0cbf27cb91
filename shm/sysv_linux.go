//go:build linux && (amd64 || arm64)

package shm

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/sysv"
)

// sysvObject is a System V segment.
type sysvObject struct {
	addr  Address
	id    sysv.ShmID
	draft bool // made by this process and not published yet
}

func createSysV(a Address, size int64, s settings) (opened, error) {
	if a.byID {
		return opened{}, fmt.Errorf("the kernel chooses ids; create by key, or sysv:0 for a private segment: %w", unix.EINVAL)
	}
	flags := sysv.Create | sysv.Exclusive | sysv.Flag(s.Mode)
	if s.HugePages {
		flags |= sysv.HugeTLB
		page, err := hugePageSize()
		if err != nil {
			return opened{}, err
		}
		if size, err = roundUp(size, page); err != nil {
			return opened{}, err
		}
	}
	id, err := sysv.ShmGet(sysv.Key(a.num), int(size), flags)
	if err != nil {
		return opened{}, err
	}
	if sysv.Key(a.num) == sysv.Private {
		a = IDAddress(id)
	}
	o := &sysvObject{addr: a, id: id, draft: true}
	if s.gid >= 0 {
		if err := o.setGroup(s); err != nil {
			o.close()
			return opened{}, fmt.Errorf("group %s: %w", s.Group, err)
		}
	}
	return opened{o, o.addr, size}, nil
}

func (o *sysvObject) setGroup(s settings) error {
	info, err := o.id.Stat()
	if err != nil {
		return err
	}
	p := info.Perm()
	p.GID = uint32(s.gid)
	return o.id.Set(p)
}

func openSysV(a Address) (opened, error) {
	id, err := findSysV(a)
	if err != nil {
		return opened{}, err
	}
	o := &sysvObject{addr: a, id: id}
	size, err := o.size()
	return opened{o, a, size}, err
}

// findSysV returns the id that an address means. Looking a key up with size and
// flags 0 needs no permission (shmget(2)).
func findSysV(a Address) (sysv.ShmID, error) {
	switch {
	case a.byID:
		return sysv.ShmID(a.num), nil
	case sysv.Key(a.num) == sysv.Private:
		return 0, fmt.Errorf("key 0 is IPC_PRIVATE and finds nothing; use sysv-id: %w", unix.EINVAL)
	}
	return sysv.ShmGet(sysv.Key(a.num), 0, 0)
}

func (o *sysvObject) size() (int64, error) {
	info, err := o.id.Stat()
	return info.Size, missingID(err)
}

// missingID makes an id that does not exist (EINVAL, as for a call that makes no
// sense) fs.ErrNotExist, like any other missing object.
func missingID(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EIDRM) {
		return fmt.Errorf("no such System V segment: %w", fs.ErrNotExist)
	}
	return err
}

func (o *sysvObject) attach(_ int64, s settings) ([]byte, error) {
	var flags sysv.AttachFlag
	advice := unix.MADV_POPULATE_WRITE
	if s.ReadOnly {
		flags, advice = sysv.ReadOnly, unix.MADV_POPULATE_READ
	}
	b, err := sysv.ShmAt(o.id, 0, flags)
	if err != nil {
		return nil, missingID(err)
	}
	if s.Populate {
		err = ignoringEINTR(func() error { return unix.Madvise(b, advice) })
		if err == unix.EINVAL { // before Linux 5.14; then pages come on first touch
			err = nil
		}
	}
	if err == nil && s.LockMemory {
		err = lockMemory(b)
	}
	if err != nil {
		sysv.ShmDt(b)
		return nil, err
	}
	return b, nil
}

func (o *sysvObject) detach(b []byte) error { return sysv.ShmDt(b) }

func (o *sysvObject) grow(int64) error {
	return fmt.Errorf("a System V segment keeps its size; make another one: %w", errors.ErrUnsupported)
}

func (o *sysvObject) flush([]byte) error { return nil }

func (o *sysvObject) stat() (Info, error) {
	info, err := o.id.Stat()
	if err != nil {
		return Info{}, missingID(err)
	}
	if resident, swapped, err := o.id.Residency(); err == nil {
		info.Resident, info.Swapped = resident, swapped
	}
	return sysvInfo(info), nil
}

func (o *sysvObject) publish() error { o.draft = false; return nil }

func (o *sysvObject) remove() error { return missingID(o.id.Remove()) }

func (o *sysvObject) close() error {
	if o.draft {
		return o.remove()
	}
	return nil
}

func removeSysV(a Address) error {
	id, err := findSysV(a)
	if err != nil {
		return err
	}
	return missingID(id.Remove())
}

// statSysV looks the segment up in the list, which needs no permission on it.
func statSysV(a Address) (Info, error) {
	id, err := findSysV(a)
	if err != nil {
		return Info{}, err
	}
	list, err := sysv.ShmList()
	if err != nil {
		return Info{}, err
	}
	for _, info := range list {
		if info.ID == id {
			return sysvInfo(info), nil
		}
	}
	return Info{}, missingID(unix.EINVAL)
}

func listSysV() ([]Info, error) {
	list, err := sysv.ShmList()
	if errors.Is(err, unix.ENOSYS) { // a kernel without System V IPC
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	infos := make([]Info, len(list))
	for i, info := range list {
		infos[i] = sysvInfo(info)
	}
	return infos, nil
}

// sysvInfo describes a segment by its key, or by its id where that is the only
// way to reach it: a private one, and one that has been removed.
func sysvInfo(in sysv.ShmInfo) Info {
	a := KeyAddress(in.Key)
	if in.Key == sysv.Private {
		a = IDAddress(in.ID)
	}
	return Info{
		Address:    a,
		ID:         int32(in.ID),
		Size:       in.Size,
		Resident:   in.Resident,
		Swapped:    in.Swapped,
		Mode:       in.Mode.Perm(),
		UID:        in.UID,
		GID:        in.GID,
		CreatorPID: in.CreatorPID,
		Attached:   in.Attached,
		Changed:    in.ChangeTime,
		Locked:     in.Mode.Locked(),
		Removed:    in.Mode.Dest(),
		identity:   identity{sysv: true, inode: uint64(uint32(in.ID))},
	}
}

func idOf(info Info) sysv.ShmID { return sysv.ShmID(info.ID) }
