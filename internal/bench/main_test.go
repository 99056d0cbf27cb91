package bench

import (
	"os"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

func TestMain(m *testing.M) {
	// A program built with the race detector waits a second before it exits.
	os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0")
	Role()
	director()
	isolate.Main(m)
}
