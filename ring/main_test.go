package ring_test

import (
	"os"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

// roleVariable makes this test binary play a part in a test of another process.
const roleVariable = "SHOAL_RING_ROLE"

// roles are the parts, filled by the tests' files.
var roles = map[string]func(){}

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		roles[role]()
		os.Exit(0)
	}
	isolate.Main(m)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// got is for results with an error: got(f())(t).
func got[V any](v V, err error) func(testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		must(t, err)
		return v
	}
}
