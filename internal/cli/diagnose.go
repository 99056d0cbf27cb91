package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"strconv"
	"strings"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/sysv"
)

// machine is what the checks look at. Tests put together machines with every
// complaint.
type machine struct {
	supported bool
	platform  string
	files     fs.FS // the root of its file system: /proc, /sys

	shmDir func() (filesystem, error) // /dev/shm

	shmLimits func() (sysv.ShmLimit, error)
	shmUsage  func() (sysv.ShmUse, error)
	semLimits func() (sysv.SemLimit, error)
	semUsage  func() (sysv.SemUse, error)
	msgLimits func() (sysv.MsgLimit, error)
	msgUsage  func() (sysv.MsgUse, error)

	namespace func(kind string) (inode uint64, err error) // /proc/self/ns

	// Probes: nil if it works, else what the kernel says.
	futex       func() error
	futexWaitv  func() error
	robustLists func() error
	fileLocks   func() error // of open file descriptions, in memory
	memfdSeals  func() error
	lockedLimit func() (uint64, error) // RLIMIT_MEMLOCK, in bytes

	backend func() (name, why string) // see park.Backend

	take func() (*inspect.Snapshot, error)
}

// filesystem is what statfs(2) and stat(2) say of a mounted directory.
type filesystem struct {
	tmpfs              bool
	readOnly           bool
	size, free         uint64 // bytes
	inodes, inodesFree uint64
	mode               fs.FileMode // permission and sticky bits as the system numbers them
}

// diagnose runs all checks, in the order in which they are of interest.
func diagnose(m *machine) []finding {
	if !m.supported {
		return []finding{problem.report("system", "use Linux on x86-64 or arm64", "%s has none of the calls that Shoal is built on", m.platform)}
	}
	return []finding{
		m.checkSystem(),
		m.checkShmDir(),
		m.checkSegments(),
		m.checkSemaphores(),
		m.checkMessages(),
		m.checkPosixQueues(),
		m.checkNamespaces(),
		m.checkHugePages(),
		m.checkTransparentHugePages(),
		m.checkFutex(),
		m.checkFutexWaitv(),
		m.checkWaiting(),
		m.checkRobustLists(),
		m.checkFileLocks(),
		m.checkSeals(),
		m.checkLeases(),
		m.checkMemlock(),
		m.checkProtectedRegular(),
		m.checkLeftovers(),
	}
}

// read returns a small file's text, trimmed.
func (m *machine) read(name string) (string, error) {
	text, err := fs.ReadFile(m.files, name)
	return strings.TrimSpace(string(text)), err
}

// number reads a file that holds one.
func (m *machine) number(name string) (uint64, error) {
	text, err := m.read(name)
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(text, 10, 64)
}

func (m *machine) checkSystem() finding {
	release, err := m.read("proc/sys/kernel/osrelease")
	if err != nil {
		return problem.report("system", "mount it: mount -t proc proc /proc", "/proc cannot be read: %v", err)
	}
	return fine.report("system", "", "Linux %s, %s", release, m.platform)
}

// smallShm is the size of /dev/shm in a container of Docker that was asked for
// no other.
const smallShm = 64 << 20

func (m *machine) checkShmDir() finding {
	const check = "/dev/shm"
	const grow = "enlarge it: mount -o remount,size=4G /dev/shm; in a container: docker run --shm-size=4g"
	d, err := m.shmDir()
	if err != nil {
		return problem.report(check, "mount it: mount -t tmpfs -o mode=1777 tmpfs /dev/shm", "POSIX shared memory has no place: %v", err)
	}
	used := d.size - min(d.free, d.size)
	text := fmt.Sprintf("%s, %s used (%.0f%%)", bytesText(int64(d.size)), bytesText(int64(used)), 100*float64(used)/float64(max(d.size, 1)))
	switch {
	case d.readOnly:
		return problem.report(check, "mount -o remount,rw /dev/shm", "%s, mounted read-only: nobody can make objects", text)
	case !d.tmpfs:
		return warning.report(check, "mount it: mount -t tmpfs -o mode=1777 tmpfs /dev/shm", "%s, and no tmpfs: objects live on a disk", text)
	case d.mode&0o7777 != 0o1777:
		return warning.report(check, "chmod 1777 /dev/shm", "%s, mode %04o: other users cannot make objects, or can remove those of everybody", text, uint32(d.mode))
	case crowded(used, d.size) == problem:
		return problem.report(check, "remove what nobody uses: shoal gc --foreign; or "+grow, "%s: full", text)
	case d.inodes > 0 && d.inodesFree == 0:
		return problem.report(check, "remove what nobody uses: shoal gc --foreign; or mount -o remount,nr_inodes=1M /dev/shm", "%s; no name left of %d", text, d.inodes)
	case crowded(used, d.size) == warning:
		return warning.report(check, "see who uses it: shoal ls; or "+grow, "%s", text)
	case d.size <= smallShm:
		return warning.report(check, grow, "%s: small", text)
	}
	return fine.report(check, "", "%s", text)
}

