//go:build linux && (amd64 || arm64)

package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/sys"
)

// fileObject is an object with a descriptor: POSIX, file and memfd.
type fileObject struct {
	addr  Address
	fd    int
	draft draft // how to publish it; zero once done
}

// openFile opens an existing object. Never with O_CREAT: fs.protected_regular
// would refuse another user's object.
func openFile(a Address, s settings) (opened, error) {
	flags := unix.O_RDWR
	if s.ReadOnly {
		flags = unix.O_RDONLY
	}
	var fd int
	var st unix.Stat_t
	err := ignoringEINTR(func() (err error) {
		fd, st, err = sys.OpenRegular(a.path(), flags, 0)
		return err
	})
	if err == unix.EINVAL {
		err = errOtherKind
	}
	if err != nil {
		return opened{}, err
	}
	o := &fileObject{addr: a, fd: fd}
	if st.Nlink == 0 {
		// RemoveUnused was at work, and open has waited for its lease. (Or the
		// file system counts no links.)
		named, err := statPath(a)
		if err != nil || named.identity != (identity{dev: st.Dev, inode: st.Ino}) {
			o.close()
			return opened{}, unix.ENOENT
		}
	}
	return opened{o, a, st.Size}, nil
}

func (o *fileObject) size() (int64, error) {
	var st unix.Stat_t
	err := unix.Fstat(o.fd, &st)
	return st.Size, err
}

func (o *fileObject) attach(n int64, s settings) ([]byte, error) {
	prot, flags := unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED
	if s.ReadOnly {
		prot = unix.PROT_READ
	}
	if s.Populate {
		flags |= unix.MAP_POPULATE
	}
	b, err := unix.Mmap(o.fd, 0, int(n), prot, flags)
	if err != nil {
		return nil, err
	}
	if s.HugePages && o.addr.kind != Memfd {
		err = unix.Madvise(b, unix.MADV_HUGEPAGE)
	}
	if err == nil && s.LockMemory {
		err = lockMemory(b)
	}
	if err != nil {
		unix.Munmap(b)
		return nil, err
	}
	return b, nil
}

func (o *fileObject) detach(b []byte) error { return unix.Munmap(b) }

func (o *fileObject) grow(n int64) error {
	// munmap(2) takes whole huge pages only.
	var st unix.Statfs_t
	if err := unix.Fstatfs(o.fd, &st); err == nil && st.Type == unix.HUGETLBFS_MAGIC {
		whole, err := roundUp(n, st.Bsize)
		if err != nil {
			return err
		}
		n = whole
	}
	return o.reserve(n)
}

// roundUp returns the multiple of page at or above n.
func roundUp(n, page int64) (int64, error) {
	if n > math.MaxInt64-page {
		return 0, fmt.Errorf("%s asked: %w", formatBytes(n), unix.EFBIG)
	}
	return (n + page - 1) / page * page, nil
}

// reserveChunk is how much one fallocate(2) reserves. A signal makes tmpfs undo
// the call that it interrupts (mm/shmem.c, shmem_fallocate), so one call for
// gigabytes might never finish; a chunk takes some 10 ms.
const reserveChunk = 64 << 20

// reserve gives every byte up to n its memory, and so makes the object at least
// n bytes long. It never shortens it.
func (o *fileObject) reserve(n int64) error {
	if n > reserveChunk {
		if err := o.checkRoom(n); err != nil {
			return o.roomError(n, err)
		}
	}
	for off := int64(0); off < n; off += reserveChunk {
		step := min(n-off, reserveChunk)
		err := ignoringEINTR(func() error { return unix.Fallocate(o.fd, 0, off, step) })
		if err == unix.EOPNOTSUPP {
			err = o.writeZeros(off, step)
		}
		if err != nil {
			return o.roomError(n, err)
		}
	}
	return nil
}

// checkRoom refuses what cannot succeed before the first of its chunks has taken
// memory: on a machine that is short of it, the last one might get somebody
// killed.
func (o *fileObject) checkRoom(n int64) error {
	var have unix.Stat_t
	var fs unix.Statfs_t
	if unix.Fstat(o.fd, &have) != nil || unix.Fstatfs(o.fd, &fs) != nil {
		return nil // the chunks will tell
	}
	more := n - have.Blocks*512
	if fs.Blocks > 0 && more > 0 && (more-1)/fs.Bsize >= int64(fs.Bfree) {
		return unix.ENOSPC
	}
	// Memory without a limit of its own (Blocks is 0), or with one above the
	// machine's.
	var machine unix.Sysinfo_t
	if o.addr.kind != File && unix.Sysinfo(&machine) == nil &&
		uint64(n) > (uint64(machine.Totalram)+uint64(machine.Totalswap))*uint64(machine.Unit) {
		return unix.ENOMEM
	}
	return nil
}

// writeZeros reserves on file systems without fallocate, the way posix_fallocate
// does: by writing, but only behind the end, where there is nothing to lose.
func (o *fileObject) writeZeros(off, n int64) error {
	size, err := o.size()
	if err != nil {
		return err
	}
	zeros := make([]byte, 256<<10)
	for off, end := max(off, size), off+n; off < end; {
		m, err := unix.Pwrite(o.fd, zeros[:min(int64(len(zeros)), end-off)], off)
		if err != nil && err != unix.EINTR {
			return err
		}
		off += int64(max(m, 0))
	}
	return nil
}

