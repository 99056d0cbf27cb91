//go:build linux && (amd64 || arm64)

package main

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// removeQueue removes a POSIX message queue, if there is one of that name. The system
// call takes a pointer, and golang.org/x/sys has no function for it: hence unsafe.
func removeQueue(name *byte) {
	_, _, _ = unix.Syscall(unix.SYS_MQ_UNLINK, uintptr(unsafe.Pointer(name)), 0, 0)
}
