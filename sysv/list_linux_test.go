//go:build linux && (amd64 || arm64)

package sysv

import (
	"errors"
	"reflect"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

// sameWithoutStatAny replaces the function that asks for one place of the
// kernel's table by one of an old kernel, then one that a filter forbids, and
// expects the same list.
func sameWithoutStatAny[T any](t *testing.T, statAny *func(int) (T, error), want []T, list func() ([]T, error)) {
	t.Helper()
	old := *statAny
	defer func() { *statAny = old }()
	for _, errno := range []syscall.Errno{syscall.EINVAL, syscall.EPERM, syscall.ENOSYS} {
		calls := 0
		*statAny = func(int) (none T, err error) { calls++; return none, errno }
		got, err := list()
		must(t, err)
		if calls == 0 {
			t.Fatal("the replacement was not called")
		}
		if isolate.Isolated() && !reflect.DeepEqual(got, want) {
			t.Errorf("after %v:\ngot  %+v\nwant %+v", errno, got, want)
		}
	}
}

func TestListAny(t *testing.T) {
	table := []int{10, -1, 12} // -1: empty
	at := func(i int) (int, error) {
		if i >= len(table) || table[i] < 0 {
			return 0, syscall.EINVAL
		}
		return table[i], nil
	}
	if got, err := listAny(2, 2, at); err != nil || !reflect.DeepEqual(got, []int{10, 12}) {
		t.Errorf("= %v, %v", got, err)
	}
	if got, err := listAny(1, 0, func(int) (int, error) { return 0, syscall.EINVAL }); err != nil || len(got) != 0 {
		t.Errorf("nothing there: %v, %v", got, err)
	}
	if _, err := listAny(1, 1, func(int) (int, error) { return 0, syscall.EINVAL }); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("command not known: %v", err)
	}
	if _, err := listAny(1, 1, func(int) (int, error) { return 0, syscall.EPERM }); !errors.Is(err, syscall.EPERM) {
		t.Errorf("forbidden: %v", err)
	}
	if _, err := fallBack(syscall.EPERM, "/proc/none", parseShm); !errors.Is(err, syscall.EPERM) || !errors.Is(err, syscall.ENOENT) {
		t.Errorf("neither works: %v", err)
	}
}
