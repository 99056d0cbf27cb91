//go:build linux && (amd64 || arm64)

package posix_test

import (
	"errors"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/posix"
)

// newObject makes an object of size bytes for the test.
func newObject(t testing.TB, name string, size int64) *os.File {
	t.Helper()
	f, err := posix.ShmOpen(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	must(t, err)
	t.Cleanup(func() {
		f.Close()
		if err := posix.ShmUnlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	if size > 0 {
		must(t, f.Truncate(size))
	}
	return f
}

func mapped(t testing.TB, f *os.File, length int, prot posix.Prot) []byte {
	t.Helper()
	b, err := posix.Mmap(f, 0, length, prot)
	must(t, err)
	t.Cleanup(func() { must(t, posix.Munmap(b)) })
	return b
}

// faults reports whether op meets a memory fault.
func faults(op func()) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			_, fault = r.(interface{ Addr() uintptr })
			if !fault {
				panic(r)
			}
		}
	}()
	op()
	return false
}

func TestLeadingSlashesDoNotMatter(t *testing.T) {
	newObject(t, "shoal-x", 10)
	for _, name := range []string{"shoal-x", "/shoal-x", "///shoal-x"} {
		f, err := posix.ShmOpen(name, os.O_RDONLY, 0)
		must(t, err)
		info, err := f.Stat()
		if err != nil || info.Size() != 10 || f.Name() != "/dev/shm/shoal-x" {
			t.Errorf("%q is %s of %d bytes, %v", name, f.Name(), info.Size(), err)
		}
		must(t, f.Close())
	}
	must(t, posix.ShmUnlink("//shoal-x"))
	_, err := posix.ShmOpen("shoal-x", os.O_RDONLY, 0)
	wantErr(t, err, "shm_open", "shoal-x", fs.ErrNotExist)
	wantErr(t, posix.ShmUnlink("shoal-x"), "shm_unlink", "shoal-x", fs.ErrNotExist)
}

func TestNamesOfObjects(t *testing.T) {
	longest := strings.Repeat("n", 255)
	newObject(t, "/"+longest, 1)
	for name, want := range map[string]error{
		"":                   syscall.EINVAL,
		"/":                  syscall.EINVAL,
		"///":                syscall.EINVAL,
		".":                  syscall.EINVAL,
		"/..":                syscall.EINVAL,
		"/a/b":               syscall.EINVAL,
		"a/":                 syscall.EINVAL,
		"/a\x00b":            syscall.EINVAL,
		"/" + longest + "n":  syscall.ENAMETOOLONG,
		"///" + longest[:44]: syscall.ENOENT,
	} {
		for _, flag := range []int{os.O_RDONLY, os.O_RDWR | os.O_CREATE, os.O_RDWR | os.O_CREATE | os.O_EXCL} {
			if want == syscall.ENOENT && flag != os.O_RDONLY {
				continue
			}
			_, err := posix.ShmOpen(name, flag, 0o600)
			wantErr(t, err, "shm_open", name, want)
		}
		wantErr(t, posix.ShmUnlink(name), "shm_unlink", name, syscall.ENOENT) // whatever is wrong with it, as in glibc
	}
	entries, err := os.ReadDir(posix.ShmDir)
	if err != nil || isolate.Isolated() && len(entries) != 1 {
		t.Errorf("in %s: %v, %v", posix.ShmDir, entries, err)
	}
}

func TestFlagsOfObjects(t *testing.T) {
	for _, c := range []struct {
		flag int
		perm fs.FileMode
	}{
		{os.O_WRONLY, 0}, {os.O_RDWR | os.O_APPEND, 0}, {os.O_RDWR | os.O_SYNC, 0}, {os.O_RDWR | unix.O_TMPFILE, 0o600},
		{os.O_RDWR | os.O_CREATE, fs.ModeSetuid | 0o600}, {os.O_RDWR | os.O_CREATE, fs.ModeDir},
	} {
		_, err := posix.ShmOpen("/shoal-flags", c.flag, c.perm)
		wantErr(t, err, "shm_open", "/shoal-flags", syscall.EINVAL)
	}
	f := newObject(t, "/shoal-flags", 100)
	_, err := posix.ShmOpen("/shoal-flags", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	wantErr(t, err, "shm_open", "/shoal-flags", fs.ErrExist)
	flags, err := unix.FcntlInt(f.Fd(), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v: not close-on-exec", flags, err)
	}
	g, err := posix.ShmOpen("/shoal-flags", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	must(t, err)
	defer g.Close()
	if info, err := f.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("%d bytes after O_TRUNC, %v", info.Size(), err)
	}
}

func TestUmaskApplies(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o027))
	f, err := posix.ShmOpen("/shoal-umask", os.O_RDWR|os.O_CREATE, 0o666)
	must(t, err)
	defer posix.ShmUnlink("/shoal-umask")
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v; want 0640", info.Mode(), err)
	}
}

