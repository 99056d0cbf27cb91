//go:build linux && (amd64 || arm64)

package interop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// TestSysVFromC has C make a segment, and Go use it in every way there is.
func TestSysVFromC(t *testing.T) {
	writer := start(t, compile(t, "sysv_writer"), "0x1234", "1024", "0666", "Hello, Shared Memory!")
	writer.says("Data written to shared memory: Hello, Shared Memory!")

	id, err := sysv.ShmGet(0x1234, 1024, 0o600)
	must(t, err)
	t.Cleanup(func() { id.Remove() })
	b, err := sysv.ShmAt(id, 0, sysv.ReadOnly)
	must(t, err)
	if cString(b) != "Hello, Shared Memory!" || len(b) != 1024 {
		t.Errorf("%d bytes: %q", len(b), b)
	}
	must(t, sysv.ShmDt(b))
	info, err := id.Stat()
	must(t, err)
	if info.Key != 0x1234 || info.Size != 1024 || info.Mode != 0o666 || info.CreatorPID != writer.pid() || info.Attached != 1 {
		t.Errorf("Stat: %+v", info)
	}

	seg, err := shm.Open("sysv:0x1234", nil)
	must(t, err)
	if cString(seg.Bytes()) != "Hello, Shared Memory!" {
		t.Errorf("shm sees %q", seg.Bytes())
	}
	must(t, seg.Close())
	wantListed(t, "sysv:0x1234", writer.pid())

	writer.release()
	writer.ends()
	// The writer is gone, its segment is not.
	info, err = id.Stat()
	must(t, err)
	if info.Attached != 0 || info.LastPID != writer.pid() {
		t.Errorf("Stat after the writer's end: %+v", info)
	}
	must(t, shm.Remove("sysv:0x1234"))
}

// wantListed checks that shm.List shows an object of 1024 bytes and mode 0666, and shm.Holders its only holder; for
// System V also that the holder has made it.
func wantListed(t *testing.T, addr string, holder int) {
	t.Helper()
	list, err := shm.List()
	must(t, err)
	i := slices.IndexFunc(list, func(info shm.Info) bool { return info.Address.String() == addr })
	if i < 0 {
		t.Fatalf("%s is not in %+v", addr, list)
	}
	creator := 0
	if list[i].Address.Kind() == shm.SysV {
		creator = holder
	}
	if info := list[i]; info.Size != 1024 || info.Mode != 0o666 || info.CreatorPID != creator {
		t.Errorf("listed: %+v", info)
	}
	holders, _, err := shm.Holders(addr)
	if err != nil || len(holders) != 1 || holders[0].PID != holder || holders[0].Mapped != 4096 {
		t.Errorf("holders of %s: %+v, %v; want process %d with a page", addr, holders, err, holder)
	}
}

// TestSysVFromGo has Go make a segment, and C read it and say what it sees.
func TestSysVFromGo(t *testing.T) {
	reader := compile(t, "sysv_reader")
	seg, err := shm.Create("sysv:0x1234", 1000, &shm.Options{Mode: 0o640})
	must(t, err)
	defer seg.Close()
	defer seg.Remove()
	copy(seg.Bytes(), "Hello from Go!\x00")
	id, err := sysv.ShmGet(0x1234, 0, 0)
	must(t, err)
	info, err := id.Stat()
	must(t, err)
	want := func(mode int) string {
		return "Data read from shared memory: Hello from Go!\n" +
			line("id %d key 0x1234 size 1000 mode %04o uid %d gid %d cuid %d cgid %d cpid %d nattch 2 ctime %d",
				id, mode, os.Geteuid(), os.Getegid(), os.Geteuid(), os.Getegid(), os.Getpid(), info.ChangeTime.Unix())
	}
	wantOutput(t, want(0o640), reader, "0x1234", "1000")
	wantFailure(t, "shmget: Invalid argument", exec.Command(reader, "0x1234", "1001"))
	wantFailure(t, "shmget: No such file or directory", exec.Command(reader, "0x1235", "1"))
	if got := output(t, reader, "0x1234", "0"); got != want(0o640) {
		t.Errorf("any size: %q", got)
	}

	t.Run("as another user", func(t *testing.T) {
		wantFailure(t, "shmget: Permission denied", asNobody(t, reader, "0x1234", "1000"))
		must(t, id.Set(sysv.Perm{UID: info.UID, GID: info.GID, Mode: 0o644}))
		out, err := asNobody(t, reader, "0x1234", "1000").Output()
		now, statErr := id.Stat()
		must(t, statErr)
		info.ChangeTime = now.ChangeTime
		if err != nil || string(out) != want(0o644) {
			t.Errorf("%v, %q", err, out)
		}
	})
	t.Run("removed", func(t *testing.T) {
		must(t, seg.Remove())
		wantFailure(t, "shmget: No such file or directory", exec.Command(reader, "0x1234", "1000"))
	})
}

