//go:build linux && (amd64 || arm64) && shoalcrash

package crash

import (
	"strconv"

	"github.com/seed-247006a4/shoal/internal/crash"
	"github.com/seed-247006a4/shoal/internal/rerun"
)

func init() {
	// victim SCENARIO OBJECT KILL STOP performs the scenario's operation, dies at its
	// store number KILL (or as the constants say) and stops at its store number STOP, 0
	// meaning never.
	roles["victim"] = func(args []string) {
		kill, err := strconv.Atoi(args[2])
		rerun.Check(err)
		stop, err := strconv.Atoi(args[3])
		rerun.Check(err)
		operation := find(args[0]).victim(args[1])
		rerun.Say("ready")
		rerun.Hear()
		crash.Arm(max(kill, 0))
		crash.Stop(stop)
		if kill == woken {
			crash.ArmWoken()
		}
		err = operation()
		passed := crash.Passed()
		crash.Arm(0)
		rerun.Check(err)
		rerun.Say("done", passed)
		rerun.Hear()
	}
}
