package posix

import (
	"strings"
	"syscall"
)

// ShmDir is the directory in which glibc keeps POSIX shared memory objects and
// named semaphores (glibc sysdeps/unix/sysv/linux, since 2.34 a fixed path).
const ShmDir = "/dev/shm"

// nameMax is NAME_MAX of Linux: the longest file name, in bytes.
const nameMax = 255

// ShmPath returns the file that stands for the shared memory object name.
//
// The rules are glibc's (posix/shm-directory.h): leading slashes are stripped,
// so "x", "/x" and "///x" are the same object; an empty name and one with an
// inner or trailing slash are EINVAL; more than 255 bytes is ENAMETOOLONG.
// Two names that glibc lets through are refused here with EINVAL because they
// are directories, never objects: "." and "..". So is a name with a NUL byte,
// which C cannot express.
func ShmPath(name string) (string, error) {
	base := strings.TrimLeft(name, "/")
	switch {
	case base == "", base == ".", base == "..":
		return "", syscall.EINVAL
	case strings.IndexByte(base, '/') >= 0, strings.IndexByte(base, 0) >= 0:
		return "", syscall.EINVAL
	case len(base) > nameMax:
		return "", syscall.ENAMETOOLONG
	}
	return ShmDir + "/" + base, nil
}