// TestSysVModes has C make segments of many modes and sizes, and Go see them as they are.
func TestSysVModes(t *testing.T) {
	writer := compile(t, "sysv_writer")
	for i, c := range []struct {
		size int64
		mode sysv.Mode
	}{{1, 0o600}, {4096, 0o640}, {4097, 0o444}, {1 << 20, 0o777}} {
		key := fmt.Sprintf("%d", 100+i)
		p := start(t, writer, key, fmt.Sprint(c.size), fmt.Sprintf("%o", c.mode), "")
		p.says("Data written to shared memory: ")
		id, err := sysv.ShmGet(sysv.Key(100+i), 0, 0)
		must(t, err)
		t.Cleanup(func() { id.Remove() })
		info, err := id.Stat()
		if err != nil || info.Size != c.size || info.Mode != c.mode {
			t.Errorf("%d bytes of mode %04o: %+v, %v", c.size, c.mode, info, err)
		}
		if _, err := sysv.ShmGet(sysv.Key(100+i), int(c.size)+1, 0); !errors.Is(err, syscall.EINVAL) {
			t.Errorf("one byte more: %v", err)
		}
		p.release()
		p.ends()
	}
}

// TestKilledWriter checks what is left of a C writer after SIGKILL: all it wrote, and nobody attached.
func TestKilledWriter(t *testing.T) {
	writer := start(t, compile(t, "sysv_writer"), "0x1234", "1024", "0666", "last words")
	writer.says("Data written to shared memory: last words")
	writer.kill()
	seg, err := shm.Open("sysv:0x1234", nil)
	must(t, err)
	defer seg.Close()
	defer seg.Remove()
	if cString(seg.Bytes()) != "last words" {
		t.Errorf("it holds %q", seg.Bytes())
	}
	holders, _, err := shm.Holders("sysv:0x1234")
	if err != nil || len(holders) != 1 || holders[0].PID != os.Getpid() {
		t.Errorf("holders: %+v, %v", holders, err)
	}
	if info, err := seg.Stat(); err != nil || info.Attached != 1 || info.CreatorPID != writer.pid() {
		t.Errorf("Stat: %+v, %v", info, err)
	}
}

// TestFtok compares glibc's keys with ours.
func TestFtok(t *testing.T) {
	ftok := compile(t, "ftok")
	dir := t.TempDir()
	paths := []string{"/", "/proc", "/dev/null", "/dev/shm", "/etc/passwd", dir, ftok, "testdata/ftok.c"}
	for i := range 20 {
		path := filepath.Join(dir, fmt.Sprint(i))
		must(t, os.WriteFile(path, nil, 0o600))
		paths = append(paths, path)
	}
	must(t, os.Symlink(ftok, filepath.Join(dir, "link")))
	paths = append(paths, filepath.Join(dir, "link"))
	for _, proj := range []byte{0, 1, 'R', 127, 128, 255} {
		var want strings.Builder
		for _, path := range paths {
			key, err := sysv.Ftok(path, proj)
			must(t, err)
			fmt.Fprintln(&want, key)
		}
		wantOutput(t, want.String(), append([]string{ftok, fmt.Sprint(proj)}, paths...)...)
	}
}

// TestFtokMeeting has C and Go meet at a key that both make of a path.
func TestFtokMeeting(t *testing.T) {
	path := filepath.Join(t.TempDir(), "meeting")
	must(t, os.WriteFile(path, nil, 0o600))
	key := strings.TrimSpace(output(t, compile(t, "ftok"), "83", path))
	writer := start(t, compile(t, "sysv_writer"), key, "64", "0600", "here")
	writer.says("Data written to shared memory: here")
	ours, err := sysv.Ftok(path, 'S')
	must(t, err)
	id, err := sysv.ShmGet(ours, 64, 0o600)
	must(t, err)
	defer id.Remove()
	b, err := sysv.ShmAt(id, 0, sysv.ReadOnly)
	must(t, err)
	if cString(b) != "here" {
		t.Errorf("at key %v: %q", ours, b)
	}
	must(t, sysv.ShmDt(b))
	writer.release()
	writer.ends()
}
