//go:build linux && (amd64 || arm64)

package shm_test

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/shm"
)

// A life is the whole life of an object in one process, from nothing to
// nothing, and so can be repeated.
type life struct {
	name string
	addr string
	size int
	bare func(b *testing.B) // the system calls alone
}

// shoal creates, maps, unmaps and removes by way of this package: a System V
// segment by its id, which its maker knows, others by name.
func (l life) shoal(b *testing.B) {
	seg, err := shm.Create(l.addr, int64(l.size), nil)
	try(b, "Create", err)
	kind := seg.Address().Kind()
	if kind == shm.SysV {
		try(b, "Remove", seg.Remove())
	}
	try(b, "Close", seg.Close())
	if kind == shm.POSIX || kind == shm.File {
		try(b, "Remove", shm.Remove(l.addr))
	}
}

// lives are one for each backend and a few sizes.
func lives(b *testing.B) (all []life) {
	file := filepath.Join(b.TempDir(), "segment")
	for _, size := range []struct {
		name  string
		bytes int
	}{{"4KiB", 4 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}} {
		n := size.bytes
		all = append(all,
			life{"posix/" + size.name, "/shoal-bench", n, func(b *testing.B) { bareFile(b, "/dev/shm/shoal-bench", n) }},
			life{"file/" + size.name, "file:" + file, n, func(b *testing.B) { bareFile(b, file, n) }},
			life{"memfd/" + size.name, "memfd:shoal-bench", n, func(b *testing.B) { bareMemfd(b, n) }},
			life{"sysv/" + size.name, "sysv:0x5a0a2", n, func(b *testing.B) { bareSysV(b, n) }},
		)
	}
	return all
}

// try ends the benchmark at the first system call that fails.
func try(b *testing.B, call string, err error) {
	if err != nil {
		b.Fatal(call, ": ", err)
	}
}

// bareFile does what Create, Close and Remove promise for a file: complete when
// it appears, with its memory reserved.
func bareFile(b *testing.B, path string, size int) {
	fd, err := unix.Open(filepath.Dir(path), unix.O_RDWR|unix.O_TMPFILE|unix.O_CLOEXEC, 0o600)
	if err == unix.EOPNOTSUPP {
		b.Skipf("no O_TMPFILE in %s: nothing to compare with", path)
	}
	try(b, "open", err)
	try(b, "fallocate", unix.Fallocate(fd, 0, 0, int64(size)))
	view, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	try(b, "mmap", err)
	err = unix.Linkat(fd, "", unix.AT_FDCWD, path, unix.AT_EMPTY_PATH)
	if err == unix.ENOENT { // without privilege, before Linux 6.10
		err = unix.Linkat(unix.AT_FDCWD, shm.ProcSelfFD(fd), unix.AT_FDCWD, path, unix.AT_SYMLINK_FOLLOW)
	}
	try(b, "linkat", err)
	try(b, "munmap", unix.Munmap(view))
	try(b, "close", unix.Close(fd))
	try(b, "unlink", unix.Unlink(path))
}

func bareMemfd(b *testing.B, size int) {
	fd, err := unix.MemfdCreate("shoal-bench", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_NOEXEC_SEAL)
	try(b, "memfd_create", err)
	try(b, "fchmod", unix.Fchmod(fd, 0o600))
	try(b, "fallocate", unix.Fallocate(fd, 0, 0, int64(size)))
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
	try(b, "fcntl", err)
	view, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	try(b, "mmap", err)
	try(b, "munmap", unix.Munmap(view))
	try(b, "close", unix.Close(fd))
}

func bareSysV(b *testing.B, size int) {
	const key = 0x5a0a2
	id, err := unix.SysvShmGet(key, size, unix.IPC_CREAT|unix.IPC_EXCL|0o600)
	try(b, "shmget", err)
	view, err := unix.SysvShmAttach(id, 0, 0)
	try(b, "shmat", err)
	_, err = unix.SysvShmCtl(id, unix.IPC_RMID, nil)
	try(b, "shmctl", err)
	try(b, "shmdt", unix.SysvShmDetach(view))
}

// BenchmarkCreate is what creating, mapping, unmapping and removing an object
// costs, beside the system calls without which it cannot be had. Those that this
// package adds: fstat(2), so that the mode is exact, and stat(2) before unlink(2),
// so that only objects are removed.
func BenchmarkCreate(b *testing.B) {
	for _, l := range lives(b) {
		b.Run(l.name+"/shoal", func(b *testing.B) {
			for b.Loop() {
				l.shoal(b)
			}
		})
		b.Run(l.name+"/bare", func(b *testing.B) {
			for b.Loop() {
				l.bare(b)
			}
		})
	}
}

// BenchmarkCreateRatio is the same as one number, "ratio": the median of rounds
// in which both take turns, so that a busy machine hits them alike.
func BenchmarkCreateRatio(b *testing.B) {
	const inRound = 16 // lives of each
	for _, l := range lives(b) {
		b.Run(l.name, func(b *testing.B) {
			var ratios []float64
			for b.Loop() {
				var bare, shoal time.Duration
				for range inRound {
					t0 := time.Now()
					l.bare(b)
					t1 := time.Now()
					l.shoal(b)
					bare += t1.Sub(t0)
					shoal += time.Since(t1)
				}
				ratios = append(ratios, float64(shoal)/float64(bare))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "ratio")
			b.ReportMetric(0, "ns/op") // of both together: of no use
		})
	}
}

// BenchmarkBytes reads a segment byte by byte, beside a slice of the Go heap.
// "hoisted" asks for the bytes once, before the loop, as anybody would; "each
// time" asks for every byte, which costs the loads of pointer and length more.
func BenchmarkBytes(b *testing.B) {
	const size = 64 << 10
	seg, err := shm.Create("memfd:shoal-bench", size, nil)
	try(b, "create", err)
	defer seg.Close()
	heap := make([]byte, size)
	for _, way := range []struct {
		name string
		sum  func() (sum byte)
	}{
		{"heap", func() (sum byte) {
			for i := range heap {
				sum += heap[i]
			}
			return sum
		}},
		{"hoisted", func() (sum byte) {
			bytes := seg.Bytes()
			for i := range bytes {
				sum += bytes[i]
			}
			return sum
		}},
		{"each time", func() (sum byte) {
			for i := range size {
				sum += seg.Bytes()[i]
			}
			return sum
		}},
	} {
		b.Run(way.name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				if way.sum() != 0 {
					b.Fatal("a new segment is not zero")
				}
			}
		})
	}
}

// BenchmarkGuard is what a guarded access costs beside a bare one.
func BenchmarkGuard(b *testing.B) {
	seg, err := shm.Create("memfd:shoal-bench", 4096, nil)
	try(b, "create", err)
	defer seg.Close()
	b.Run("ReadAt", func(b *testing.B) {
		p := make([]byte, 64)
		for b.Loop() {
			seg.ReadAt(p, 128)
		}
	})
	b.Run("Guard", func(b *testing.B) {
		for b.Loop() {
			seg.Guard(func() error { return nil })
		}
	})
	b.Run("Borrow", func(b *testing.B) {
		for b.Loop() {
			v, _ := seg.Borrow()
			v.Release()
		}
	})
}
