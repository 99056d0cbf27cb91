package sysv

import (
	"os"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

// roleVariable makes this test binary play a part in a test of another process
// rather than run tests. Parts are in roles.
const roleVariable = "SHOAL_SYSV_ROLE"

var roles = map[string]func(){}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		roles[role]()
		os.Exit(0)
	}
	isolate.Main(m)
}
