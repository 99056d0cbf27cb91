package shm

import (
	"cmp"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-247006a4/shoal/posix"
)

// mapping is a line of /proc/PID/maps (proc_pid_maps(5)).
type mapping struct {
	bytes  int64
	shared bool
	dev    uint64 // in the form of st_dev
	inode  uint64
	path   string
}

// parseMapping reads such a line:
//
//	7f0c8a000000-7f0c8a100000 rw-s 00000000 00:19 12  /dev/shm/ticks (deleted)
//
// It reports false for what is no file mapping or no such line at all.
func parseMapping(line string, mkdev func(major, minor uint32) uint64) (m mapping, ok bool) {
	var field [5]string
	rest := line
	for i := range field {
		field[i], rest, _ = strings.Cut(strings.TrimLeft(rest, " "), " ")
	}
	from, to, _ := strings.Cut(field[0], "-")
	major, minor, _ := strings.Cut(field[3], ":")
	numbers := [4]uint64{}
	for i, s := range [4]string{from, to, major, minor} {
		n, err := strconv.ParseUint(s, 16, 64)
		if err != nil {
			return m, false
		}
		numbers[i] = n
	}
	inode, err := strconv.ParseUint(field[4], 10, 64)
	if err != nil || len(field[1]) != 4 || numbers[1] < numbers[0] {
		return m, false
	}
	m = mapping{
		bytes:  int64(numbers[1] - numbers[0]),
		shared: field[1][3] == 's',
		dev:    mkdev(uint32(numbers[2]), uint32(numbers[3])),
		inode:  inode,
		path:   strings.TrimSpace(rest),
	}
	// Anonymous memory and [heap], [vdso], … have no path with a slash. System V
	// segment 0 has inode 0.
	return m, strings.HasPrefix(m.path, "/")
}

// deletedSuffix is what /proc appends to the path of a file without a name. It
// appends it to every System V segment and memfd, too.
const deletedSuffix = " (deleted)"

// describe returns the address that a path in /proc means, as well as it can,
// and whether the object has lost its name. It reports false for what is no
// shared memory object.
func describe(path string, shared bool, inode uint64) (a Address, removed, ok bool) {
	name, deleted := strings.CutSuffix(path, deletedSuffix)
	switch {
	case sysvMapping(name):
		return Address{kind: SysV, byID: true, num: int32(inode)}, false, true
	case strings.HasPrefix(name, "/memfd:"):
		return Address{kind: Memfd, name: strings.TrimPrefix(name, "/memfd:")}, false, true
	case strings.HasPrefix(name, posixPrefix) && !strings.Contains(name[len(posixPrefix):], "/"):
		return Address{kind: POSIX, name: name}, deleted, true
	}
	return Address{kind: File, name: name}, deleted, shared
}

// sysvMapping reports whether a path of /proc/PID/maps is a System V segment:
// ipc/shm.c names the file SYSV and the key, eight hexadecimal digits.
func sysvMapping(path string) bool { return strings.HasPrefix(path, "/SYSV") }

const posixPrefix = posix.ShmDir + "/"

// sorted returns the values of list in the order of key.
func sorted[V any, O cmp.Ordered](list iter.Seq[V], key func(V) O) []V {
	return slices.SortedFunc(list, func(a, b V) int { return cmp.Compare(key(a), key(b)) })
}

// deref yields what the values of m point to.
func deref[K comparable, V any](m map[K]*V) iter.Seq[V] {
	return func(yield func(V) bool) {
		for _, p := range m {
			if !yield(*p) {
				return
			}
		}
	}
}
