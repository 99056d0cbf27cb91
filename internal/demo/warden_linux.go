//go:build linux && (amd64 || arm64)

package demo

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// The warden is the process that removes what the story leaves. Every other
// process, the demo too, holds the writing end of a pipe to it, and writes there
// what it has made. When the last of them has ended, whatever the cause, the
// kernel closes the pipe; the warden reads its end, removes what is still there,
// and ends. So nobody else cleans up after a failure, and nobody need mind being
// killed. (Should the warden be killed the demo does it, which has kept a list.)

// A property is an object that belongs to the story: one line in the warden's
// pipe. Exactly one of its parts is set.
type property struct {
	SysV       string      `json:",omitempty"` // a segment's address, by id
	Posix      *posixFile  `json:",omitempty"`
	Semaphores *sysv.SemID `json:",omitempty"`
}

// A posixFile tells an object from another that has come to its name.
type posixFile struct {
	Name     string
	Dev, Ino uint64
}

// ownPosix is the property of having created a POSIX object.
func ownPosix(name string, f *os.File) (property, error) {
	info, err := f.Stat()
	if err != nil {
		return property{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return property{Posix: &posixFile{name, st.Dev, st.Ino}}, nil
}

// remove removes the object if it is still there.
func (p property) remove() error {
	switch {
	case p.SysV != "":
		if err := shm.Remove(p.SysV); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	case p.Semaphores != nil:
		if err := p.Semaphores.Remove(); !errors.Is(err, syscall.EINVAL) { // no such id (any more)
			return err
		}
	case p.Posix != nil:
		return p.Posix.remove()
	}
	return nil
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

// settle removes what is still there, the newest first.
func settle(estate []property) (err error) {
	for _, p := range slices.Backward(estate) {
		err = errors.Join(err, p.remove())
	}
	return err
}

// ward is the warden's role.
func ward(a *actor) error {
	// Not before the others have ended.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	a.say("removes what is left when the others have ended, any way")
	var estate []property
	in := json.NewDecoder(os.NewFile(wardenFD, "warden"))
	for {
		var p property
		err := in.Decode(&p)
		if err == nil {
			estate = append(estate, p)
			continue
		}
		if err == io.EOF {
			err = nil
		}
		return errors.Join(err, settle(estate))
	}
}
