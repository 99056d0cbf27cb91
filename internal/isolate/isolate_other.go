//go:build !linux

package isolate

import (
	"os"
	"testing"
)

// Main runs the tests and exits with their result: namespaces are a Linux matter.
func Main(m *testing.M) { os.Exit(m.Run()) }

// Tmpfs skips the test: there is no tmpfs to mount.
func Tmpfs(t testing.TB, size int64, dir string) {
	t.Helper()
	Require(t)
}
