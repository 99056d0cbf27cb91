//go:build linux && (amd64 || arm64)

package shm_test

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/shm"
)

func socketPair(t *testing.T) (a, b *net.UnixConn) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "s")})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.DialUnix("unix", nil, l.Addr().(*net.UnixAddr)); err != nil {
		t.Fatal(err)
	}
	if b, err = l.AcceptUnix(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestMemfdTravelsAndIsSealed(t *testing.T) {
	a, b := socketPair(t)
	sent, err := shm.Create("memfd:frames", 4096, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sent.Close()
	copy(sent.Bytes(), "frame")
	if err := sent.Send(a); err != nil {
		t.Fatal(err)
	}
	got, err := shm.Receive(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	if string(got.Bytes()[:5]) != "frame" || got.Address().String() != "memfd:frames" {
		t.Errorf("received %q as %v", got.Bytes()[:5], got.Address())
	}
	if info, err := got.Stat(); err != nil || !info.Sealed {
		t.Errorf("not sealed: %+v, %v", info, err)
	}
	f, err := got.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(10); !errors.Is(err, syscall.EPERM) {
		t.Errorf("shrinking a sealed segment: %v", err)
	}
	if err := got.Grow(8192); err != nil || got.Size() != 8192 {
		t.Errorf("Grow: %v", err)
	}
}

func TestReceiveRefusesWhatCouldFault(t *testing.T) {
	a, b := socketPair(t)
	unsealed, err := shm.Create("memfd:u", 4096, &shm.Options{Unsealed: true})
	if err != nil {
		t.Fatal(err)
	}
	defer unsealed.Close()
	for _, c := range []struct {
		opts *shm.Options
		want error
	}{{nil, syscall.EPERM}, {&shm.Options{Unsealed: true}, nil}} {
		if err := unsealed.Send(a); err != nil {
			t.Fatal(err)
		}
		seg, err := shm.Receive(b, c.opts)
		if !errors.Is(err, c.want) {
			t.Errorf("Receive: %v, want %v", err, c.want)
		}
		if err == nil {
			seg.Close()
		}
	}
	dir, err := os.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	if _, _, err := a.WriteMsgUnix([]byte{'S'}, unix.UnixRights(int(dir.Fd())), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := shm.Receive(b, nil); !errors.Is(err, syscall.EISDIR) {
		t.Errorf("a directory: %v", err)
	}
}

// TestNamedObjectsTravel hands over objects that have a name: it arrives, too,
// although /proc does not show it for what this package has made.
func TestNamedObjectsTravel(t *testing.T) {
	for kind, addr := range backends(t) {
		t.Run(kind, func(t *testing.T) {
			a, b := socketPair(t)
			sent := create(t, addr, 5000, nil)
			copy(sent.Bytes(), "named")
			err := sent.Send(a)
			if _, fileErr := sent.File(); kind == "sysv" {
				if !errors.Is(err, errors.ErrUnsupported) || !errors.Is(fileErr, errors.ErrUnsupported) {
					t.Errorf("Send: %v, File: %v", err, fileErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := shm.Receive(b, &shm.Options{ReadOnly: true})
			if err != nil {
				t.Fatal(err)
			}
			defer got.Close()
			if string(got.Bytes()[:5]) != "named" || got.Size() != 5000 || got.Address() != sent.Address() {
				t.Errorf("received %q, %v", got.Bytes()[:5], got)
			}
			if err := got.Remove(); err != nil {
				t.Errorf("Remove: %v", err)
			}
			if _, err := shm.Stat(addr); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("after Remove: %v", err)
			}
		})
	}
}

// TestReceiveLeavesNoDescriptors sends what is not expected. The descriptors of
// this process are counted by the leak check of every run.
func TestReceiveLeavesNoDescriptors(t *testing.T) {
	a, b := socketPair(t)
	send := func(n int) {
		fds := make([]int, n)
		for i := range fds {
			fds[i] = 0
		}
		if _, _, err := a.WriteMsgUnix([]byte{'S'}, unix.UnixRights(fds...), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{2, 4, 20} {
		send(n)
		if _, err := shm.Receive(b, nil); !errors.Is(err, syscall.EPROTO) {
			t.Errorf("%d descriptors: %v", n, err)
		}
	}
	if _, err := a.Write([]byte{'S'}); err != nil {
		t.Fatal(err)
	}
	if _, err := shm.Receive(b, nil); !errors.Is(err, syscall.EPROTO) {
		t.Errorf("no descriptor: %v", err)
	}

	// A socket that also delivers the sender's credentials.
	raw, err := b.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_PASSCRED, 1) })
	if err != nil {
		t.Fatal(err)
	}
	sent, err := shm.Create("memfd:credentials", 4096, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer sent.Close()
	if err := sent.Send(a); err != nil {
		t.Fatal(err)
	}
	got, err := shm.Receive(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.Close()

	a.Close()
	if _, err := shm.Receive(b, nil); !errors.Is(err, io.EOF) {
		t.Errorf("end of the stream: %v", err)
	}
}

func TestFromFileMakesItsOwnCopy(t *testing.T) {
	seg := create(t, "/shoal-test", 4096, nil)
	f, err := seg.File()
	if err != nil {
		t.Fatal(err)
	}
	copied, err := shm.FromFile(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	f.Close()
	copied.Bytes()[5] = 9
	if err := copied.Grow(8192); err != nil || seg.Bytes()[5] != 9 {
		t.Errorf("Grow: %v, byte %d", err, seg.Bytes()[5])
	}
	if _, err := shm.FromFile(f, nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
	empty, err := os.Create(filepath.Join(t.TempDir(), "empty"))
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if _, err := shm.FromFile(empty, nil); !errors.Is(err, shm.ErrNotSized) {
		t.Errorf("an empty file: %v", err)
	}
}