func (m *machine) checkSegments() finding {
	const check = "System V memory"
	l, err := m.shmLimits()
	if err != nil {
		return absent(check, err)
	}
	u, err := m.shmUsage()
	if err != nil {
		return absent(check, err)
	}
	text := fmt.Sprintf("%d of %d segments, %s, %s a segment",
		u.Segments, l.MaxSegments, limitPages(u.Pages, l.MaxPages), limitBytes(l.MaxBytes))
	switch segments, pages := crowded(uint64(u.Segments), l.MaxSegments), crowded(u.Pages, l.MaxPages); {
	case segments != fine:
		return segments.report(check, fmt.Sprintf("shoal gc --foreign; or sysctl kernel.shmmni=%d", 2*l.MaxSegments), "%s", text)
	case pages != fine:
		return pages.report(check, fmt.Sprintf("shoal gc --foreign; or sysctl kernel.shmall=%d", 2*max(l.MaxPages, 1)), "%s", text)
	case l.MaxBytes < smallShm:
		return warning.report(check, "sysctl kernel.shmmax=18446744073692774399 (the kernel's default)", "%s: small", text)
	}
	return fine.report(check, "", "%s", text)
}

func (m *machine) checkSemaphores() finding {
	const check = "System V semaphores"
	l, err := m.semLimits()
	if err != nil {
		return absent(check, err)
	}
	u, err := m.semUsage()
	if err != nil {
		return absent(check, err)
	}
	g := max(crowded(uint64(u.Sets), uint64(l.MaxSets)), crowded(uint64(u.Semaphores), uint64(l.MaxSemaphores)))
	remedy := ""
	if g != fine {
		remedy = fmt.Sprintf("remove sets that nobody needs (shoal ls, shoal rm); or sysctl kernel.sem=%q",
			fmt.Sprintf("%d %d %d %d", l.MaxPerSet, 2*l.MaxSemaphores, l.MaxOps, 2*l.MaxSets))
	}
	return g.report(check, remedy, "%d of %d sets, %d of %d semaphores", u.Sets, l.MaxSets, u.Semaphores, l.MaxSemaphores)
}

func (m *machine) checkMessages() finding {
	const check = "System V messages"
	l, err := m.msgLimits()
	if err != nil {
		return absent(check, err)
	}
	u, err := m.msgUsage()
	if err != nil {
		return absent(check, err)
	}
	g := crowded(uint64(u.Queues), uint64(l.MaxQueues))
	remedy := ""
	if g != fine {
		remedy = fmt.Sprintf("remove queues that nobody needs (shoal ls, shoal rm); or sysctl kernel.msgmni=%d", 2*max(l.MaxQueues, 1))
	}
	return g.report(check, remedy, "%d of %d queues, %s a queue, %s a message",
		u.Queues, l.MaxQueues, bytesText(int64(l.MaxQueueBytes)), bytesText(int64(l.MaxMessageBytes)))
}

// absent is a finding about what the system lacks, or refuses to tell.
func absent(check string, err error) finding {
	return problem.report(check, "a kernel with CONFIG_SYSVIPC, and a sandbox that permits the calls", "not to be had: %v", err)
}

