package posix_test

import (
	"os"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

// roleVariable makes this test binary play a part in a test of another process
// rather than run tests. Parts are in roles.
const roleVariable = "SHOAL_POSIX_ROLE"

// roles are such parts. What one returns is what its process prints.
var roles = map[string]func() string{}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Stdout.WriteString(roles[role]())
		os.Exit(0)
	}
	isolate.Main(m)
}
