package inspect

import (
	"cmp"
	"slices"
	"time"

	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// Snapshot is every object of the machine at one moment, as far as the caller's
// namespaces reach.
type Snapshot struct {
	Objects []Object  // by Address
	Partial string    // why Holders may be incomplete; empty if they are not
	Time    time.Time // when it was taken
}

// Take looks at every object and at every process. Cost: that of
// [shm.TakeCensus], about 50 µs a process, and a few system calls an object; for
// a Shoal object some ten, and one a member.
func Take() (*Snapshot, error) {
	// Objects before holders: one that vanishes in between is shown unheld; the
	// other way round a new one might be.
	infos, err := shm.List()
	if err != nil {
		return nil, err
	}
	census, err := shm.TakeCensus()
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Partial: census.Partial(), Time: time.Now()}
	addresses := map[string]shm.Address{}
	for _, info := range infos {
		if info.Address.Kind() == shm.POSIX {
			addresses[info.Address.String()] = info.Address
		}
	}
	for _, info := range append(infos, census.Removed()...) {
		s.Objects = append(s.Objects, memory(info, census.Holders(info), s.Partial != ""))
	}
	segments, err := sysv.ShmList()
	if err == nil {
		addTimes(s.Objects, segments)
	}
	addOwn(s.Objects, addresses, segments, err == nil)
	s.Objects = append(s.Objects, semaphoreSets()...)
	s.Objects = append(s.Objects, messageQueues()...)
	slices.SortStableFunc(s.Objects, func(a, b Object) int { return cmp.Compare(a.Address, b.Address) })
	return s, nil
}

// Find looks at the one object at addr; see [Object] for addresses, to which
// "file:PATH" comes. If there is none, the error is fs.ErrNotExist. partial is as
// in [Snapshot]. Cost: as Take.
func Find(addr string) (o Object, partial string, err error) {
	if other, ok := otherScheme(addr); ok {
		o, err := other.find()
		if err == nil && o.Type == SemaphoreSet {
			o.Semaphores, o.Unread = semaphoresOf(sysv.SemID(o.ID))
		}
		return o, "", err
	}
	info, err := shm.Stat(addr)
	if err != nil {
		return Object{}, "", err
	}
	census, err := shm.TakeCensus()
	if err != nil {
		return Object{}, "", err
	}
	partial = census.Partial()
	one := []Object{memory(info, census.Holders(info), partial != "")}
	segments, err := sysv.ShmList()
	if err == nil && info.Address.Kind() == shm.SysV {
		addTimes(one, segments)
	}
	addresses := map[string]shm.Address{}
	if info.Address.Kind() != shm.SysV {
		addresses[one[0].Address] = info.Address
	}
	addOwn(one, addresses, segments, err == nil)
	found := &one[0]
	switch {
	case found.Type == Semaphore:
		var s SemaphoreState
		if s, found.Unread = lookAtSemaphore(info.Address); found.Unread == nil {
			found.Semaphores = []SemaphoreState{s}
		}
	case info.Address.Kind() == shm.SysV:
		found.readAttached(false)
	}
	return *found, partial, nil
}

// readAttached looks into a System V segment that has a lock file, and so members.
// thorough is as for look.
func (o *Object) readAttached(thorough bool) {
	if _, err := shm.Stat(lockFileName(o.ID)); err != nil {
		return
	}
	addr := shm.IDAddress(sysv.ShmID(o.ID)).String()
	seg, err := shm.Open(addr, &shm.Options{ReadOnly: true})
	if err != nil {
		o.Unread = err
		return
	}
	defer seg.Close()
	if o.Structure, o.Unread = examine(seg); o.Structure != nil && o.Unread == nil {
		o.Unread = o.Structure.flow(addr, thorough)
	}
	if o.Structure != nil && o.Structure.Kind != "" {
		o.Own = true
	}
}

// addTimes adds what only package sysv tells of a segment.
func addTimes(objects []Object, segments []sysv.ShmInfo) {
	byID := make(map[int32]sysv.ShmInfo, len(segments))
	for _, s := range segments {
		byID[int32(s.ID)] = s
	}
	for i := range objects {
		o := &objects[i]
		if o.Attached < 0 { // not System V
			continue
		}
		if s, ok := byID[o.ID]; ok {
			o.LastPID = s.LastPID
			o.Used = later(s.AttachTime, s.DetachTime)
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
