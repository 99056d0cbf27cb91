package cli

import (
	"errors"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// io_uring has no wrappers in x/sys: its two calls below take the address of a
// structure, hence unsafe.

// uringParams is struct io_uring_params, which the kernel fills; nothing of it
// is of interest here.
type uringParams [120]byte

// uringProbe is struct io_uring_probe (include/uapi/linux/io_uring.h) with room
// for every operation that may be asked about here.
type uringProbe struct {
	lastOp uint8
	opsLen uint8
	resv   [14]byte
	ops    [64]struct {
		op    uint8
		resv  uint8
		flags uint16
		resv2 uint32
	}
}

const (
	registerProbe = 8  // IORING_REGISTER_PROBE
	opSupported   = 1  // IO_URING_OP_SUPPORTED
	opFutexWait   = 51 // IORING_OP_FUTEX_WAIT
)

// probeUringFutex makes a ring and asks it whether it can wait for futexes.
func probeUringFutex() error {
	var params uringParams
	fd, _, errno := unix.Syscall(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&params)), 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_setup", errno)
	}
	defer unix.Close(int(fd))
	var probe uringProbe
	_, _, errno = unix.Syscall6(unix.SYS_IO_URING_REGISTER, fd, registerProbe,
		uintptr(unsafe.Pointer(&probe)), uintptr(len(probe.ops)), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_register", errno)
	}
	if probe.ops[opFutexWait].flags&opSupported == 0 {
		return errors.New("the kernel's io_uring has no futex wait")
	}
	return nil
}
