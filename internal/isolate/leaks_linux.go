package isolate

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

const (
	shmDir    = "/dev/shm"
	mqueueDir = "/dev/mqueue"
)

// runAndLook runs the tests and returns their exit code, or 1 if they passed and left something behind.
func runAndLook(m *testing.M) int {
	// Orphans of the tests become children of this process, where they are found.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		fmt.Fprintf(os.Stderr, "isolate: cannot adopt orphans: %v\n", err)
	}
	startNetpoller()
	if _, err := messageQueues(); err != nil && Isolated() {
		fmt.Fprintf(os.Stderr, "isolate: message queues that the tests leave behind will not be seen: %v\n", err)
	}
	files, mapped := openFiles(), mappings()
	goroutines := goleak.IgnoreCurrent()

	code := m.Run()

	err := retry(func() error {
		var leaks []string
		if Isolated() {
			leaks = append(leaks, sharedObjects()...)
		}
		for fd, name := range openFiles() {
			if files[fd] != name {
				leaks = append(leaks, fmt.Sprintf("file descriptor %d (%s)", fd, name))
			}
		}
		for where, name := range mappings() {
			if mapped[where] != name {
				leaks = append(leaks, fmt.Sprintf("mapping %s of %s", where, name))
			}
		}
		for pid, command := range children() {
			leaks = append(leaks, fmt.Sprintf("process %d (%s)", pid, command))
		}
		if len(leaks) == 0 {
			return nil
		}
		return errors.New(strings.Join(leaks, "\n"))
	})
	if err != nil {
		for leak := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(os.Stderr, "isolate: the tests left behind: %s\n", leak)
		}
		killChildren()
	}
	// A failed test has often not stopped its goroutines; they would only hide what it says.
	if code == 0 {
		// The keeper's goroutine is there for as long as the process: package keeper.
		keeper := goleak.IgnoreAnyFunction("github.com/seed-247006a4/shoal/internal/keeper.(*Keeper).park")
		if goErr := goleak.Find(goroutines, keeper); goErr != nil {
			fmt.Fprintf(os.Stderr, "isolate: the tests left behind: goroutines: %v\n", goErr)
			err = goErr
		}
	}
	if code == 0 && err != nil {
		return 1
	}
	return code
}

// startNetpoller makes the runtime open the descriptors that it keeps for good, so that they are no leak later.
func startNetpoller() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

// sharedObjects names every shared object in this process's namespaces.
func sharedObjects() (found []string) {
	entries, err := os.ReadDir(shmDir)
	if err != nil {
		found = append(found, err.Error())
	}
	for _, e := range entries {
		found = append(found, filepath.Join(shmDir, e.Name()))
	}
	queues, _ := messageQueues() // runAndLook has said if that is not possible
	for _, name := range queues {
		found = append(found, "message queue /"+name)
	}
	for _, kind := range []string{"shm", "sem", "msg"} {
		// Missing where the kernel was built without System V IPC.
		table, _ := os.ReadFile("/proc/sysvipc/" + kind)
		for i, line := range strings.Split(strings.TrimSpace(string(table)), "\n") {
			if field := strings.Fields(line); i > 0 && len(field) > 1 {
				key, _ := strconv.ParseInt(field[0], 10, 64)
				found = append(found, fmt.Sprintf("System V %s id %s, key %#x", kind, field[1], uint32(key)))
			}
		}
	}
	return found
}

// messageQueues returns the names of the POSIX message queues of this process's IPC namespace. /dev/mqueue need not
// exist: the file system that shows them is looked at without being mounted anywhere (fsmount(2), Linux 5.2).
func messageQueues() (names []string, err error) {
	fs, err := unix.Fsopen("mqueue", unix.FSOPEN_CLOEXEC)
	if err == unix.ENODEV { // a kernel without POSIX message queues
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("fsopen: %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("fsconfig: %w", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	if err != nil {
		return nil, fmt.Errorf("fsmount: %w", err)
	}
	defer unix.Close(root)
	// A descriptor that can be read: fsmount's is an O_PATH one.
	fd, err := unix.Openat(root, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open the root of mqueue: %w", err)
	}
	dir := os.NewFile(uintptr(fd), "mqueue")
	defer dir.Close()
	return dir.Readdirnames(-1)
}

// openFiles maps the open descriptors of this process to what they refer to.
func openFiles() map[int]string {
	const dir = "/proc/self/fd"
	entries, _ := os.ReadDir(dir)
	open := make(map[int]string, len(entries))
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		// The descriptor of dir itself is closed by now and has no link any more.
		if name, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			open[fd] = name
		}
	}
	return open
}

// mappings maps the address ranges in which this process maps shared objects to the objects' names.
func mappings() map[string]string {
	maps, _ := os.ReadFile("/proc/self/maps")
	shared := make(map[string]string)
	for line := range strings.Lines(string(maps)) {
		// 7f0000000000-7f0000001000 rw-s 00000000 00:1a 5    /dev/shm/name (deleted)
		field := strings.Fields(line)
		if len(field) < 6 {
			continue
		}
		name := strings.Join(field[5:], " ")
		if strings.HasPrefix(name, shmDir+"/") || strings.HasPrefix(name, "/SYSV") || strings.HasPrefix(name, "/memfd:") {
			shared[field[0]] = name
		}
	}
	return shared
}

// children maps the ids of this process's living children to their command lines. Zombies hold nothing any more.
func children() map[int]string {
	self := strconv.Itoa(os.Getpid())
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	alive := make(map[int]string)
	for _, path := range stats {
		stat, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// pid (command) state ppid ...: the command may hold anything, even parentheses.
		field := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		if len(field) < 2 || field[1] != self || field[0] == "Z" || field[0] == "X" {
			continue
		}
		dir := filepath.Dir(path)
		pid, _ := strconv.Atoi(filepath.Base(dir))
		command, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		alive[pid] = string(bytes.TrimSpace(bytes.ReplaceAll(command, []byte{0}, []byte{' '})))
	}
	return alive
}

// killChildren ends every descendant: the children of a killed child become children of this process.
func killChildren() {
	retry(func() error {
		alive := children()
		for pid := range alive {
			unix.Kill(pid, unix.SIGKILL)
		}
		if len(alive) > 0 {
			return errors.New("still alive")
		}
		return nil
	})
}
