//go:build linux && (amd64 || arm64)

package sysv

import (
	"errors"
	"syscall"
)

// What this package finds out before the kernel, in the kernel's words.
var (
	errInvalid error = syscall.EINVAL
	errRange   error = syscall.ERANGE
)

func isInvalid(err error) bool { return errors.Is(err, syscall.EINVAL) }

func isRemoved(err error) bool { return errors.Is(err, syscall.EIDRM) }
