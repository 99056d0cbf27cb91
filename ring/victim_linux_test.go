//go:build linux && (amd64 || arm64) && shoalcrash

package ring_test

import (
	"strconv"

	"github.com/seed-247006a4/shoal/internal/crash"
	"github.com/seed-247006a4/shoal/internal/rerun"
)

func init() {
	// victim OPERATION FIRST KILL performs the operation, whose records have numbers
	// from FIRST, and dies at its store number KILL.
	roles["victim"] = func(args []string) {
		first, err := strconv.ParseUint(args[1], 10, 64)
		rerun.Check(err)
		kill, err := strconv.Atoi(args[2])
		rerun.Check(err)
		op := operations[args[0]].prepare(first)
		rerun.Say("ready")
		rerun.Hear()
		crash.Arm(kill)
		err = op()
		passed := crash.Passed()
		crash.Arm(0)
		rerun.Check(err)
		rerun.Say("done", passed)
		rerun.Hear()
	}
}
