package cli

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed-247006a4/shoal/inspect"
	"github.com/seed-247006a4/shoal/sysv"
)

// healthy is a machine without any complaint.
func healthy() *machine {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	works := func() error { return nil }
	return &machine{
		supported: true,
		platform:  "linux/amd64",
		files: fstest.MapFS{
			"proc/sys/kernel/osrelease":                        text("6.12.0\n"),
			"proc/meminfo":                                     text("MemTotal: 1 kB\nHugePages_Total:       8\nHugePages_Free:        4\nHugepagesize:       2048 kB\n"),
			"proc/sys/fs/mqueue/queues_max":                    text("256\n"),
			"proc/sys/fs/mqueue/msg_max":                       text("10\n"),
			"proc/sys/fs/mqueue/msgsize_max":                   text("8192\n"),
			"proc/self/mounts":                                 text("mqueue /dev/mqueue mqueue rw 0 0\n"),
			"proc/sys/fs/leases-enable":                        text("1\n"),
			"proc/sys/fs/protected_regular":                    text("2\n"),
			"proc/sys/kernel/io_uring_disabled":                text("0\n"),
			"sys/kernel/mm/transparent_hugepage/shmem_enabled": text("always within_size [advise] never deny force\n"),
		},
		shmDir: func() (filesystem, error) {
			return filesystem{tmpfs: true, size: 1 << 30, free: 1 << 29, inodes: 1000, inodesFree: 500, mode: 0o1777}, nil
		},
		shmLimits: func() (sysv.ShmLimit, error) {
			return sysv.ShmLimit{MaxBytes: 1 << 63, MaxSegments: 4096, MaxPages: 1 << 62}, nil
		},
		shmUsage: func() (sysv.ShmUse, error) { return sysv.ShmUse{Segments: 1, Pages: 1}, nil },
		semLimits: func() (sysv.SemLimit, error) {
			return sysv.SemLimit{MaxSets: 100, MaxSemaphores: 1000, MaxPerSet: 250, MaxOps: 32}, nil
		},
		semUsage: func() (sysv.SemUse, error) { return sysv.SemUse{Sets: 1, Semaphores: 3}, nil },
		msgLimits: func() (sysv.MsgLimit, error) {
			return sysv.MsgLimit{MaxQueues: 10, MaxMessageBytes: 8192, MaxQueueBytes: 16384}, nil
		},
		msgUsage: func() (sysv.MsgUse, error) { return sysv.MsgUse{Queues: 1}, nil },
		namespace: func(kind string) (uint64, error) {
			return map[string]uint64{"ipc": firstIPC, "pid": firstPID}[kind], nil
		},
		futex:       works,
		futexWaitv:  works,
		robustLists: works,
		fileLocks:   works,
		backend:     func() (string, string) { return "io_uring", "" },
		memfdSeals:  works,
		lockedLimit: func() (uint64, error) { return 8 << 20, nil },
		take:        func() (*inspect.Snapshot, error) { return &inspect.Snapshot{}, nil },
	}
}

func TestHealthyMachine(t *testing.T) {
	findings := diagnose(healthy())
	for _, f := range findings {
		if f.grade != fine || f.Grade != "ok" || f.Remedy != "" || f.Found == "" {
			t.Errorf("%+v", f)
		}
	}
	if len(findings) != 19 {
		t.Errorf("%d checks", len(findings))
	}
}

