package cli

import (
	"os"
	"strconv"
	"syscall"
)

// processUser returns the name of the user that a process runs as; "" if it is
// gone.
func processUser(pid int, users userNames) string {
	info, err := os.Stat("/proc/" + strconv.Itoa(pid))
	if err != nil {
		return ""
	}
	return users.name(info.Sys().(*syscall.Stat_t).Uid)
}