func (m *machine) checkPosixQueues() finding {
	const check = "POSIX messages"
	queues, err := m.number("proc/sys/fs/mqueue/queues_max")
	if errors.Is(err, fs.ErrNotExist) {
		return warning.report(check, "a kernel with CONFIG_POSIX_MQUEUE", "the kernel has no POSIX message queues")
	}
	messages, err1 := m.number("proc/sys/fs/mqueue/msg_max")
	bytes, err2 := m.number("proc/sys/fs/mqueue/msgsize_max")
	if err := errors.Join(err, err1, err2); err != nil {
		return warning.report(check, "", "%v", err)
	}
	text := fmt.Sprintf("%d queues, %d messages a queue, %s a message", queues, messages, bytesText(int64(bytes)))
	mounts, _ := m.read("proc/self/mounts")
	if !strings.Contains(mounts, " /dev/mqueue mqueue ") {
		return fine.report(check, "shoal ls shows queues only where their file system is mounted: mount -t mqueue none /dev/mqueue", "%s", text)
	}
	return fine.report(check, "", "%s", text)
}

// The first namespaces of a machine have fixed inodes (include/uapi/linux/nsfs.h).
const (
	firstIPC = 0xEFFFFFFF
	firstPID = 0xEFFFFFFC
)

func (m *machine) checkNamespaces() finding {
	const check = "namespaces"
	ipc, err1 := m.namespace("ipc")
	pid, err2 := m.namespace("pid")
	if err := errors.Join(err1, err2); err != nil {
		return warning.report(check, "mount /proc", "cannot tell: %v", err)
	}
	var own, remedy []string
	if ipc != firstIPC {
		own = append(own, "IPC")
		remedy = append(remedy, "System V objects of other containers are out of reach: share them with docker run --ipc=")
	}
	if pid != firstPID {
		own = append(own, "PID")
		remedy = append(remedy, "processes outside are out of sight, so who and ls are partial: docker run --pid=host")
	}
	if len(own) == 0 {
		return fine.report(check, "", "the machine's own: this is no container")
	}
	return fine.report(check, strings.Join(remedy, "; "), "a container: %s namespace of its own", strings.Join(own, " and "))
}

func (m *machine) checkHugePages() finding {
	const check = "huge page pool"
	text, err := m.read("proc/meminfo")
	if err != nil {
		return warning.report(check, "mount /proc", "cannot tell: %v", err)
	}
	values := map[string]int64{}
	for line := range strings.Lines(text) {
		if f := strings.Fields(line); len(f) >= 2 {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				values[strings.TrimSuffix(f[0], ":")] = n
			}
		}
	}
	page, ok := values["Hugepagesize"] // in kB
	if !ok {
		return fine.report(check, "a kernel with CONFIG_HUGETLBFS has them", "the kernel has no huge pages")
	}
	total, free := values["HugePages_Total"], values["HugePages_Free"]
	found := fmt.Sprintf("%d of %d pages of %s free", free, total, bytesText(page<<10))
	switch {
	case total == 0:
		return fine.report(check, "to use them: sysctl vm.nr_hugepages=64", "empty: no pages of %s are set aside", bytesText(page<<10))
	case free == 0:
		return warning.report(check, fmt.Sprintf("sysctl vm.nr_hugepages=%d", 2*total), "%s", found)
	}
	return fine.report(check, "", "%s", found)
}

func (m *machine) checkTransparentHugePages() finding {
	const check = "huge pages in tmpfs"
	text, err := m.read("sys/kernel/mm/transparent_hugepage/shmem_enabled")
	if err != nil {
		return fine.report(check, "", "the kernel has none")
	}
	// The one in force stands in brackets: "always within_size advise [never] deny force".
	_, rest, _ := strings.Cut(text, "[")
	chosen, _, ok := strings.Cut(rest, "]")
	switch {
	case !ok:
		return warning.report(check, "", "cannot tell from %q", text)
	case chosen == "never" || chosen == "deny":
		return fine.report(check, "for objects that ask for huge pages: echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled", "off (%s)", chosen)
	}
	return fine.report(check, "", "%s", chosen)
}

func (m *machine) checkFutex() finding {
	if err := m.futex(); err != nil {
		return problem.report("futex", "let the sandbox (seccomp) permit futex(2)", "processes cannot wait for one another: %v", err)
	}
	return fine.report("futex", "", "works")
}

func (m *machine) checkFutexWaitv() finding {
	if err := m.futexWaitv(); err != nil {
		return warning.report("futex_waitv", "Linux 5.16, and a sandbox (seccomp) that permits it", "waiting for many words takes a thread for each: %v", err)
	}
	return fine.report("futex_waitv", "", "works")
}

