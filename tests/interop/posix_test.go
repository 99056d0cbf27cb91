//go:build linux && (amd64 || arm64)

package interop

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"testing"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
)

// TestPosixFromC has C make an object, and Go read it while the writer holds it; the writer unlinks at the end.
func TestPosixFromC(t *testing.T) {
	writer := start(t, compile(t, "posix_writer"), "/my_shm", "1024", "0666", "Hello, Shared Memory!")
	writer.says("Message written to shared memory: Hello, Shared Memory!")

	f, err := posix.ShmOpen("/my_shm", os.O_RDONLY, 0)
	must(t, err)
	b, err := posix.Mmap(f, 0, 1024, posix.ProtRead)
	must(t, err)
	if cString(b) != "Hello, Shared Memory!" {
		t.Errorf("posix sees %q", b)
	}
	must(t, posix.Munmap(b))
	must(t, f.Close())

	seg, err := shm.Open("/my_shm", nil)
	must(t, err)
	if cString(seg.Bytes()) != "Hello, Shared Memory!" || seg.Size() != 1024 {
		t.Errorf("shm sees %d bytes, %q", seg.Size(), seg.Bytes())
	}
	must(t, seg.Close())
	wantListed(t, "/my_shm", writer.pid())

	seg, err = shm.Open("/my_shm", nil)
	must(t, err)
	defer seg.Close()
	writer.release()
	writer.ends()
	if _, err := posix.ShmOpen("/my_shm", os.O_RDONLY, 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the writer's shm_unlink: %v", err)
	}
	// Who has it mapped keeps it.
	if cString(seg.Bytes()) != "Hello, Shared Memory!" {
		t.Errorf("after shm_unlink it holds %q", seg.Bytes())
	}
	if info, err := seg.Stat(); err != nil || !info.Removed {
		t.Errorf("Stat: %+v, %v", info, err)
	}
}

// TestPosixFromGo has Go make objects, and C read them and say what it sees.
func TestPosixFromGo(t *testing.T) {
	reader := compile(t, "posix_reader")
	seg, err := shm.Create("/my_shm", 1000, &shm.Options{Mode: 0o640})
	must(t, err)
	defer seg.Close()
	defer seg.Remove()
	copy(seg.Bytes(), "Hello from Go!\x00")
	want := func(mode int) string {
		return "Message read from shared memory: Hello from Go!\n" +
			line("size 1000 mode %04o uid %d gid %d reserved 1", mode, os.Geteuid(), os.Getegid())
	}
	for _, name := range []string{"/my_shm", "my_shm", "///my_shm"} {
		wantOutput(t, want(0o640), reader, name)
	}

	t.Run("as another user", func(t *testing.T) {
		wantFailure(t, "shm_open: Permission denied", asNobody(t, reader, "/my_shm"))
		must(t, os.Chmod("/dev/shm/my_shm", 0o644))
		if out, err := asNobody(t, reader, "/my_shm").Output(); err != nil || string(out) != want(0o644) {
			t.Errorf("%v, %q", err, out)
		}
	})
	t.Run("removed", func(t *testing.T) {
		must(t, shm.Remove("/my_shm"))
		wantFailure(t, "shm_open: No such file or directory", exec.Command(reader, "/my_shm"))
	})
	t.Run("one to one", func(t *testing.T) {
		f, err := posix.ShmOpen("/other", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		must(t, err)
		defer f.Close()
		defer posix.ShmUnlink("/other")
		must(t, posix.Fallocate(f, 0, 64))
		b, err := posix.Mmap(f, 0, 64, posix.ProtRead|posix.ProtWrite)
		must(t, err)
		defer posix.Munmap(b)
		copy(b, "bare\x00")
		wantOutput(t, "Message read from shared memory: bare\n"+
			line("size 64 mode 0600 uid %d gid %d reserved 1", os.Geteuid(), os.Getegid()), reader, "/other")
	})
}

// TestOwnerKilled checks what is left of a C writer after SIGKILL: its object, which nobody holds, and which may be
// removed as unused.
func TestOwnerKilled(t *testing.T) {
	writer := start(t, compile(t, "posix_writer"), "/my_shm", "1024", "0600", "last words")
	writer.says("Message written to shared memory: last words")
	if err := shm.RemoveUnused("/my_shm"); !errors.Is(err, shm.ErrInUse) {
		t.Errorf("RemoveUnused while C has it mapped: %v", err)
	}
	writer.kill()
	holders, _, err := shm.Holders("/my_shm")
	if err != nil || len(holders) != 0 {
		t.Errorf("holders: %+v, %v", holders, err)
	}
	must(t, shm.RemoveUnused("/my_shm"))
}
