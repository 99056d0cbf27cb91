package cli

import (
	"errors"
	"os"
	"strings"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/sysv"
)

// removeOther removes what is no memory.
func removeOther(o inspect.Object) error {
	name, queue := strings.CutPrefix(o.Address, "mq:/")
	switch {
	case queue: // a file there is the queue itself: mq_overview(7)
		return os.Remove("/dev/mqueue/" + name)
	case o.Type == inspect.SemaphoreSet:
		return sysv.SemID(o.ID).Remove()
	case o.Type == inspect.MessageQueue:
		return sysv.MsgID(o.ID).Remove()
	}
	return errors.ErrUnsupported
}
