//go:build linux && (amd64 || arm64)

package demo

import (
	"fmt"
	"math"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/posix"
)

// fullWindow is the size of the transfer's shared memory, in bytes, where there
// is room for it.
const fullWindow = 1 << 20

// windowSize returns fullWindow, halved as often as needed to take no more than
// half of the room in /dev/shm, but at least a chunk. If that is less than
// fullWindow, why says so.
func windowSize() (size int64, why string, err error) {
	room, err := shmRoom()
	if err != nil {
		return 0, "", err
	}
	for size = fullWindow; size > room/2 && size > chunk; {
		size /= 2
	}
	if size < fullWindow {
		why = fmt.Sprintf("%s has %s to spare: %s of it instead of %s",
			posix.ShmDir, formatSize(room), formatSize(size), formatSize(fullWindow))
	}
	return size, why, nil
}

// shmRoom returns how many bytes POSIX shared memory can still take.
func shmRoom() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(posix.ShmDir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", posix.ShmDir, err)
	}
	if st.Blocks == 0 { // a tmpfs without limit
		return math.MaxInt64, nil
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// formatSize formats a size in bytes.
func formatSize(n int64) string {
	switch {
	case n >= 1<<20:
		return strconv.FormatInt(n>>20, 10) + " MiB"
	case n >= 1<<10:
		return strconv.FormatInt(n>>10, 10) + " KiB"
	}
	return strconv.FormatInt(n, 10) + " bytes"
}
