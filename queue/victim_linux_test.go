//go:build linux && (amd64 || arm64) && shoalcrash

package queue_test

import (
	"strconv"

	"github.com/seed-247006a4/shoal/internal/crash"
	"github.com/seed-247006a4/shoal/internal/rerun"
)

func init() {
	// victim OPERATION KILL performs the operation and dies at its store number KILL.
	roles["victim"] = func(args []string) {
		kill, err := strconv.Atoi(args[1])
		rerun.Check(err)
		var q *bytesQueue
		if args[0] != "Open" && args[0] != "burial by who joins" {
			q = openBytes("k")
		}
		op := operations[args[0]].act(q)
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
	// woken ROLE dies of being woken.
	roles["woken"] = func(args []string) {
		q := openBytes("k")
		crash.ArmWoken()
		rerun.Say("ready")
		if args[0] == "producer" {
			rerun.Check(q.Send(background, numbered(7)))
		} else {
			_, err := q.Receive(background)
			rerun.Check(err)
		}
		rerun.Say("this is not reached")
	}
}
