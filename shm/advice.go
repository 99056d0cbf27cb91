package shm

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/seed-247006a4/shoal/posix"
)

// advice says what a person can do about err on a. An error that already
// carries its own words (an [Error] inside) gets no second sentence.
func advice(a Address, err error) string {
	var inner *Error
	if errors.As(err, &inner) {
		return ""
	}
	switch {
	case a.kind == POSIX && errors.Is(err, syscall.ENOENT) && !hasShmDir():
		return "there is no " + posix.ShmDir + " in which it could be; mount it: mount -t tmpfs -o mode=1777 tmpfs " + posix.ShmDir
	case a.kind == POSIX && errors.Is(err, syscall.EROFS):
		return posix.ShmDir + " is mounted read-only; mount -o remount,rw " + posix.ShmDir
	case errors.Is(err, syscall.ELOOP):
		return "a symbolic link stands in its place and is not followed; name the target itself"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		return refusal(a)
	case errors.Is(err, syscall.EISDIR):
		return "a directory stands in its place"
	case errors.Is(err, syscall.ENAMETOOLONG):
		return "a name has at most 255 bytes"
	case errors.Is(err, ErrNotSized):
		return "its creator has not sized it yet, or died before it did: try again, or remove it"
	case errors.Is(err, ErrInUse):
		return "see who uses it with: shoal who " + a.String()
	case errors.Is(err, errors.ErrUnsupported) && !supported:
		return "shared memory needs Linux on x86-64 or arm64"
	}
	return ""
}

// hasShmDir reports whether the system has the directory of POSIX objects.
func hasShmDir() bool {
	_, err := os.Stat(posix.ShmDir)
	return !errors.Is(err, syscall.ENOENT)
}

// refusal says who owns a POSIX or file object and who asks for it. (For System
// V segments, package sysv does.)
func refusal(a Address) string {
	if a.kind != POSIX && a.kind != File {
		return ""
	}
	info, err := statObject(a)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("its mode is %#o, its owner uid %d, gid %d; this process is uid %d, gid %d",
		info.Mode, info.UID, info.GID, os.Geteuid(), os.Getegid())
}

// formatBytes writes a size for people: exact up to 1 KiB, then two digits.
func formatBytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d bytes", n)
	}
	f, i := float64(n)/1024, 0
	for f >= 1024 && i < len(units)-1 {
		f, i = f/1024, i+1
	}
	return fmt.Sprintf("%.4g %ciB", f, units[i])
}
