package shm_test

import (
	"errors"
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
