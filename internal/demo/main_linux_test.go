//go:build linux && (amd64 || arm64)

package demo

import (
	"os"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

func TestMain(m *testing.M) {
	// A program built with the race detector waits a second before it exits, and a demo has eleven processes.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	if os.Getenv(dyingVariable) != "" {
		prepareDying()
	}
	Role()
	if os.Getenv(pauseVariable) != "" {
		tellAndPause()
	}
	isolate.Main(m)
}
