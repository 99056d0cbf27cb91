//go:build linux && (amd64 || arm64) && shoalcrash

package ring_test

import (
	"fmt"
	"os"
	"strconv"

	"github.com/seed-247006a4/shoal/internal/crash"
)

func init() {
	// victim OPERATION FIRST KILL performs the operation, whose records have numbers
	// from FIRST, and dies at its store number KILL.
	roles["victim"] = func() {
		first, err := strconv.ParseUint(os.Args[2], 10, 64)
		check(err)
		kill, err := strconv.Atoi(os.Args[3])
		check(err)
		op := operations[os.Args[1]].prepare(first)
		say("ready")
		heard()
		crash.Arm(kill)
		err = op()
		passed := crash.Passed()
		crash.Arm(0)
		check(err)
		say("done", passed)
		heard()
	}
}

// heard waits for a line from the test; at its end the role ends.
func heard() string {
	var line string
	if _, err := fmt.Scanln(&line); err != nil {
		os.Exit(0)
	}
	return line
}
