//go:build linux && (amd64 || arm64)

// Package crash kills processes at every store that they make to shared memory,
// and looks at what becomes of the others. docs/CRASH.md lists the stores; the
// tests check it word by word.
//
// A victim is this test binary, built with the tag shoalcrash, in a process of
// its own; everybody else is an ordinary build.
package crash

import (
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/rerun"
)

// roles are filled by the tests' files.
var roles = rerun.Roles{}

func TestMain(m *testing.M) {
	roles.Play()
	isolate.Main(m)
}
