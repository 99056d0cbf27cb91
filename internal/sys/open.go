//go:build linux && (amd64 || arm64)

package sys

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// OpenRegular is open(2) for what has to be a regular file: a symbolic link at
// the end of the path is ELOOP, a directory EISDIR, and anything else that is no
// regular file EINVAL, a FIFO too, which never makes it wait. It also returns
// what fstat(2) says. The descriptor is close-on-exec.
//
// It waits only where open(2) itself would on a regular file: while another
// process has a lease on it (fcntl(2), F_SETLEASE).
func OpenRegular(path string, flags int, perm uint32) (fd int, st unix.Stat_t, err error) {
	flags |= unix.O_CLOEXEC | unix.O_NOFOLLOW
	// O_NONBLOCK is for a FIFO in the file's place.
	fd, err = unix.Open(path, flags|unix.O_NONBLOCK, perm)
	if err == unix.EAGAIN {
		fd, err = openLeased(path, flags)
	}
	if err != nil {
		return -1, st, err
	}
	err = unix.Fstat(fd, &st)
	if err == nil {
		err = regular(&st)
	}
	if err != nil {
		unix.Close(fd)
		return -1, st, err
	}
	return fd, st, nil
}

// openLeased opens without O_NONBLOCK, and so waits for a lease to end. What it
// waits on is made sure of first, by a descriptor that opens nothing (O_PATH).
func openLeased(path string, flags int) (int, error) {
	place, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, err
	}
	defer unix.Close(place)
	var st unix.Stat_t
	if err := unix.Fstat(place, &st); err != nil {
		return -1, err
	}
	if err := regular(&st); err != nil {
		return -1, err
	}
	return unix.Open("/proc/self/fd/"+strconv.Itoa(place), flags&^unix.O_NOFOLLOW, 0)
}

func regular(st *unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		return nil
	case unix.S_IFDIR:
		return unix.EISDIR
	case unix.S_IFLNK:
		return unix.ELOOP
	}
	return unix.EINVAL
}
