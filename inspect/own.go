package inspect

import (
	"strconv"
	"strings"

	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// BareName returns the name by which programs open the Shoal object at a POSIX
// address, "ticks" for "/shoal.ticks"; empty if there is none.
func BareName(addr string) string {
	name, ok := strings.CutPrefix(addr, "/"+ownPrefix)
	if a, err := object.Address(name); !ok || err != nil || a != addr {
		return ""
	}
	return name
}

// Resolve returns the address that a person means: that of the Shoal object for
// a bare name of letters, digits, dots, underscores and dashes, and addr itself
// for every other. The form of addresses is checked by [CheckAddress].
func Resolve(addr string) (string, error) { return object.Address(addr) }

// The file that carries the locks of the members of System V segment 7 is
// /shoal.sysv-7, of one byte (package member).
const (
	lockFilePrefix = "sysv-"
	lockFileSize   = 1
)

func lockFileName(id int32) string {
	return "/" + ownPrefix + lockFilePrefix + strconv.Itoa(int(id))
}

// lockFileOf returns the id of the segment whose members lock the file of that
// name.
func lockFileOf(name string, size int64) (id int32, ok bool) {
	text, ok := strings.CutPrefix(name, ownPrefix+lockFilePrefix)
	if !ok || size != lockFileSize {
		return 0, false
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return int32(n), err == nil && n >= 0 && text == strconv.FormatInt(n, 10)
}

// addOwn adds what Shoal objects say of themselves, and what is known of its
// lock files.
func addOwn(objects []Object, infos map[string]shm.Address, segments []sysv.ShmInfo, known bool) {
	ids := map[int32]bool{}
	for _, s := range segments {
		ids[int32(s.ID)] = true
	}
	for i := range objects {
		o := &objects[i]
		if o.Type == LockFile && o.State == Orphan && (!known || ids[o.lockOf]) {
			o.State = Idle
		}
		if a, ok := infos[o.Address]; ok && o.Type == Memory && o.State != Removed {
			o.read(a)
		}
	}
}

// read fills Structure, and what follows from it.
func (o *Object) read(a shm.Address) {
	if o.Structure, o.Unread = look(a, false); o.Structure == nil {
		return
	}
	o.Own = true
	o.Name = BareName(o.Address)
	if o.State == Orphan && o.Structure.remembers() {
		o.State = Idle
	}
}

// Look returns what the Shoal object at a POSIX address or file, which may be a
// bare name, says of itself; nil without an error if nothing of Shoal's is there.
// It is [Find] without asking every process: some ten system calls, and for what has a
// [Flow] some twenty.
func Look(addr string) (*Structure, error) {
	addr, err := Resolve(addr)
	if err != nil {
		return nil, err
	}
	a, err := shm.ParseAddress(addr)
	if err != nil {
		return nil, err
	}
	if a.Kind() != shm.POSIX && a.Kind() != shm.File {
		return nil, nil
	}
	return look(a, false)
}

// SemaphoreName returns the name by which sem_open(3) finds a POSIX semaphore:
// "/go" for the object /sem.go. It is false for what is none.
func SemaphoreName(info shm.Info) (name string, ok bool) {
	if info.Address.Kind() != shm.POSIX {
		return "", false
	}
	base := strings.TrimPrefix(info.Address.String(), "/")
	t, _ := recognise(base, info.Size)
	return "/" + strings.TrimPrefix(base, semaphorePrefix), t == Semaphore
}
