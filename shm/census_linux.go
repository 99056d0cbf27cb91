//go:build linux && (amd64 || arm64)

package shm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func takeCensus() (*Census, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	c := &Census{
		byObject:  map[identity]map[int]*Holder{},
		byProcess: map[int]map[identity]*Held{},
		removed:   map[identity]Info{},
	}
	ipc, err := os.Readlink("/proc/self/ns/ipc")
	if err != nil {
		return nil, err
	}
	unreadable := 0
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if !c.visit(pid, ipc) && lives(pid) {
			unreadable++
		}
	}
	c.findNames()
	c.forgetElsewhere()
	c.noteBlindness(unreadable)
	return c, nil
}

// visit looks at one process and reports whether it could. A process that ends
// meanwhile holds nothing.
func (c *Census) visit(pid int, ipc string) (seen bool) {
	dir := "/proc/" + strconv.Itoa(pid)
	maps, err := os.ReadFile(dir + "/maps")
	if err != nil {
		return gone(err)
	}
	seen = true
	for line := range strings.Lines(string(maps)) {
		m, ok := parseMapping(strings.TrimSuffix(line, "\n"), unix.Mkdev)
		if !ok {
			continue
		}
		id := identity{dev: m.dev, inode: m.inode}
		if sysvMapping(m.path) {
			// The same id means another segment in another IPC namespace.
			ns, err := os.Readlink(dir + "/ns/ipc")
			if err != nil {
				seen = seen && gone(err)
				continue
			}
			if ns != ipc {
				continue
			}
			id = identity{sysv: true, inode: m.inode}
		}
		if a, removed, ok := describe(m.path, m.shared, m.inode); ok {
			c.record(pid, id, a, removed, Held{Mapped: m.bytes})
		}
	}
	return c.visitDescriptors(pid, dir) && seen
}

func (c *Census) visitDescriptors(pid int, dir string) (seen bool) {
	entries, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return gone(err)
	}
	for _, e := range entries {
		fd := dir + "/fd/" + e.Name()
		path, err := os.Readlink(fd)
		if err != nil {
			if !gone(err) {
				return false
			}
			continue
		}
		a, removed, ok := describe(path, false, 0)
		if !ok && !strings.HasPrefix(path, "/") {
			continue // a socket, a pipe, an anonymous inode
		}
		var st unix.Stat_t
		if unix.Stat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
			continue
		}
		id := identity{dev: st.Dev, inode: st.Ino}
		c.record(pid, id, a, removed, Held{Descriptors: 1})
		if info, ok := c.removed[id]; ok {
			info.Size, info.Resident = st.Size, st.Blocks*512
			info.Mode, info.UID, info.GID = fs.FileMode(st.Mode)&fs.ModePerm, st.Uid, st.Gid
			c.removed[id] = info
		}
	}
	return true
}

// record adds what one mapping or descriptor tells.
func (c *Census) record(pid int, id identity, a Address, removed bool, more Held) {
	if c.byObject[id] == nil {
		c.byObject[id] = map[int]*Holder{}
	}
	holder := c.byObject[id][pid]
	if holder == nil {
		holder = &Holder{PID: pid}
		c.byObject[id][pid] = holder
	}
	holder.Mapped += more.Mapped
	holder.Descriptors += more.Descriptors

	if c.byProcess[pid] == nil {
		c.byProcess[pid] = map[identity]*Held{}
	}
	held := c.byProcess[pid][id]
	if held == nil {
		held = &Held{Address: a, Removed: removed}
		c.byProcess[pid][id] = held
	}
	held.Mapped += more.Mapped
	held.Descriptors += more.Descriptors

	if removed && a.kind == POSIX {
		info, known := c.removed[id]
		if !known {
			info = Info{Address: a, Resident: -1, Swapped: -1, Attached: -1, Removed: true, identity: id}
		}
		info.Size = max(info.Size, held.Mapped)
		c.removed[id] = info
	}
}

// lives reports whether there still is such a process. Of one that has just
// ended, the links in /proc/PID/fd and /proc/PID/ns say EACCES rather than ENOENT
// (fs/proc/base.c and namespaces.c), whoever asks.
func lives(pid int) bool {
	_, err := os.Lstat("/proc/" + strconv.Itoa(pid))
	return err == nil
}

// gone reports whether err only says that the process has ended meanwhile.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// initPIDNamespace is the inode of the first PID namespace
// (include/linux/proc_ns.h, PROC_PID_INIT_INO).
const initPIDNamespace = "pid:[4026531836]"

func (c *Census) noteBlindness(unreadable int) {
	root := os.Geteuid() == 0
	if unreadable > 0 {
		remedy := "run as root to see all"
		if root {
			remedy = "not even by root: they are of another user namespace, or a security module guards them"
		}
		c.blind = append(c.blind, fmt.Sprintf("processes that may not be looked into: %d (%s)", unreadable, remedy))
	} else if hidepid() && !root {
		c.blind = append(c.blind, "/proc hides other users' processes (hidepid; run as root to see all)")
	}
	if ns, err := os.Readlink("/proc/self/ns/pid"); err != nil || ns != initPIDNamespace {
		c.blind = append(c.blind, "processes outside this PID namespace (container) are out of sight")
	}
}

// hidepid reports whether /proc is mounted so that it leaves out processes of
// other users (proc(5)).
func hidepid() bool {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 4 || f[1] != "/proc" {
			continue
		}
		options := strings.Split(f[3], ",")
		for _, o := range []string{"hidepid=invisible", "hidepid=ptraceable", "hidepid=2", "hidepid=4"} {
			if slices.Contains(options, o) {
				return true
			}
		}
	}
	return false
}
