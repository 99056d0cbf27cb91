//go:build linux && (amd64 || arm64)

package demo

import (
	"os"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/internal/rerun"
)

func TestMain(m *testing.M) {
	// A program built with the race detector waits a second before it exits, and a demo has eleven processes.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	if os.Getenv(dyingVariable) != "" {
		prepareDying()
	}
	Role()
	rerun.Roles{"tell": tellAndPause}.Play()
	isolate.Main(m)
}
