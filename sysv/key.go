package sysv

import (
	"strconv"
	"strings"
)

// Key names an object for everybody who knows the number, as a path names a
// file. Segments, sets and queues have separate name spaces. It is C's key_t.
type Key int32

// Private is IPC_PRIVATE: a get function given it always makes a new object,
// with or without [Create], that no key leads to. Only its id does.
const Private Key = 0

// String returns the key as ipcs(1) shows it, in hexadecimal and unsigned, but
// without leading zeros: "0x1234". [ParseKey] reads it back.
func (k Key) String() string { return "0x" + strconv.FormatUint(uint64(uint32(k)), 16) }

// ParseKey reads a key: decimal (also negative, as /proc/sysvipc shows half of
// them), hexadecimal after "0x", octal after "0" or "0o", binary after "0b".
// Numbers from -2147483648 to 4294967295 are keys; those above 2147483647 are
// the unsigned form of the negative ones. The error wraps [strconv.ErrSyntax]
// or [strconv.ErrRange].
func ParseKey(s string) (Key, error) {
	n, err := strconv.ParseInt(s, 0, 64)
	if err == nil && strings.ContainsAny(s, "_+") {
		err = strconv.ErrSyntax // Go's digit separators are nobody else's
	}
	if err == nil && (n < -1<<31 || n > 1<<32-1) {
		err = strconv.ErrRange
	}
	if err != nil {
		if ne, ok := err.(*strconv.NumError); ok {
			err = ne.Err
		}
		return 0, &Error{Call: "parse key", Object: strconv.Quote(s), Err: err,
			Advice: "a key is a 32-bit number such as 0x1234, 4660 or -1"}
	}
	return Key(int32(uint32(n))), nil // the low 32 bits, whatever the sign
}

// Ftok makes a key from an existing file and a project number, exactly as
// ftok(3) of glibc does, so that programs which share a path share a key:
//
//	 31      24 23      16 15                 0
//	+----------+----------+--------------------+
//	|   proj   | st_dev   |       st_ino       |   the low bits of each
//	+----------+----------+--------------------+
//
// The file's contents do not matter, its inode does: replacing the file changes
// the key. Different files may give the same key, so a program should check that
// the object is its own. POSIX leaves a proj of 0 undefined; glibc, and this
// function, compute with it. Links are followed.
//
// Errors are stat(2)'s: [io/fs.ErrNotExist], [io/fs.ErrPermission].
func Ftok(path string, proj byte) (Key, error) {
	ino, dev, err := fileIdentity(path)
	if err != nil {
		return 0, wrap("ftok", path, err, nil)
	}
	return ftok(ino, dev, proj), nil
}

func ftok(ino, dev uint64, proj byte) Key {
	return Key(int32(uint32(ino&0xffff) | uint32(dev&0xff)<<16 | uint32(proj)<<24))
}