// roomError adds to a failed reservation what the person needs to know.
func (o *fileObject) roomError(asked int64, err error) error {
	var st unix.Statfs_t
	if err != unix.ENOSPC && err != unix.ENOMEM || unix.Fstatfs(o.fd, &st) != nil {
		return err
	}
	free, total := int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize
	where, remedy := "in "+o.addr.path()+"'s file system", "free some space"
	switch {
	case o.addr.kind == Memfd:
		return fmt.Errorf("%s asked: %w (memory or huge pages are short: see shoal doctor)", formatBytes(asked), err)
	case err == unix.ENOMEM:
		return fmt.Errorf("%s asked: %w (this machine's memory and swap together have less, or its control group allows less)", formatBytes(asked), err)
	case o.addr.kind == POSIX:
		where = "in /dev/shm (" + formatBytes(total) + ")"
		remedy = "remove what nobody uses (shoal gc --foreign), or enlarge it (mount -o remount,size=… /dev/shm; docker run --shm-size=…)"
	}
	return fmt.Errorf("%w: %s asked, %s free %s: %s", err, formatBytes(asked), formatBytes(free), where, remedy)
}

func (o *fileObject) flush(b []byte) error {
	if o.addr.kind != File {
		return nil
	}
	return ignoringEINTR(func() error { return unix.Msync(b, unix.MS_SYNC) })
}

func (o *fileObject) stat() (Info, error) {
	var st unix.Statx_t
	if err := unix.Statx(o.fd, "", unix.AT_EMPTY_PATH, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st); err != nil {
		return Info{}, err
	}
	info, err := fileInfo(o.addr, &st)
	// Only memfds can carry F_SEAL_SHRINK: of other objects a tmpfs says
	// F_SEAL_SEAL, and other file systems say EINVAL.
	if seals, sealErr := unix.FcntlInt(uintptr(o.fd), unix.F_GET_SEALS, 0); sealErr == nil {
		info.Sealed = seals&unix.F_SEAL_SHRINK != 0
	}
	return info, err
}

func (o *fileObject) publish() error { return o.draft.publish(o.fd, o.addr.path()) }

func (o *fileObject) remove() error {
	if o.addr.kind == Memfd {
		return nil // it has no name to take away
	}
	mine, err := o.stat()
	if err != nil {
		return err
	}
	named, err := statPath(o.addr)
	if err != nil {
		return err
	}
	if named.identity != mine.identity {
		return fmt.Errorf("its name now stands for another object: %w", fs.ErrNotExist)
	}
	return unix.Unlink(o.addr.path())
}

func (o *fileObject) close() error {
	o.draft.discard()
	return unix.Close(o.fd)
}

// fileInfo turns what statx(2) says into an Info, and refuses what is no object.
func fileInfo(a Address, st *unix.Statx_t) (Info, error) {
	if err := checkKind(uint32(st.Mode)); err != nil {
		return Info{}, err
	}
	info := Info{
		Address:  a,
		Size:     int64(st.Size),
		Resident: int64(st.Blocks) * 512, // statx(2): blocks of 512 bytes
		Swapped:  -1,
		Mode:     fs.FileMode(st.Mode) & fs.ModePerm,
		UID:      st.Uid,
		GID:      st.Gid,
		Attached: -1,
		Changed:  time.Unix(st.Ctime.Sec, int64(st.Ctime.Nsec)),
		Removed:  st.Nlink == 0 && a.kind != Memfd,
		identity: identity{dev: unix.Mkdev(st.Dev_major, st.Dev_minor), inode: st.Ino},
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		info.Created = time.Unix(st.Btime.Sec, int64(st.Btime.Nsec))
	}
	return info, nil
}

// lockMemory keeps the pages of b from being swapped.
func lockMemory(b []byte) error {
	err := unix.Mlock(b)
	if err == nil {
		return nil
	}
	var limit unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit)
	return fmt.Errorf("mlock of %s: %w; RLIMIT_MEMLOCK is %s: raise it (ulimit -l) or grant CAP_IPC_LOCK",
		formatBytes(int64(len(b))), err, formatLimit(limit.Cur))
}

func formatLimit(n uint64) string {
	if n > 1<<62 {
		return "unlimited"
	}
	return formatBytes(int64(n))
}

// removeUnusedFile unlinks under a write lease, which the kernel grants only if
// no other open file description (and so no mapping) of the object exists:
// fs/locks.c, check_conflicting_open. Whoever opens the object meanwhile waits
// for the lease, and then has an object without a name.
func removeUnusedFile(a Address) error {
	obj, err := openFile(a, settings{Options: Options{ReadOnly: true}})
	if err != nil {
		return err
	}
	o := obj.object.(*fileObject)
	defer o.close() // gives the lease back
	_, err = unix.FcntlInt(uintptr(o.fd), unix.F_SETLEASE, unix.F_WRLCK)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return ErrInUse
	case err != nil:
		return fmt.Errorf("cannot find out whether it is in use (fcntl F_SETLEASE): %w", err)
	}
	return o.remove()
}

func procSelfFD(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }
