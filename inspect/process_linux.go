package inspect

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is the unit of /proc/PID/stat (USER_HZ), 100 on every
// architecture that Shoal runs on.
const ticksPerSecond = 100

// process tells whether a process lives and, if /proc shows it, when it
// started. kill(2) answers for processes that /proc hides, too (hidepid).
func process(pid int) (start time.Time, alive bool) {
	if unix.Kill(pid, 0) == unix.ESRCH {
		return time.Time{}, false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return time.Time{}, unix.Kill(pid, 0) != unix.ESRCH
	}
	state, ticks, ok := parseStat(stat)
	if !ok {
		return time.Time{}, true
	}
	if state == 'Z' || state == 'X' {
		return time.Time{}, false // it holds nothing any more and does nothing any more
	}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return time.Time{}, true
	}
	sinceBoot := time.Duration(ticks) * (time.Second / ticksPerSecond)
	return time.Now().Add(sinceBoot - time.Duration(now.Nano())), true
}

// parseStat reads the state and the start, in ticks since boot, from
// /proc/PID/stat (proc_pid_stat(5)). The name, in parentheses, may hold
// anything, even parentheses and spaces.
func parseStat(stat []byte) (state byte, start int64, ok bool) {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 {
		return 0, 0, false
	}
	const stateField, startField = 0, 19 // the 3rd and 22nd of the line
	f := strings.Fields(string(stat[i+1:]))
	if len(f) <= startField || len(f[stateField]) != 1 {
		return 0, 0, false
	}
	start, err := strconv.ParseInt(f[startField], 10, 64)
	return f[stateField][0], start, err == nil && start >= 0
}

// Command returns the name of a process as the kernel has it, at most 15 bytes
// (/proc/PID/comm); "" if there is none such or it is out of sight.
func Command(pid int) string {
	comm, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/comm")
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(comm), "\n")
}
