package lane

import (
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

func TestMain(m *testing.M) { isolate.Main(m) }
