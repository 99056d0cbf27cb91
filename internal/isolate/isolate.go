// Package isolate runs a test binary in a world of its own and fails it when it leaves anything behind. It is test
// support: only _test.go files import it.
//
// A package whose tests create shared objects hands its TestMain over:
//
//	func TestMain(m *testing.M) { isolate.Main(m) }
//
// On Linux, Main starts the test binary once more in its own IPC namespace and mount namespace, with an empty tmpfs on
// /dev/shm, and an empty /dev/mqueue where there is one: tests may use any key and any name, see no foreign object and
// disturb nobody. Root needs nothing else; other users get there through a user namespace, in which they appear as root.
// Where the system refuses, Main says so in one line on standard error and runs the tests where they are.
//
// After the tests, Main looks for what they left: shared objects of every kind, mappings of them, open descriptors,
// processes and goroutines. Anything found is named and the run fails.
//
// Processes that a test starts live in the same namespaces as the test and are not isolated again, provided that they
// inherit its environment (the variable SHOAL_ISOLATE). Set SHOAL_ISOLATE=off to run a test binary unisolated, under a
// debugger for instance.
package isolate

import (
	"os"
	"testing"
)

// variable is the environment variable that tells a test binary where in the arrangement it stands.
const variable = "SHOAL_ISOLATE"

// The values of variable. Without it the process is the first of a run and starts the isolated one.
const (
	off     = "off"     // asked by the user: do not isolate
	enter   = "enter"   // just started in fresh namespaces: furnish them, run the tests, look for leaks
	inside  = "inside"  // a process of an isolated test: just run
	outside = "outside" // a process of an unisolated test: just run
)

// Isolated reports whether this process runs in namespaces that belong to the tests alone.
func Isolated() bool { return os.Getenv(variable) == inside }

// Require skips the test, visibly, where the process is not isolated.
func Require(t testing.TB) {
	t.Helper()
	if !Isolated() {
		t.Skip("needs IPC and mount namespaces of its own, which this system does not permit")
	}
}
