//go:build linux && (amd64 || arm64)

package shm

import (
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// draftPrefix begins the names of drafts where O_TMPFILE is not to be had.
// Whoever finds such a file that nobody has open may remove it.
const draftPrefix = ".shoal-draft-"

// draft is an object that is complete but has no name yet.
//
// With O_TMPFILE it has no name at all: if its maker dies, the kernel frees it.
// On file systems without that, it has a temporary name, and a maker that dies
// before discard leaves it as litter for gc.
type draft struct {
	pending bool
	temp    string // its temporary name; empty with O_TMPFILE
}

// createFile makes a draft of a POSIX or file object: reserved, with its mode
// and group. Where that takes long, a name that is taken already fails before any
// memory is spent.
func createFile(a Address, size int64, s settings) (opened, error) {
	path := a.path()
	if size > smallDraft {
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err == nil {
			return opened{}, unix.EEXIST
		} else if err != unix.ENOENT {
			return opened{}, err
		}
	}
	fd, d, err := openDraft(filepath.Dir(path), uint32(s.Mode))
	if err != nil {
		return opened{}, err
	}
	o := &fileObject{addr: a, fd: fd, draft: d}
	err = o.own(s)
	if err == nil {
		err = o.reserve(size)
	}
	if err != nil {
		o.close()
		return opened{}, err
	}
	return opened{o, a, size}, nil
}

// smallDraft is the size in bytes below which a draft that turns out to be in
// vain costs less than asking first.
const smallDraft = 64 << 10

func openDraft(dir string, mode uint32) (fd int, d draft, err error) {
	const flags = unix.O_RDWR | unix.O_CLOEXEC
	fd, err = unix.Open(dir, flags|unix.O_TMPFILE, mode)
	switch err {
	case unix.EOPNOTSUPP, unix.EISDIR, unix.EINVAL: // open(2): no O_TMPFILE here
		return openNamedDraft(dir, flags, mode)
	}
	return fd, draft{pending: true}, err
}

func openNamedDraft(dir string, flags int, mode uint32) (fd int, d draft, err error) {
	temp := filepath.Join(dir, draftPrefix+rand.Text())
	fd, err = unix.Open(temp, flags|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW, mode)
	return fd, draft{pending: true, temp: temp}, err
}

// chown gives a new object the group asked for. The mode comes after it: chown(2)
// may clear bits.
func (o *fileObject) chown(s settings) error {
	if s.gid < 0 {
		return nil
	}
	if err := unix.Fchown(o.fd, -1, s.gid); err != nil {
		return fmt.Errorf("group %s: %w", s.Group, err)
	}
	return nil
}

// own gives a new object exactly the mode and group asked for, where the umask
// or the directory made it otherwise.
func (o *fileObject) own(s settings) error {
	if err := o.chown(s); err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(o.fd, &st); err != nil {
		return err
	}
	if st.Mode&0o7777 == uint32(s.Mode) {
		return nil
	}
	return unix.Fchmod(o.fd, uint32(s.Mode))
}

// publish gives the draft its name, or fails with EEXIST if it is taken.
func (d *draft) publish(fd int, path string) error {
	if !d.pending {
		return nil
	}
	if err := d.link(fd, path); err != nil {
		return err
	}
	if d.temp != "" {
		unix.Unlink(d.temp)
	}
	*d = draft{}
	return nil
}

func (d *draft) link(fd int, path string) error {
	if d.temp == "" {
		// Linking a descriptor itself needs CAP_DAC_READ_SEARCH or Linux 6.10;
		// the detour through /proc needs neither (open(2), O_TMPFILE).
		err := unix.Linkat(fd, "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH)
		if err != unix.ENOENT {
			return err
		}
		return unix.Linkat(unix.AT_FDCWD, procSelfFD(fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	}
	err := unix.Link(d.temp, path)
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EOPNOTSUPP) { // no hard links, as on vfat
		err = unix.Renameat2(unix.AT_FDCWD, d.temp, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	}
	return err
}

// discard removes what an unpublished draft would leave behind.
func (d *draft) discard() {
	if d.temp != "" {
		unix.Unlink(d.temp)
	}
	*d = draft{}
}