func TestEveryComplaint(t *testing.T) {
	broken := errors.New("function not implemented")
	waitv := func() (string, string) { return "futex_waitv", "io_uring: no" }
	fails := func() error { return broken }
	set := func(name, text string) func(*machine) {
		return func(m *machine) { m.files.(fstest.MapFS)[name] = &fstest.MapFile{Data: []byte(text)} }
	}
	missing := func(name string) func(*machine) {
		return func(m *machine) { delete(m.files.(fstest.MapFS), name) }
	}
	dir := func(change func(*filesystem)) func(*machine) {
		return func(m *machine) {
			d, _ := m.shmDir()
			change(&d)
			m.shmDir = func() (filesystem, error) { return d, nil }
		}
	}
	tests := []struct {
		name, check   string
		harm          func(*machine)
		want          grade
		found, remedy string // parts
	}{
		{"no /proc", "system", missing("proc/sys/kernel/osrelease"), problem, "cannot be read", "mount -t proc"},
		{"no /dev/shm", "/dev/shm", func(m *machine) { m.shmDir = func() (filesystem, error) { return filesystem{}, fs.ErrNotExist } }, problem, "file does not exist", "mount -t tmpfs"},
		{"read-only", "/dev/shm", dir(func(d *filesystem) { d.readOnly = true }), problem, "read-only", "remount,rw"},
		{"a disk", "/dev/shm", dir(func(d *filesystem) { d.tmpfs = false }), warning, "no tmpfs", "mount -t tmpfs"},
		{"not for all", "/dev/shm", dir(func(d *filesystem) { d.mode = 0o755 }), warning, "mode 0755", "chmod 1777"},
		{"nearly full", "/dev/shm", dir(func(d *filesystem) { d.free = 100 << 20 }), warning, "(90%)", "shoal ls"},
		{"full", "/dev/shm", dir(func(d *filesystem) { d.free = 0 }), problem, "full", "gc --foreign"},
		{"no inode", "/dev/shm", dir(func(d *filesystem) { d.inodesFree = 0 }), problem, "no name left of 1000", "nr_inodes"},
		{"small", "/dev/shm", dir(func(d *filesystem) { d.size, d.free = 64<<20, 64<<20 }), warning, "small", "--shm-size"},
		{"no System V", "System V memory", func(m *machine) { m.shmLimits = func() (sysv.ShmLimit, error) { return sysv.ShmLimit{}, broken } }, problem, "not to be had", "CONFIG_SYSVIPC"},
		{"no use told", "System V memory", func(m *machine) { m.shmUsage = func() (sysv.ShmUse, error) { return sysv.ShmUse{}, broken } }, problem, "not to be had", "CONFIG_SYSVIPC"},
		{"segments", "System V memory", func(m *machine) { m.shmUsage = func() (sysv.ShmUse, error) { return sysv.ShmUse{Segments: 4096}, nil } }, problem, "4096 of 4096 segments", "kernel.shmmni=8192"},
		{"many segments", "System V memory", func(m *machine) { m.shmUsage = func() (sysv.ShmUse, error) { return sysv.ShmUse{Segments: 4000}, nil } }, warning, "4000 of 4096 segments", "kernel.shmmni"},
		{"pages", "System V memory", func(m *machine) {
			m.shmLimits = func() (sysv.ShmLimit, error) {
				return sysv.ShmLimit{MaxBytes: 1 << 63, MaxSegments: 4096, MaxPages: 1}, nil
			}
		}, problem, "1 of 1 pages", "kernel.shmall=2"},
		{"small segments", "System V memory", func(m *machine) {
			m.shmLimits = func() (sysv.ShmLimit, error) {
				return sysv.ShmLimit{MaxBytes: 32 << 20, MaxSegments: 4096, MaxPages: 1 << 62}, nil
			}
		}, warning, "32 MiB a segment: small", "kernel.shmmax"},
		{"sets", "System V semaphores", func(m *machine) { m.semUsage = func() (sysv.SemUse, error) { return sysv.SemUse{Sets: 100}, nil } }, problem, "100 of 100 sets", `kernel.sem="250 2000 32 200"`},
		{"semaphores", "System V semaphores", func(m *machine) {
			m.semUsage = func() (sysv.SemUse, error) { return sysv.SemUse{Semaphores: 900}, nil }
		}, warning, "900 of 1000 semaphores", "kernel.sem"},
		{"no sets", "System V semaphores", func(m *machine) { m.semLimits = func() (sysv.SemLimit, error) { return sysv.SemLimit{}, broken } }, problem, "not to be had", "CONFIG_SYSVIPC"},
		{"queues", "System V messages", func(m *machine) { m.msgUsage = func() (sysv.MsgUse, error) { return sysv.MsgUse{Queues: 10}, nil } }, problem, "10 of 10 queues", "kernel.msgmni=20"},
		{"no messages", "System V messages", func(m *machine) { m.msgUsage = func() (sysv.MsgUse, error) { return sysv.MsgUse{}, broken } }, problem, "not to be had", "CONFIG_SYSVIPC"},
		{"no POSIX queues", "POSIX messages", missing("proc/sys/fs/mqueue/queues_max"), warning, "no POSIX message queues", "CONFIG_POSIX_MQUEUE"},
		{"not mounted", "POSIX messages", set("proc/self/mounts", ""), fine, "256 queues", "mount -t mqueue"},
		{"container", "namespaces", func(m *machine) { m.namespace = func(string) (uint64, error) { return 4026532000, nil } }, fine, "IPC and PID namespace", "--pid=host"},
		{"no namespaces", "namespaces", func(m *machine) { m.namespace = func(string) (uint64, error) { return 0, broken } }, warning, "cannot tell", "/proc"},
		{"no meminfo", "huge page pool", missing("proc/meminfo"), warning, "cannot tell", "/proc"},
		{"no huge pages", "huge page pool", set("proc/meminfo", "MemTotal: 5 kB\n"), fine, "no huge pages", "HUGETLBFS"},
		{"empty pool", "huge page pool", set("proc/meminfo", "HugePages_Total: 0\nHugePages_Free: 0\nHugepagesize: 2048 kB\n"), fine, "empty", "vm.nr_hugepages"},
		{"used pool", "huge page pool", set("proc/meminfo", "HugePages_Total: 4\nHugePages_Free: 0\nHugepagesize: 2048 kB\n"), warning, "0 of 4 pages of 2.0 MiB free", "vm.nr_hugepages=8"},
		{"no THP", "huge pages in tmpfs", missing("sys/kernel/mm/transparent_hugepage/shmem_enabled"), fine, "has none", ""},
		{"THP off", "huge pages in tmpfs", set("sys/kernel/mm/transparent_hugepage/shmem_enabled", "always advise [never]"), fine, "off (never)", "echo advise"},
		{"THP strange", "huge pages in tmpfs", set("sys/kernel/mm/transparent_hugepage/shmem_enabled", "perhaps"), warning, "cannot tell", ""},
		{"no futex", "futex", func(m *machine) { m.futex = fails }, problem, "function not implemented", "seccomp"},
		{"no futex_waitv", "futex_waitv", func(m *machine) { m.futexWaitv = fails }, warning, "function not implemented", "5.16"},
		{"no io_uring", "waiting", func(m *machine) { m.backend = waitv }, fine, "futex_waitv (io_uring: no)", "to have io_uring: Linux 6.7"},
		{"io_uring off", "waiting", func(m *machine) { m.backend = waitv; set("proc/sys/kernel/io_uring_disabled", "2")(m) }, fine, "futex_waitv", "kernel.io_uring_disabled=0 (now 2)"},
		{"another backend asked for", "waiting", func(m *machine) {
			m.backend = func() (string, string) { return "io_uring", "asked for by SHOAL_PARK" }
		}, fine, "io_uring", "asked for by SHOAL_PARK"},
		{"no way to wait", "waiting", func(m *machine) { m.backend = func() (string, string) { return "", "unsupported" } }, problem, "unsupported", ""},
		{"no robust lists", "robust lists", func(m *machine) { m.robustLists = fails }, problem, "function not implemented", "set_robust_list"},
		{"no file locks", "file locks", func(m *machine) { m.fileLocks = fails }, problem, "function not implemented", "F_OFD_SETLK"},
		{"no seals", "memfd seals", func(m *machine) { m.memfdSeals = fails }, problem, "function not implemented", "memfd_create"},
		{"no leases", "leases", set("proc/sys/fs/leases-enable", "0"), warning, "off", "fs.leases-enable=1"},
		{"little locked", "locked memory", func(m *machine) { m.lockedLimit = func() (uint64, error) { return 64 << 10, nil } }, warning, "64 KiB a process", "ulimit -l"},
		{"any locked", "locked memory", func(m *machine) { m.lockedLimit = func() (uint64, error) { return 1<<64 - 1, nil } }, fine, "any number of bytes", ""},
		{"limit unknown", "locked memory", func(m *machine) { m.lockedLimit = func() (uint64, error) { return 0, broken } }, warning, "cannot tell", ""},
		{"unprotected", "protected_regular", set("proc/sys/fs/protected_regular", "0\n"), warning, "plant objects", "fs.protected_regular=1"},
		{"old kernel", "protected_regular", missing("proc/sys/fs/protected_regular"), warning, "lacks it", "4.19"},
		{"strange", "protected_regular", set("proc/sys/fs/protected_regular", "x"), warning, "cannot tell", ""},
		{"leftovers", "leftovers", func(m *machine) {
			m.take = func() (*inspect.Snapshot, error) {
				return &inspect.Snapshot{Objects: []inspect.Object{
					{State: inspect.Orphan, Resident: 1 << 20}, {State: inspect.Damaged, Resident: -1}, {State: inspect.InUse, Resident: 1 << 30},
				}}, nil
			}
		}, warning, "2 objects that nobody uses, 1.0 MiB", "gc --dry-run --foreign"},
		{"no listing", "leftovers", func(m *machine) { m.take = func() (*inspect.Snapshot, error) { return nil, broken } }, warning, "cannot tell", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := healthy()
			tt.harm(m)
			for _, f := range diagnose(m) {
				switch {
				case f.Check != tt.check:
					if f.grade != fine {
						t.Errorf("another check complains: %+v", f)
					}
				case f.grade != tt.want || !strings.Contains(f.Found, tt.found) || !strings.Contains(f.Remedy, tt.remedy) ||
					(tt.remedy == "") != (f.Remedy == ""):
					t.Errorf("%+v; want %v, %q, %q", f, tt.want, tt.found, tt.remedy)
				}
			}
		})
	}
}

func TestOtherSystems(t *testing.T) {
	f := diagnose(&machine{platform: "plan9/mips"})
	if len(f) != 1 || f[0].grade != problem || !strings.Contains(f[0].Found, "plan9/mips") {
		t.Errorf("%+v", f)
	}
}
