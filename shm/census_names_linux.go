//go:build linux && (amd64 || arm64)

package shm

import (
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// An object that was made without a name and linked into place, as this package
// makes them, keeps for /proc the path that it had at first, in the process that
// made it and for the descriptors that this process hands over: "/dev/shm/#5
// (deleted)", where 5 is its inode. The name, and that there is one, comes from
// the directory.

// madeNameless reports whether path is such a one.
func madeNameless(path string, id identity) bool {
	return filepath.Base(path) == "#"+strconv.FormatUint(id.inode, 10)
}

// directories are the names in some directories, read when first asked for.
type directories map[string]map[identity]string

// find looks for an object that was made without a name in the directory of its
// path.
func (d directories) find(a Address, id identity) (Address, bool) {
	if a.kind != POSIX && a.kind != File || !madeNameless(a.path(), id) {
		return a, false
	}
	dir := filepath.Dir(a.path())
	names, known := d[dir]
	if !known {
		names = map[identity]string{}
		entries, _ := os.ReadDir(dir) // may be out of sight: then there are none
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			var st unix.Stat_t
			if unix.Lstat(path, &st) == nil {
				names[identity{dev: st.Dev, inode: st.Ino}] = path
			}
		}
		d[dir] = names
	}
	path, ok := names[id]
	return Address{kind: a.kind, name: path}, ok
}

// findNames corrects the addresses in the census.
func (c *Census) findNames() {
	known, found := directories{}, map[identity]Address{}
	for _, objects := range c.byProcess {
		for id, held := range objects {
			if held.Removed {
				if a, ok := known.find(held.Address, id); ok {
					found[id] = a
				}
			}
		}
	}
	for id, a := range found {
		delete(c.removed, id)
		for _, objects := range c.byProcess {
			if held := objects[id]; held != nil {
				held.Address, held.Removed = a, false
			}
		}
	}
}
