//go:build linux && (amd64 || arm64)

package crash

import (
	"testing"
	"time"
)

// bound is how long a survivor may take for what depends on nobody else. It is
// far beyond what it does take, which the tests print.
const bound = 5 * time.Second

// must fails the test at once on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until f says true.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(bound); !f(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", bound, what)
		}
	}
}
