//go:build linux && (amd64 || arm64)

package interop

import (
	"errors"
	"net"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/shm"
)

// connect starts testdata/memfd.c, which connects to a socket of ours.
func connect(t *testing.T, args ...string) (*program, *net.UnixConn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	defer l.Close()
	must(t, l.SetDeadline(time.Now().Add(patience)))
	p := start(t, append([]string{compile(t, "memfd"), path}, args...)...)
	conn, err := l.AcceptUnix()
	if err != nil {
		p.kill()
		t.Fatalf("%v; C says: %s", err, &p.stderr)
	}
	t.Cleanup(func() { conn.Close() })
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	return p, conn
}

// TestMemfdFromC has C hand over a memfd; what Go writes there C sees.
func TestMemfdFromC(t *testing.T) {
	p, conn := connect(t, "send", "5000", "Hello from C!")
	seg, err := shm.Receive(conn, nil)
	must(t, err)
	defer seg.Close()
	if seg.Size() != 5000 || cString(seg.Bytes()) != "Hello from C!" || seg.Address().String() != "memfd:from-c" {
		t.Errorf("received %v: %q", seg, cString(seg.Bytes()))
	}
	holders, _, err := seg.Holders()
	if err != nil || len(holders) != 2 {
		t.Errorf("holders: %+v, %v; want C and Go", holders, err)
	}
	copy(seg.Bytes(), "Hello from Go!\x00")
	must(t, conn.Close())
	p.says("text Hello from Go!")
	p.ends()
}

// TestMemfdUnsealed checks that a memfd which C could shrink is taken only when asked for.
func TestMemfdUnsealed(t *testing.T) {
	p, conn := connect(t, "loose", "5000", "Hello from C!")
	if seg, err := shm.Receive(conn, nil); !errors.Is(err, syscall.EPERM) {
		t.Errorf("received %v, %v", seg, err)
	}
	must(t, conn.Close())
	p.says("text Hello from C!")
	p.ends()

	p, conn = connect(t, "loose", "5000", "Hello from C!")
	seg, err := shm.Receive(conn, &shm.Options{Unsealed: true})
	must(t, err)
	defer seg.Close()
	if cString(seg.Bytes()) != "Hello from C!" {
		t.Errorf("it holds %q", cString(seg.Bytes()))
	}
	must(t, conn.Close())
	p.says("text Hello from C!")
	p.ends()
}

// TestMemfdFromGo has Go hand over a memfd, which C cannot shrink; what C writes there Go sees.
func TestMemfdFromGo(t *testing.T) {
	p, conn := connect(t, "receive", "Hello from C!")
	seg, err := shm.Create("memfd:from-go", 5000, nil)
	must(t, err)
	defer seg.Close()
	copy(seg.Bytes(), "Hello from Go!\x00")
	must(t, seg.Send(conn))
	p.says("size 5000 text Hello from Go! shrinkable 0")
	p.ends()
	if cString(seg.Bytes()) != "Hello from C!" || seg.Size() != 5000 {
		t.Errorf("now it holds %q", cString(seg.Bytes()))
	}
}

// TestPosixByDescriptor hands over a POSIX object's descriptor; the receiver needs no name.
func TestPosixByDescriptor(t *testing.T) {
	p, conn := connect(t, "receive", "Hello from C!")
	seg, err := shm.Create("/handed-over", 64, nil)
	must(t, err)
	defer seg.Close()
	must(t, seg.Remove())
	copy(seg.Bytes(), "no name\x00")
	must(t, seg.Send(conn))
	// A named object cannot be sealed: C shrinks it, and Go must get an error, not a fault.
	p.says("size 64 text no name shrinkable 1")
	p.says("and it has shrunk")
	p.ends()
	if info, err := seg.Stat(); err != nil || info.Size != 1 {
		t.Errorf("Stat: %+v, %v", info, err)
	}
}
