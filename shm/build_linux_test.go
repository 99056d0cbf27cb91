package shm_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-247006a4/shoal/shm"
)

// TestBuildShowsNothingBeforeItIsFilled: nobody can open the object while fill
// runs, and there has never been one if fill fails.
func TestBuildShowsNothingBeforeItIsFilled(t *testing.T) {
	for kind, addr := range map[string]string{
		"posix": "/shoal-test",
		"file":  "file:" + filepath.Join(t.TempDir(), "segment"),
	} {
		t.Run(kind, func(t *testing.T) {
			failure := errors.New("no contents")
			if _, err := shm.Build(addr, 4096, nil, func([]byte) error { return failure }); !errors.Is(err, failure) {
				t.Errorf("Build: %v, want the error of fill", err)
			}
			if _, err := shm.Open(addr, nil); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after a failed Build: %v", err)
			}
			seg, err := shm.Build(addr, 4096, nil, func(b []byte) error {
				if _, err := shm.Open(addr, nil); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("while it is filled: %v", err)
				}
				copy(b, "contents")
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			defer seg.Close()
			defer seg.Remove()
			other, err := shm.Open(addr, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			if got := string(other.Bytes()[:8]); got != "contents" {
				t.Errorf("others read %q", got)
			}
			if _, err := shm.Build(addr, 4096, nil, func([]byte) error { return nil }); !errors.Is(err, fs.ErrExist) {
				t.Errorf("a second Build: %v", err)
			}
		})
	}
	if entries, err := os.ReadDir("/dev/shm"); err == nil && len(entries) > 0 {
		t.Errorf("left behind: %v", entries)
	}
}
