package rerun_test

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
