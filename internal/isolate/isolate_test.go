package isolate_test

import (
	"os"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

func TestMain(m *testing.M) { isolate.Main(m) }

// TestRequire checks that Require skips exactly where the process is not isolated.
func TestRequire(t *testing.T) {
	var skipped bool
	t.Run("inner", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		isolate.Require(t)
	})
	if skipped == isolate.Isolated() {
		t.Errorf("isolated %v, skipped %v", isolate.Isolated(), skipped)
	}
}

// TestHelperSeesIsolation checks that a process started by a test is told where it stands.
func TestHelperSeesIsolation(t *testing.T) {
	if v := os.Getenv("SHOAL_ISOLATE"); v != "inside" && v != "outside" {
		t.Errorf("SHOAL_ISOLATE=%q in the tests' environment", v)
	}
}
