package inspect

import (
	"encoding/binary"
	"fmt"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
)

// lookAtSemaphore reads the file of a named semaphore; see package posix for the
// format.
func lookAtSemaphore(a shm.Address) (s SemaphoreState, err error) {
	f, err := openToLook(a)
	if err != nil {
		return s, err
	}
	defer f.Close()
	var b [posix.SemSize]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return s, err
	}
	const shared = 0x80 // that it is for more than one process: all named ones are
	value := binary.LittleEndian.Uint32(b[0:])
	if kind := binary.LittleEndian.Uint32(b[8:]); kind != shared || value > posix.SemValueMax {
		return s, fmt.Errorf("no semaphore of glibc: value %#x, and %#x at offset 8 where %#x should be: %w", value, kind, shared, shm.ErrCorrupt)
	}
	s.Value, s.Waiters = int(value), int(binary.LittleEndian.Uint32(b[4:]))
	return s, nil
}
