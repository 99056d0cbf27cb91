//go:build linux && (amd64 || arm64)

package shm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNamedDraft is about file systems without O_TMPFILE, of which a machine may
// have none: the draft that they get is made here directly.
func TestNamedDraft(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "object")
	open := func() (int, draft) {
		fd, d, err := openNamedDraft(dir, unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(fd) })
		if name := filepath.Base(d.temp); !strings.HasPrefix(name, draftPrefix) || len(name) < len(draftPrefix)+20 {
			t.Errorf("temporary name %q", name)
		}
		return fd, d
	}
	names := func() (names []string) {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	fd, d := open()
	if err := d.publish(fd, path); err != nil || len(names()) != 1 || names()[0] != "object" {
		t.Errorf("published: %v, %v", names(), err)
	}
	if err := d.publish(fd, path); err != nil {
		t.Errorf("publishing what is published: %v", err)
	}
	d.discard()
	if len(names()) != 1 {
		t.Error("discard removed a published object")
	}

	fd, late := open()
	if err := late.publish(fd, path); err != unix.EEXIST {
		t.Errorf("the name is taken: %v", err)
	}
	if len(names()) != 2 {
		t.Errorf("before discard: %v", names())
	}
	late.discard()
	if len(names()) != 1 {
		t.Errorf("after discard: %v", names())
	}
	var a, b unix.Stat_t
	if unix.Stat(path, &a) != nil || unix.Fstat(fd, &b) != nil || a.Ino == b.Ino {
		t.Error("the first object was replaced")
	}
}
