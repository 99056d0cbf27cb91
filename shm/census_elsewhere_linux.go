//go:build linux && (amd64 || arm64)

package shm

import (
	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/posix"
)

// forgetElsewhere leaves out the removed objects of another /dev/shm: that of a
// process in another mount namespace (container). Whether they have a name
// there nobody can know here.
func (c *Census) forgetElsewhere() {
	var here unix.Stat_t
	err := unix.Stat(posix.ShmDir, &here)
	for id := range c.removed {
		if err != nil || id.dev != here.Dev {
			delete(c.removed, id)
		}
	}
}
