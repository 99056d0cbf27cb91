//go:build linux && (amd64 || arm64)

// Package crash kills processes at every store that they make to shared memory,
// and looks at what becomes of the others. docs/CRASH.md lists the stores; the
// tests check it word by word.
//
// A victim is this test binary, built with the tag shoalcrash, in a process of
// its own; everybody else is an ordinary build.
package crash

import (
	"os"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

// roleVariable makes this test binary play a part in a test of another process.
const roleVariable = "SHOAL_CRASH_ROLE"

// roles are the parts, filled by the tests' files.
var roles = map[string]func(args []string){}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		roles[role](os.Args[1:])
		os.Exit(0)
	}
	isolate.Main(m)
}
