package cli

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-247006a4/shoal/internal/bench"
	"github.com/seed-247006a4/shoal/internal/isolate"
)

// TestMain first asks under which name this binary runs: tests start it as the
// command itself and as the processes around it (see roles), and bench does as the
// processes that it measures. Those live in the
// namespaces of the test and must not be isolated once more.
func TestMain(m *testing.M) {
	bench.Role()
	if role, ok := roles[filepath.Base(os.Args[0])]; ok {
		os.Exit(role(os.Args[1:]))
	}
	// With the race detector every process would sleep for a second at its end,
	// in case a race is still to be reported by another goroutine.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	isolate.Main(m)
}
