//go:build linux && (amd64 || arm64)

package demo

import (
	"fmt"
	"strings"

	"github.com/seed-247006a4/shoal/shm"
)

// objectPrefix begins the address of an object that nobody need know the name of;
// the pid of the process that makes it completes it.
const objectPrefix = "/shoal-demo-"

// maxListed is how many objects a list shows; a busy machine has hundreds.
const maxListed = 8

// list shows objects of the machine.
func (s *story) list(objects []shm.Info) {
	if len(objects) == 0 {
		s.print("  none\n")
	}
	for i, o := range objects {
		if i == maxListed {
			s.print("  and %d more\n", len(objects)-i)
			break
		}
		s.print("  %-40.40s %12d bytes  %04o\n", o.Address, o.Size, o.Mode)
	}
}

// compare says what has become of the machine's objects. It is an error if the
// demo has left one.
func (s *story) compare(before, after []shm.Info) error {
	were := make(map[string]bool)
	for _, o := range before {
		were[o.Address.String()] = true
	}
	var ours []string
	others := 0
	for _, o := range after {
		switch addr := o.Address.String(); {
		case were[addr]:
		case addr == sysvAddress || addr == posixName || strings.HasPrefix(addr, objectPrefix):
			ours = append(ours, addr)
		default:
			others++
		}
	}
	if len(ours) > 0 {
		return fmt.Errorf("left behind, or made by somebody else meanwhile: %s; see shoal stat, and remove by shoal rm",
			strings.Join(ours, ", "))
	}
	s.print("\nNothing left: all that the demo made is gone.\n")
	if others > 0 {
		s.print("(%d objects are new, but not the demo's: other programs run, too.)\n", others)
	}
	return s.check()
}
