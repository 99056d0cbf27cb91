package shm

import (
	"fmt"
	"maps"
)

// Holder is a process that has an object mapped or open.
type Holder struct {
	PID         int   // in this PID namespace
	Mapped      int64 // bytes of address space, over all its mappings of the object; 0 if it is only open
	Descriptors int   // file descriptors on the object; always 0 for System V
}

// Held is an object as one process holds it.
type Held struct {
	Address     Address // as far as /proc tells it; a removed object keeps its old name
	Removed     bool    // the object has no name any more
	Mapped      int64   // bytes of address space
	Descriptors int     // file descriptors on it; always 0 for System V
}

// Census is one look at every process: who holds which shared memory. It comes
// from /proc/PID/maps and /proc/PID/fd, and so is a picture of a moment, and of
// the processes that the caller may look at: see [Census.Partial].
//
// Objects are told apart as the kernel does, by device and inode; the inode of a
// System V segment is its id (ipc/shm.c), which counts only within one IPC
// namespace.
type Census struct {
	byObject  map[identity]map[int]*Holder
	byProcess map[int]map[identity]*Held
	removed   map[identity]Info
	blind     []string // why it does not see everything
}

// TakeCensus looks at every process. Cost: two files and a directory for each,
// about 50 µs a process.
func TakeCensus() (*Census, error) {
	c, err := takeCensus()
	if err != nil {
		return nil, &Error{Op: "look up holders of", Object: "shared memory", Err: err}
	}
	return c, nil
}

// Holders returns the processes that hold the object, by PID.
func (c *Census) Holders(info Info) []Holder {
	return sorted(deref(c.byObject[info.identity]), func(h Holder) int64 { return int64(h.PID) })
}

// Objects returns what the process holds, by address.
func (c *Census) Objects(pid int) []Held {
	return sorted(deref(c.byProcess[pid]), func(h Held) string { return h.Address.String() })
}

// Removed returns the POSIX objects of this /dev/shm (a container may have
// another) that have no name any more and that somebody still holds: memory that
// ls(1) does not show. Size is what is mapped or, where a descriptor tells it, the
// object's own.
func (c *Census) Removed() []Info {
	return sorted(maps.Values(c.removed), func(i Info) string { return i.Address.String() })
}

// Partial says why the census cannot have seen every process, or returns "".
func (c *Census) Partial() string {
	switch len(c.blind) {
	case 0:
		return ""
	case 1:
		return c.blind[0]
	}
	return fmt.Sprintf("%s; %s", c.blind[0], c.blind[1])
}

// Holders returns the processes that have the object at addr mapped or open. If
// partial is not empty there may be more, and it says why. For one object; for
// many, take one [Census].
func Holders(addr string) (holders []Holder, partial string, err error) {
	info, err := Stat(addr)
	if err != nil {
		return nil, "", err
	}
	c, err := TakeCensus()
	if err != nil {
		return nil, "", err
	}
	return c.Holders(info), c.Partial(), nil
}

// Holders returns the processes that have the segment mapped or open; this one
// is among them. See the function [Holders].
func (s *Segment) Holders() (holders []Holder, partial string, err error) {
	info, err := s.Stat()
	if err != nil {
		return nil, "", err
	}
	c, err := TakeCensus()
	if err != nil {
		return nil, "", err
	}
	return c.Holders(info), c.Partial(), nil
}
