package pshared_test

import (
	"os"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

// roleVariable makes this test binary play a part in a test of another process.
const roleVariable = "SHOAL_PSHARED_ROLE"

// roles are the parts, filled by the tests' files.
var roles = map[string]func(){}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		roles[role]()
		os.Exit(0)
	}
	isolate.Main(m)
}
