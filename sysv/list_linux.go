//go:build linux && (amd64 || arm64)

package sysv

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// The kernel's own lists.
const (
	procShm = "/proc/sysvipc/shm"
	procSem = "/proc/sysvipc/sem"
	procMsg = "/proc/sysvipc/msg"
)

// listAny asks for every place of the kernel's table, from 0 to highest.
// Empty ones answer EINVAL, and so does every place of a kernel that does not
// know the command: if none of used objects can be seen, EINVAL is the answer.
func listAny[T any](highest, used int, statAny func(index int) (T, error)) ([]T, error) {
	list := make([]T, 0, used)
	for i := 0; i <= highest; i++ {
		info, err := statAny(i)
		switch {
		case err == nil:
			list = append(list, info)
		case errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EIDRM): // empty, or just removed
		default:
			return nil, err
		}
	}
	if len(list) == 0 && used > 0 {
		return nil, syscall.EINVAL
	}
	return list, nil
}

// fallBack reads one of the kernel's files after *_STAT_ANY has failed with
// err.
func fallBack[T any](err error, path string, parse func(io.Reader) ([]T, error)) ([]T, error) {
	list, procErr := readProc(path, parse)
	if procErr != nil {
		return nil, errors.Join(err, procErr)
	}
	return list, nil
}

func readProc[T any](path string, parse func(io.Reader) ([]T, error)) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return parse(f)
}
