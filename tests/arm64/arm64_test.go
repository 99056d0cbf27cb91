// Package arm64 runs tests of the packages that depend on the processor as programs
// for arm64, on an emulator. What needs a keeper cannot run there: qemu-user lacks
// set_robust_list(2). Nor does it keep the order of memory of an arm64: a load-acquire
// may be done before a store-release that comes first. So this shows that formats,
// alignment and assembly are right, and nothing about fences.
package arm64

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

func TestMain(m *testing.M) { isolate.Main(m) }

// packages are those whose tests need no keeper.
var packages = []string{"internal/mem", "internal/layout", "schema", "internal/lane"}

// emulator finds qemu-user.
func emulator(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"qemu-aarch64", "qemu-aarch64-static"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Skip("arm64 is not tried: qemu-aarch64 is missing; run scripts/setup, or: apt-get install qemu-user")
	return ""
}

func TestArm64(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("qemu-user emulates Linux on Linux alone")
	}
	var qemu []string
	if runtime.GOARCH != "arm64" {
		qemu = []string{emulator(t)}
	}
	for _, name := range packages {
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
			defer cancel()
			dir, err := filepath.Abs("../../" + name)
			if err != nil {
				t.Fatal(err)
			}
			binary := filepath.Join(t.TempDir(), "arm64.test")
			build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, ".")
			build.Dir = dir
			build.Env = append(os.Environ(), "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			args := append(qemu[:len(qemu):len(qemu)], binary, "-test.short", "-test.v", "-test.timeout=2m")
			run := exec.CommandContext(ctx, args[0], args[1:]...)
			run.Dir = dir
			out, err := run.CombinedOutput()
			passed := strings.Count(string(out), "--- PASS: ")
			if err != nil || passed == 0 {
				t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
			}
			t.Logf("%d tests passed", passed)
		})
	}
}
