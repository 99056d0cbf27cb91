//go:build linux && (amd64 || arm64)

package shm_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/shm"
)

// must fails the test at once on an error.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nobody is a user and a group without privilege.
const nobody = 65534

// outputAsNobody plays a role as another user and returns the lines that it
// prints. It skips the test, visibly, where that is not possible.
func outputAsNobody(t *testing.T, role string, args ...string) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to become another user")
	}
	cmd := rerun.Command(role, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	cmd.Dir = "/"
	out, err := cmd.Output()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.EPERM) {
		t.Skipf("this user namespace has one user only: %v", err)
	}
	must(t, err)
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// ends lets a process run to its end, which must be a good one: what it waits for
// is over.
func ends(t *testing.T, p *rerun.Process) {
	t.Helper()
	if state := p.Wait(); !state.Success() {
		t.Errorf("%v: %v", p, state)
	}
}

// verdict says in a word what an error is.
func verdict(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, fs.ErrPermission):
		return "permission"
	case errors.Is(err, fs.ErrNotExist):
		return "not there"
	case errors.Is(err, fs.ErrExist):
		return "exists"
	case errors.Is(err, shm.ErrInUse):
		return "in use"
	}
	return err.Error()
}

func init() {
	// hold ADDR: opens it, and holds it as long as it may.
	roles["hold"] = func(args []string) {
		seg, err := shm.Open(args[0], nil)
		rerun.Say(verdict(err))
		rerun.Hear()
		if err == nil {
			seg.Close()
		}
	}
}

// contents returns what is in a directory.
func contents(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
