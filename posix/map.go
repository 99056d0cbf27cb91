package posix

import (
	"io/fs"
	"os"
	"syscall"
)

// Prot says what a mapping may be used for.
type Prot int

// The protections of mmap(2). A writable shared mapping needs a descriptor
// opened with os.O_RDWR (else EACCES).
const (
	ProtRead  Prot = 0x1 // PROT_READ
	ProtWrite Prot = 0x2 // PROT_WRITE
)

// Mmap maps length bytes of f from offset as shared memory, like mmap(2) with
// MAP_SHARED. The bytes belong to the mapping until [Munmap]: a slice that is
// used after it faults. offset is a multiple of the page size; length 0 is
// EINVAL. Touching a page that lies wholly past the end of the object raises
// SIGBUS, which ends a Go program unless debug.SetPanicOnFault is on.
func Mmap(f *os.File, offset int64, length int, prot Prot) ([]byte, error) {
	if length <= 0 {
		return nil, pathError("mmap", f, syscall.EINVAL)
	}
	b, err := mmap(f, offset, length, prot)
	if err != nil {
		return nil, pathError("mmap", f, err)
	}
	return b, nil
}

// Munmap ends a mapping made by [Mmap]. b must be the slice that Mmap returned,
// not a part of it (EINVAL).
func Munmap(b []byte) error {
	if err := munmap(b); err != nil {
		return &os.SyscallError{Syscall: "munmap", Err: err}
	}
	return nil
}

// Msync writes the pages of a mapped file back to it and waits, like msync(2)
// with MS_SYNC. b is what [Mmap] returned. For shared memory objects, which have
// no file behind them, it has nothing to do and succeeds.
func Msync(b []byte) error {
	if err := msync(b); err != nil {
		return &os.SyscallError{Syscall: "msync", Err: err}
	}
	return nil
}

// fallocateChunk is how many bytes one fallocate(2) reserves. A signal makes
// tmpfs undo the call that it interrupts, so that one call for gigabytes might
// never finish in a program that is being profiled; a chunk takes some 10 ms.
const fallocateChunk = 64 << 20

// Fallocate reserves the memory of the n bytes of f from offset, and makes the
// object longer if it ends before them, like posix_fallocate(3). Where Truncate
// promises pages that may turn out to be missing (SIGBUS when they are touched),
// Fallocate fails now, with ENOSPC. What was there stays; the object never
// becomes shorter. After an error, the object may have grown by a part of n.
//
// Cost: the kernel clears every page, about 0.1 s/GiB.
func Fallocate(f *os.File, offset, n int64) error {
	if offset < 0 || n <= 0 || offset+n < offset {
		return pathError("fallocate", f, syscall.EINVAL)
	}
	for end := offset + n; offset < end; {
		step := min(end-offset, fallocateChunk)
		if err := fallocate(f, offset, step); err != nil {
			return pathError("fallocate", f, err)
		}
		offset += step
	}
	return nil
}

func pathError(op string, f *os.File, err error) error {
	return &fs.PathError{Op: op, Path: f.Name(), Err: err}
}
