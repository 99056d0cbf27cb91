package posix

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// createAttempts bounds the dance of open and create-exclusive in ShmOpen.
// Each lost round means that another process created or removed the object in
// between; losing a hundred in a row is not a race but an attack.
const createAttempts = 100

// ShmOpen opens the shared memory object name, and creates it if flag has
// os.O_CREATE, like shm_open(3).
//
// flag is os.O_RDONLY or os.O_RDWR, or-ed with any of os.O_CREATE, os.O_EXCL and
// os.O_TRUNC; anything else is EINVAL. perm is the mode of a new object, less
// the umask. See [ShmPath] for names. A new object has size 0: give it one with
// Truncate, or better with [Fallocate], before mapping it.
//
// The descriptor is close-on-exec and a symbolic link in the object's place is
// never followed (ELOOP). Without os.O_EXCL an existing object is opened without
// O_CREAT, so that fs.protected_regular does not refuse another user's object
// that its mode allows.
func ShmOpen(name string, flag int, perm fs.FileMode) (*os.File, error) {
	f, err := shmOpen(name, flag, perm)
	if err != nil {
		return nil, &fs.PathError{Op: "shm_open", Path: name, Err: err}
	}
	return f, nil
}

func shmOpen(name string, flag int, perm fs.FileMode) (*os.File, error) {
	path, err := ShmPath(name)
	if err != nil {
		return nil, err
	}
	const known = os.O_RDONLY | os.O_RDWR | os.O_CREATE | os.O_EXCL | os.O_TRUNC
	if flag&^known != 0 || perm&^fs.ModePerm != 0 {
		return nil, syscall.EINVAL
	}
	if flag&os.O_CREATE == 0 || flag&os.O_EXCL != 0 {
		return openObject(path, flag, perm)
	}
	for range createAttempts {
		f, err := openObject(path, flag&^os.O_CREATE, 0)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		f, err = openObject(path, flag|os.O_EXCL, perm)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, syscall.EAGAIN
}

// ShmUnlink removes the name of a shared memory object, like shm_unlink(3).
// Processes that have it open or mapped keep it; its memory is freed when the
// last of them lets go. A name that cannot exist is fs.ErrNotExist, as in glibc.
func ShmUnlink(name string) error {
	path, err := ShmPath(name)
	if err != nil {
		err = syscall.ENOENT
	} else {
		err = unlinkObject(path)
	}
	if err != nil {
		return &fs.PathError{Op: "shm_unlink", Path: name, Err: err}
	}
	return nil
}
