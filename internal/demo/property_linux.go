//go:build linux && (amd64 || arm64)

package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// A property is an object that belongs to the story, described before it is made
// so that it can be told from everything else that might come to its name.
// Exactly one of its parts is set.
type property struct {
	SysV  *sysvSegment `json:",omitempty"`
	Posix *posixFile   `json:",omitempty"`
	Dir   string       `json:",omitempty"` // a directory, with all that is in it; its name is random
}

// A sysvSegment is the segment that a process makes at a key. The kernel keeps
// both. No other process can have that pid as long as somebody holds it: see
// hold, and cast.launch.
type sysvSegment struct {
	Key   sysv.Key
	Maker int
	ID    *sysv.ShmID `json:",omitempty"` // once known; then the pid does not matter
}

// A posixFile is the object with this inode. A tmpfs numbers its inodes upwards,
// so none is used twice in any time that matters.
type posixFile struct {
	Name     string
	Dev, Ino uint64
}

// remove removes the object if it is there.
func (p property) remove() error {
	switch {
	case p.SysV != nil:
		return p.SysV.remove()
	case p.Posix != nil:
		return p.Posix.remove()
	case p.Dir != "":
		return os.RemoveAll(p.Dir)
	}
	return nil
}

func (s *sysvSegment) remove() error {
	id := s.ID
	if id == nil {
		made, err := s.find()
		if made == nil || err != nil {
			return err
		}
		id = made.ID
	}
	if err := shm.Remove(shm.IDAddress(*id).String()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// find returns the segment with its id, or nil if it is not there.
//
// Precondition: somebody holds the maker's pid.
func (s *sysvSegment) find() (*sysvSegment, error) {
	list, err := sysv.ShmList()
	if err != nil {
		return nil, err
	}
	for _, info := range list {
		if info.Key == s.Key && info.CreatorPID == s.Maker {
			return &sysvSegment{s.Key, s.Maker, &info.ID}, nil
		}
	}
	return nil, nil
}

func (p *posixFile) remove() error {
	path, err := posix.ShmPath(p.Name)
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err == nil {
		if st := info.Sys().(*syscall.Stat_t); st.Dev != p.Dev || st.Ino != p.Ino {
			return nil // somebody else's
		}
		err = posix.ShmUnlink(p.Name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// mapped describes the object that is to get a name and is mapped at b, whole:
// what the kernel says of the mapping (proc_pid_maps(5)).
func mapped(name string, b []byte) (property, error) {
	f, err := os.Open("/proc/self/maps")
	if err != nil {
		return property{}, err
	}
	defer f.Close()
	begin := strconv.FormatUint(uint64(reflect.ValueOf(b).Pointer()), 16) + "-"
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := strings.TrimLeft(lines.Text(), "0") // it writes 8 digits at least
		if !strings.HasPrefix(line, begin) {
			continue
		}
		var perms, end string
		var offset, ino uint64
		var major, minor uint32
		if _, err := fmt.Sscanf(line[len(begin):], "%s %s %x %x:%x %d", &end, &perms, &offset, &major, &minor, &ino); err != nil {
			return property{}, fmt.Errorf("/proc/self/maps, %q: %w", line, err)
		}
		return property{Posix: &posixFile{name, unix.Mkdev(major, minor), ino}}, nil
	}
	return property{}, errors.Join(lines.Err(), fmt.Errorf("no mapping at %s in /proc/self/maps: %w", begin, fs.ErrNotExist))
}