// checkWaiting tells on what waiting for many words at once stands.
func (m *machine) checkWaiting() finding {
	const check = "waiting"
	name, why := m.backend()
	switch name {
	case "io_uring":
		return fine.report(check, why, "io_uring: one thread for any number of waiters")
	case "":
		return problem.report(check, "", "not to be had: %s", why)
	}
	remedy := "to have io_uring: Linux 6.7, and a sandbox (seccomp) that permits it"
	if off, e := m.number("proc/sys/kernel/io_uring_disabled"); e == nil && off != 0 {
		remedy = fmt.Sprintf("to have io_uring: sysctl kernel.io_uring_disabled=0 (now %d)", off)
	}
	return fine.report(check, remedy, "%s (%s)", name, why)
}

func (m *machine) checkRobustLists() finding {
	const check = "robust lists"
	if err := m.robustLists(); err != nil {
		return problem.report(check, "a kernel with CONFIG_FUTEX, and a sandbox (seccomp) that permits set_robust_list(2)", "nobody learns at once that a process has died: %v", err)
	}
	return fine.report(check, "", "work: the kernel tells at once who has died")
}

func (m *machine) checkFileLocks() finding {
	const check = "file locks"
	if err := m.fileLocks(); err != nil {
		return problem.report(check, "Linux 3.15, and a sandbox that permits fcntl(2) F_OFD_SETLK", "processes cannot prove that they live: %v", err)
	}
	return fine.report(check, "", "work: open file description locks")
}

func (m *machine) checkSeals() finding {
	if err := m.memfdSeals(); err != nil {
		return problem.report("memfd seals", "a kernel with CONFIG_MEMFD_CREATE, and a sandbox that permits memfd_create(2)", "memfd segments cannot be made safe: %v", err)
	}
	return fine.report("memfd seals", "", "work")
}

func (m *machine) checkLeases() finding {
	const check = "leases"
	on, err := m.number("proc/sys/fs/leases-enable")
	if err != nil || on == 0 {
		return warning.report(check, "sysctl fs.leases-enable=1", "off: shoal gc cannot know whether a POSIX object is in use, and removes none")
	}
	return fine.report(check, "", "on: the kernel tells gc what is in use")
}

func (m *machine) checkMemlock() finding {
	const check = "locked memory"
	limit, err := m.lockedLimit()
	switch {
	case err != nil:
		return warning.report(check, "", "cannot tell: %v", err)
	case limit <= 64<<10:
		return warning.report(check, "ulimit -l unlimited; systemd: LimitMEMLOCK=infinity", "%s a process (RLIMIT_MEMLOCK)", limitBytes(limit))
	}
	return fine.report(check, "", "%s a process (RLIMIT_MEMLOCK)", limitBytes(limit))
}

func (m *machine) checkProtectedRegular() finding {
	const check = "protected_regular"
	n, err := m.number("proc/sys/fs/protected_regular")
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return warning.report(check, "Linux 4.19 has it", "the kernel lacks it: others can plant objects under names that programs create")
	case err != nil:
		return warning.report(check, "", "cannot tell: %v", err)
	case n == 0:
		return warning.report(check, "sysctl fs.protected_regular=1", "0: others can plant objects under names that programs create")
	}
	return fine.report(check, "", "%d: nobody is made to create into another user's object", n)
}

func (m *machine) checkLeftovers() finding {
	const check = "leftovers"
	s, err := m.take()
	if err != nil {
		return warning.report(check, "", "cannot tell: %v", err)
	}
	n, bytes := 0, int64(0)
	for _, o := range s.Objects {
		if o.State == inspect.Orphan || o.State == inspect.Damaged {
			n++
			bytes += max(o.Resident, 0)
		}
	}
	if n == 0 {
		return fine.report(check, "", "none: every object has a user, or a living creator")
	}
	return warning.report(check, "see which and why: shoal gc --dry-run --foreign", "%s that nobody uses, %s", count(int64(n), "object"), bytesText(bytes))
}

// unlimited is how the kernel writes "no limit" in places: near 2^63 and above.
const unlimited = 1 << 62

func limitBytes(n uint64) string {
	if n >= unlimited {
		return "any number of bytes"
	}
	return bytesText(int64(n))
}

// limitPages writes how many pages are used of those that may be. Less than half
// of what can be addressed is a limit that means something.
func limitPages(used, limit uint64) string {
	if limit >= math.MaxInt64/4096 {
		return count(int64(used), "page")
	}
	return fmt.Sprintf("%d of %d pages", used, limit)
}