func TestWhatIsNoObject(t *testing.T) {
	const path = posix.ShmDir + "/shoal-way"
	for name, c := range map[string]struct {
		put  func() error
		want error
	}{
		"symbolic link": {func() error { return os.Symlink("/etc/hostname", path) }, syscall.ELOOP},
		"dangling link": {func() error { return os.Symlink("/nowhere", path) }, syscall.ELOOP},
		"directory":     {func() error { return os.Mkdir(path, 0o700) }, syscall.EISDIR},
		"FIFO":          {func() error { return syscall.Mkfifo(path, 0o600) }, syscall.EINVAL},
	} {
		t.Run(name, func(t *testing.T) {
			must(t, c.put())
			defer os.Remove(path)
			for _, flag := range []int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE} {
				_, err := posix.ShmOpen("/shoal-way", flag, 0o600)
				wantErr(t, err, "shm_open", "/shoal-way", c.want)
			}
			_, err := posix.ShmOpen("/shoal-way", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
			wantErr(t, err, "shm_open", "/shoal-way", fs.ErrExist)
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("it is gone: %v", err)
			}
		})
	}
	if _, err := os.Stat("/nowhere"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link was followed: %v", err)
	}
}

func TestCreateIsRacedByMany(t *testing.T) {
	defer posix.ShmUnlink("/shoal-race")
	inodes := make([]uint64, 32)
	var all sync.WaitGroup
	for i := range inodes {
		all.Go(func() {
			f, err := posix.ShmOpen("/shoal-race", os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Error(err)
				return
			}
			inodes[i] = info.Sys().(*syscall.Stat_t).Ino
		})
	}
	all.Wait()
	for _, ino := range inodes {
		if ino == 0 || ino != inodes[0] {
			t.Fatalf("not one object but several: %v", inodes)
		}
	}
}

func TestSizes(t *testing.T) {
	f := newObject(t, "/shoal-size", 0)
	page := os.Getpagesize()
	for _, length := range []int{0, -1} {
		_, err := posix.Mmap(f, 0, length, posix.ProtRead)
		wantErr(t, err, "mmap", f.Name(), syscall.EINVAL)
	}
	_, err := posix.Mmap(f, 100, page, posix.ProtRead)
	wantErr(t, err, "mmap", f.Name(), syscall.EINVAL)

	b := mapped(t, f, 2*page, posix.ProtRead|posix.ProtWrite) // size 0: mapping works, touching does not
	if !faults(func() { b[0]++ }) {
		t.Error("a page of an object of size 0 can be touched")
	}
	must(t, f.Truncate(100)) // to the page's end, no further
	if faults(func() { b[99], b[page-1] = 'a', 'z' }) {
		t.Error("the page of byte 99 cannot be touched")
	}
	if !faults(func() { b[page]++ }) {
		t.Error("the page behind the end can be touched")
	}
	must(t, f.Truncate(int64(2*page)))
	if b[99] != 'a' || b[page-1] != 'z' || b[page] != 0 {
		t.Errorf("grown: %q %q %q", b[99], b[page-1], b[page])
	}
	must(t, f.Truncate(int64(page))) // shrunk under the mapping
	if !faults(func() { b[page]++ }) {
		t.Error("the page that was cut off can be touched")
	}
}

func TestReadOnlyDescriptor(t *testing.T) {
	newObject(t, "/shoal-ro", 4096)
	f, err := posix.ShmOpen("/shoal-ro", os.O_RDONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = posix.Mmap(f, 0, 4096, posix.ProtRead|posix.ProtWrite)
	wantErr(t, err, "mmap", f.Name(), syscall.EACCES)
	if err := f.Truncate(10); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Truncate: %v", err)
	}
	wantErr(t, posix.Fallocate(f, 0, 8192), "fallocate", f.Name(), syscall.EBADF)
	b := mapped(t, f, 4096, posix.ProtRead)
	if b[0] != 0 || !faults(func() { b[0] = 1 }) {
		t.Error("a read-only mapping can be written")
	}
}

