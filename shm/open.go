package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// openAttempts bounds the rounds of open and create-exclusive. Every lost round
// means that another process created or removed the object in between.
const openAttempts = 100

// Create makes a new object of size bytes, all zero, and maps it. An object that
// is there already is left alone, and the error is fs.ErrExist.
//
// The object appears complete or not at all: with its full size, its mode, its
// group and its memory reserved. If /dev/shm (or the file's disk) lacks the
// room, the error names size asked and size free, and nothing is left behind.
//
// For System V, "sysv:0" is IPC_PRIVATE: always a new segment, whose address
// afterwards is its id.
func Create(addr string, size int64, opts *Options) (*Segment, error) {
	a, s, err := prepare("create", addr, opts)
	if err != nil {
		return nil, err
	}
	seg, err := create(a, size, s, nil)
	return seg, fail("create", a, err)
}

// Build is [Create] with contents: fill writes them into the new object, zero so
// far, before others can open it. If fill fails, there has never been an object.
// A System V segment alone is visible meanwhile, all zero.
func Build(addr string, size int64, opts *Options, fill func([]byte) error) (*Segment, error) {
	a, s, err := prepare("create", addr, opts)
	if err != nil {
		return nil, err
	}
	seg, err := create(a, size, s, fill)
	return seg, fail("create", a, err)
}

func create(a Address, size int64, s settings, fill func([]byte) error) (*Segment, error) {
	if size <= 0 {
		return nil, fmt.Errorf("size %d is not positive: %w", size, syscall.EINVAL)
	}
	if s.ReadOnly {
		return nil, fmt.Errorf("a new segment cannot be read-only: %w", syscall.EINVAL)
	}
	obj, err := createObject(a, size, s)
	if err != nil {
		return nil, err
	}
	// Mapped first, published last: a failure before leaves nothing behind.
	seg, err := newSegment(obj, s)
	if err != nil {
		return nil, err
	}
	if fill != nil {
		err = fill(seg.Bytes())
	}
	if err == nil {
		err = obj.publish()
	}
	if err != nil {
		seg.Close()
		return nil, err
	}
	return seg, nil
}

// Open maps an existing object whole, whoever made it. If there is none, the
// error is fs.ErrNotExist. Mode and Group of the options do not matter here.
func Open(addr string, opts *Options) (*Segment, error) {
	a, s, err := prepare("open", addr, opts)
	if err != nil {
		return nil, err
	}
	seg, err := open(a, s)
	return seg, fail("open", a, err)
}

func open(a Address, s settings) (*Segment, error) {
	obj, err := openObject(a, s)
	if err != nil {
		return nil, err
	}
	return newSegment(obj, s)
}

// OpenOrCreate maps the object if it exists and creates it if not, and tells
// which. Any number of processes may do so at once: exactly one creates. An
// existing object that is smaller than size is ErrTooSmall; a larger one is
// mapped whole.
func OpenOrCreate(addr string, size int64, opts *Options) (seg *Segment, created bool, err error) {
	a, s, err := prepare("open", addr, opts)
	if err != nil {
		return nil, false, err
	}
	for range openAttempts {
		seg, err = open(a, s)
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		seg, err = create(a, size, s, nil)
		// A System V segment can be removed between its creation and its mapping.
		lost := errors.Is(err, fs.ErrExist) || a.kind == SysV && errors.Is(err, fs.ErrNotExist)
		if !lost {
			return seg, err == nil, fail("create", a, err)
		}
	}
	if err != nil {
		return nil, false, fail("open", a, err)
	}
	if have := seg.Size(); int64(have) < size {
		seg.Close()
		return nil, false, failf("open", a, ErrTooSmall,
			"it has %d bytes and %d were asked: open it and Grow it, or remove it first", have, size)
	}
	return seg, false, nil
}

// Remove takes away the name of an object: shm_unlink, shmctl IPC_RMID, unlink.
// Processes that have it mapped go on using it until they let go. If there is
// none, the error is fs.ErrNotExist.
//
// In /dev/shm whatever has the name goes, as by shm_unlink(3): of a symbolic link
// the link itself. Elsewhere only regular files are removed. A directory stays.
func Remove(addr string) error {
	a, err := ParseAddress(addr)
	if err != nil {
		return err
	}
	return fail("remove", a, removeObject(a))
}

// RemoveUnused is [Remove] for an object that no process has open or mapped;
// one that is in use stays, and the error is ErrInUse.
//
// The kernel decides, for every user, container and namespace at once. System V
// segments carry a count of their attachments; whoever attaches one between the
// look at that count and the removal keeps it, without its key. For POSIX and
// file objects it grants a write lease (fcntl F_SETLEASE), which it does only if
// there is no other open file description, and every mapping holds one; whoever
// opens the object meanwhile waits, and [Open] then finds nothing. Taking a lease
// takes the object's owner or CAP_LEASE.
func RemoveUnused(addr string) error {
	a, err := ParseAddress(addr)
	if err != nil {
		return err
	}
	return fail("remove", a, removeUnused(a))
}

func prepare(op, addr string, opts *Options) (Address, settings, error) {
	a, err := ParseAddress(addr)
	if err != nil {
		return a, settings{}, err
	}
	s, err := opts.settings()
	return a, s, fail(op, a, err)
}
