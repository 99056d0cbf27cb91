//go:build linux && (amd64 || arm64)

package interop

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/seed-247006a4/shoal/shm"
)

// TestFromPython has Python's multiprocessing.shared_memory make an object; what Go writes there Python sees.
func TestFromPython(t *testing.T) {
	p := start(t, append(python(t, "shared_memory"), "create", "from-python", "1024", "Hello from Python!")...)
	p.says("created")
	seg, err := shm.Open("/from-python", nil)
	must(t, err)
	defer seg.Close()
	if seg.Size() != 1024 || cString(seg.Bytes()) != "Hello from Python!" {
		t.Errorf("%v: %q", seg, cString(seg.Bytes()))
	}
	if info, err := seg.Stat(); err != nil || info.Mode != 0o600 {
		t.Errorf("Stat: %+v, %v", info, err)
	}
	copy(seg.Bytes(), "Hello from Go!\x00")
	p.release()
	p.says("text Hello from Go!")
	p.ends()
	if _, err := shm.Stat("/from-python"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after Python's unlink: %v", err)
	}
}

// TestToPython has Go make an object; Python attaches, reads, writes and ends, and the object stays.
func TestToPython(t *testing.T) {
	attach := append(python(t, "shared_memory"), "attach", "from-go")
	seg, err := shm.Create("/from-go", 5000, nil)
	must(t, err)
	defer seg.Close()
	defer seg.Remove()
	copy(seg.Bytes(), "Hello from Go!\x00")
	wantOutput(t, "size 5000 text Hello from Go!\n", append(attach, "Hello from Python!")...)
	if cString(seg.Bytes()) != "Hello from Python!" {
		t.Errorf("now it holds %q", cString(seg.Bytes()))
	}
	if info, err := shm.Stat("/from-go"); err != nil || info.Removed {
		t.Fatalf("after Python's end: %+v, %v", info, err)
	}
	wantOutput(t, "size 5000 text Hello from Python!\n", append(attach, "again")...)
}

// TestCarelessPython shows why testdata/shared_memory.py takes care, and that a Go program survives those who do not:
// the name goes with Python, the memory does not. If it fails, Python has changed, and that file may become simpler.
func TestCarelessPython(t *testing.T) {
	seg, err := shm.Create("/careless", 5000, nil)
	must(t, err)
	defer seg.Close()
	defer seg.Remove()
	copy(seg.Bytes(), "still here\x00")
	output(t, append(python(t, "shared_memory"), "careless", "careless")...) // returns when the resource tracker has ended, too
	if _, err := shm.Stat("/careless"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Python's resource tracker has left the name: %v", err)
	}
	if info, err := seg.Stat(); err != nil || !info.Removed || cString(seg.Bytes()) != "still here" {
		t.Errorf("now it holds %q: %+v, %v", cString(seg.Bytes()), info, err)
	}
}