func TestTruncatePromisesWhatFallocateKeeps(t *testing.T) {
	isolate.Tmpfs(t, 64<<10, posix.ShmDir)
	free := func() uint64 {
		var st unix.Statfs_t
		must(t, unix.Statfs(posix.ShmDir, &st))
		return st.Bfree
	}
	before := free()
	f, err := posix.ShmOpen("/large", os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	defer f.Close()
	must(t, f.Truncate(1<<20))
	must(t, f.Truncate(0))
	wantErr(t, posix.Fallocate(f, 0, 1<<20), "fallocate", f.Name(), syscall.ENOSPC)
	if info, err := f.Stat(); err != nil || info.Size() != 0 || free() != before {
		t.Errorf("after a failed Fallocate %d bytes, %d blocks free of %d: %v", info.Size(), free(), before, err)
	}
	must(t, posix.Fallocate(f, 0, 32<<10))
	must(t, posix.Fallocate(f, 0, 100)) // does not shorten
	if info, err := f.Stat(); err != nil || info.Size() != 32<<10 || before-free() != 32<<10/4096 {
		t.Errorf("%d bytes, %d blocks used, %v", info.Size(), before-free(), err)
	}
	for _, c := range [][2]int64{{-1, 1}, {0, 0}, {0, -1}, {1 << 62, 1 << 62}} {
		wantErr(t, posix.Fallocate(f, c[0], c[1]), "fallocate", f.Name(), syscall.EINVAL)
	}
	must(t, posix.ShmUnlink("/large"))
}

func TestObjectOutlivesItsName(t *testing.T) {
	f := newObject(t, "/shoal-unlinked", 4096)
	b := mapped(t, f, 4096, posix.ProtRead|posix.ProtWrite)
	must(t, posix.ShmUnlink("/shoal-unlinked"))
	b[0] = 7
	must(t, posix.Msync(b))
	other := newObject(t, "/shoal-unlinked", 4096)
	if c := mapped(t, other, 4096, posix.ProtRead); c[0] != 0 || b[0] != 7 {
		t.Errorf("new object has %d, old one %d", c[0], b[0])
	}
}

func TestMunmapWantsWhatMmapGave(t *testing.T) {
	f := newObject(t, "/shoal-unmap", 8192)
	b, err := posix.Mmap(f, 0, 8192, posix.ProtRead)
	must(t, err)
	if err := posix.Munmap(b[4096:]); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("Munmap of a part: %v", err)
	}
	must(t, posix.Munmap(b))
	if err := posix.Munmap(b); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("second Munmap: %v", err)
	}
	f.Close()
	_, err = posix.Mmap(f, 0, 4096, posix.ProtRead)
	wantErr(t, err, "mmap", f.Name(), os.ErrClosed)
	wantErr(t, posix.Fallocate(f, 0, 1), "fallocate", f.Name(), os.ErrClosed)
}

// TestOpenWaitsForALease checks that an object under a lease (RemoveUnused of
// package shm takes one) is no error, as it is none for shm_open(3).
func TestOpenWaitsForALease(t *testing.T) {
	newObject(t, "/shoal-lease", 10).Close()
	holder, err := posix.ShmOpen("/shoal-lease", os.O_RDONLY, 0)
	must(t, err)
	defer holder.Close()
	if _, err := unix.FcntlInt(holder.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error)
	go func() {
		f, err := posix.ShmOpen("/shoal-lease", os.O_RDWR|os.O_CREATE, 0o600)
		if err == nil {
			err = f.Close()
		}
		opened <- err
	}()
	for breaking := false; !breaking; { // the opener has come, once the kernel asks for the lease back
		select {
		case err := <-opened:
			t.Fatalf("opened under a lease: %v", err)
		default:
		}
		kind, err := unix.FcntlInt(holder.Fd(), unix.F_GETLEASE, 0)
		must(t, err)
		breaking = kind != unix.F_WRLCK
	}
	holder.Close()
	must(t, <-opened)
}

func init() {
	roles["make"] = func() string {
		syscall.Umask(0)
		f, err := posix.ShmOpen("/shoal-nobody", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
		if err == nil {
			err = f.Close()
		}
		return errno(err)
	}
	roles["reach"] = func() string {
		var said []string
		for _, name := range []string{"/shoal-0600", "/shoal-0444"} {
			for _, flag := range []int{os.O_RDONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE} {
				f, err := posix.ShmOpen(name, flag, 0o600)
				if err == nil {
					err = f.Close()
				}
				said = append(said, errno(err))
			}
			said = append(said, errno(posix.ShmUnlink(name)))
		}
		return strings.Join(said, ", ")
	}
}

func TestOtherUsers(t *testing.T) {
	newObject(t, "/shoal-0600", 1)
	must(t, newObject(t, "/shoal-0444", 1).Chmod(0o444))
	const want = "permission denied, permission denied, permission denied, operation not permitted, " +
		"ok, permission denied, permission denied, operation not permitted"
	if got := asNobody(t, "reach"); got != want {
		t.Errorf("another user got %s\nwant %s", got, want)
	}
}

// TestProtectedRegular opens, with O_CREATE, what another user has made in a
// sticky directory. Under fs.protected_regular the kernel refuses that even to
// root if it sees O_CREAT. The setting is the machine's: the test does not
// change it, and says which value it met.
func TestProtectedRegular(t *testing.T) {
	if got := asNobody(t, "make"); got != "ok" {
		t.Fatal(got)
	}
	defer posix.ShmUnlink("/shoal-nobody")
	setting, err := os.ReadFile("/proc/sys/fs/protected_regular")
	must(t, err)
	_, bare := os.OpenFile(posix.ShmDir+"/shoal-nobody", os.O_RDWR|os.O_CREATE, 0o600)
	protected := strings.TrimSpace(string(setting)) != "0"
	if protected != errors.Is(bare, syscall.EACCES) {
		t.Errorf("fs.protected_regular is %s, and a bare open with O_CREAT says %v", setting, bare)
	}
	f, err := posix.ShmOpen("/shoal-nobody", os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	must(t, f.Close())
	if !protected {
		t.Skip("passed, but fs.protected_regular is 0 on this machine: the refusal that ShmOpen goes round cannot be provoked here")
	}
}
