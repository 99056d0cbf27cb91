package shm

import (
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"syscall"
)

// Options say how a segment is made and mapped. A nil *Options and the zero
// value are the defaults.
type Options struct {
	// Mode is the permissions of a new object; 0 means 0600. They are set
	// exactly as given, whatever the umask. Only permission bits are allowed;
	// execute bits are meaningless but kept.
	Mode fs.FileMode

	// Group is the group of a new object, by name or number; empty means the
	// creator's.
	Group string

	// ReadOnly maps the segment for reading. Writing to its bytes faults (an
	// error under [Segment.Guard], else the end of the program); WriteAt returns
	// ErrReadOnly. It is enough to have read permission.
	ReadOnly bool

	// HugePages asks for huge pages. System V and memfd segments then come from
	// the machine's pool of them (vm.nr_hugepages) and their size is rounded up
	// to whole ones; with an empty pool that is an error. POSIX and file segments
	// are marked with MADV_HUGEPAGE, a hint that the kernel follows where
	// /sys/kernel/mm/transparent_hugepage/shmem_enabled allows it.
	HugePages bool

	// Populate maps every page now rather than on first touch: a slower open, no
	// page faults later.
	Populate bool

	// LockMemory keeps the pages in memory, never on swap (mlock(2)). It needs
	// RLIMIT_MEMLOCK or CAP_IPC_LOCK.
	LockMemory bool

	// Unsealed leaves a new memfd unsealed, so that any holder may make it
	// shorter under the others, and lets [Receive] and [FromFile] accept such a
	// one. By default memfd segments cannot shrink.
	Unsealed bool
}

// DefaultMode is the mode of a new object unless [Options].Mode says otherwise:
// only its owner may use it.
const DefaultMode fs.FileMode = 0o600

// settings are Options checked and resolved.
type settings struct {
	Options
	gid int // -1: leave
}

func (o *Options) settings() (settings, error) {
	s := settings{gid: -1}
	if o != nil {
		s.Options = *o
	}
	if s.Mode == 0 {
		s.Mode = DefaultMode
	}
	if s.Mode&^fs.ModePerm != 0 {
		return s, fmt.Errorf("mode %#o has more than permission bits: %w", uint32(s.Mode), syscall.EINVAL)
	}
	if s.Group != "" {
		gid, err := groupID(s.Group)
		if err != nil {
			return s, err
		}
		s.gid = gid
	}
	return s, nil
}

func groupID(group string) (int, error) {
	// 2^32-1 means "leave as it is" to chown(2), so it is no group.
	if gid, err := strconv.ParseUint(group, 10, 32); err == nil && gid < 1<<32-1 {
		return int(gid), nil
	}
	g, err := user.LookupGroup(group)
	if err != nil {
		return 0, fmt.Errorf("group %q: %w", group, err)
	}
	return strconv.Atoi(g.Gid)
}
