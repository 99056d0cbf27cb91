//go:build linux && (amd64 || arm64) && shoalcrash

package topic_test

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
	// halting STOP sends records until there is no room, and stops itself at its store
	// number STOP.
	roles["halting"] = func(args []string) {
		stop, err := strconv.Atoi(args[0])
		rerun.Check(err)
		p, err := victimTopic().Publisher()
		rerun.Check(err)
		send := func(i uint64) bool {
			ok, err := p.TrySend(message{number: i}.append(nil))
			rerun.Check(err)
			return ok
		}
		for i := range uint64(20) {
			send(i)
		}
		rerun.Say("ready")
		rerun.Hear()
		crash.Arm(0)
		crash.Stop(stop)
		n := uint64(20)
		for send(n) {
			n++
		}
		rerun.Say("done", n, crash.Passed())
		rerun.Hear()
	}
}
