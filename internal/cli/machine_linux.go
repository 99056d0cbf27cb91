package cli

import (
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/sysv"
)

// thisMachine is the one that the command runs on.
func thisMachine() *machine {
	return &machine{
		supported:   runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64",
		platform:    runtime.GOOS + "/" + runtime.GOARCH,
		files:       os.DirFS("/"),
		shmDir:      func() (filesystem, error) { return statDir(posix.ShmDir) },
		shmLimits:   sysv.ShmLimits,
		shmUsage:    sysv.ShmUsage,
		semLimits:   sysv.SemLimits,
		semUsage:    sysv.SemUsage,
		msgLimits:   sysv.MsgLimits,
		msgUsage:    sysv.MsgUsage,
		namespace:   namespaceInode,
		futex:       probeFutex,
		futexWaitv:  probeFutexWaitv,
		robustLists: probeRobustLists,
		fileLocks:   probeFileLocks,
		backend:     park.Backend,
		memfdSeals:  probeSeals,
		lockedLimit: lockedLimit,
		take:        inspect.Take,
	}
}

func statDir(dir string) (filesystem, error) {
	var st unix.Stat_t
	var sfs unix.Statfs_t
	if err := unix.Stat(dir, &st); err != nil {
		return filesystem{}, &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if err := unix.Statfs(dir, &sfs); err != nil {
		return filesystem{}, &os.PathError{Op: "statfs", Path: dir, Err: err}
	}
	return filesystem{
		tmpfs:      sfs.Type == unix.TMPFS_MAGIC,
		readOnly:   sfs.Flags&unix.ST_RDONLY != 0,
		size:       sfs.Blocks * uint64(sfs.Bsize),
		free:       sfs.Bavail * uint64(sfs.Bsize),
		inodes:     sfs.Files,
		inodesFree: sfs.Ffree,
		mode:       os.FileMode(st.Mode & 0o7777),
	}, nil
}

// namespaceInode returns the number of one of this process's namespaces.
func namespaceInode(kind string) (uint64, error) {
	link, err := os.Readlink("/proc/self/ns/" + kind) // "ipc:[4026531839]"
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.Trim(strings.TrimPrefix(link, kind+":"), "[]"), 10, 64)
}

// probeFutex wakes nobody at address 0, which no process can wait at.
func probeFutex() error {
	const wake = 1 // FUTEX_WAKE
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX, 0, wake, 1, 0, 0, 0)
	return answer(errno, unix.EFAULT, unix.EINVAL)
}

// probeFutexWaitv waits for no words, which is refused at once.
func probeFutexWaitv() error {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, 0, 0, 0, 0, 0, 0)
	return answer(errno, unix.EINVAL, unix.EFAULT)
}

// probeRobustLists announces a list of no size, which is refused.
func probeRobustLists() error {
	_, _, errno := unix.Syscall(unix.SYS_SET_ROBUST_LIST, 0, 0, 0)
	return answer(errno, unix.EINVAL)
}

// probeFileLocks locks a byte of a memfd, and lets go.
func probeFileLocks() error {
	fd, err := unix.MemfdCreate("shoal-doctor", unix.MFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	defer unix.Close(fd)
	return os.NewSyscallError("fcntl(F_OFD_SETLK)", unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK, Len: 1}))
}

// answer turns what a probe got into an error: nil if the call is there, for
// then the kernel complains about the arguments.
func answer(errno unix.Errno, complaints ...unix.Errno) error {
	if errno == 0 {
		return nil
	}
	for _, c := range complaints {
		if errno == c {
			return nil
		}
	}
	return errno
}

// probeSeals makes a memfd that cannot shrink.
func probeSeals() error {
	fd, err := unix.MemfdCreate("shoal-doctor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return os.NewSyscallError("memfd_create", err)
	}
	defer unix.Close(fd)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK)
	return os.NewSyscallError("fcntl(F_ADD_SEALS)", err)
}

func lockedLimit() (uint64, error) {
	var l unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_MEMLOCK, &l)
	return l.Cur, err
}
