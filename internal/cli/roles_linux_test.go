package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/shm"
)

// roles are the programs that this test binary is, by its name.
var roles = map[string]func(args []string) int{
	"shoal":          func([]string) int { return Main() },
	"holder":         hold,
	"as-nobody":      asNobody,
	"contained":      contained,
	"contained-init": containedInit,
	"without":        without,
}

// self is this binary for every user, wherever it lies.
const self = "/proc/self/exe"

// hold does something with an object, says so, and lives until its standard
// input ends:
//
//	holder create ADDR SIZE   makes it and keeps it mapped
//	holder made ADDR SIZE     makes it and lets go
//	holder attach ADDR        maps it
//	holder open FILE          opens a file
//	holder lock NAME...       locks mutexes
//	holder rlock NAME         locks an rwmutex for reading, twice
//	holder acquire NAME       takes 2 of 5 permits of a semaphore with undo
//	holder barrier NAME       is the first of two parties of a barrier
//	holder once NAME          does a once, and does not come to its end
//	holder primitives         makes the others: event, cond, semaphore
//	holder publish NAME       publishes three ticks to a topic
//	holder receive NAME       takes a message of a queue
//	holder ring NAME          makes a ring of int32 and sends three
//	holder member ADDR        makes a segment, with a member table at its beginning
//	holder elsewhere ADDR     makes, maps and removes one in a /dev/shm of its own
func hold(args []string) int {
	var held any
	err := func() (err error) {
		if use, ok := takers[args[0]]; ok {
			held, err = use(args[1:])
			return err
		}
		switch args[0] {
		case "create", "made":
			size, err := parseSize(args[2])
			if err != nil {
				return err
			}
			seg, err := shm.Create(args[1], size, nil)
			if err != nil {
				return err
			}
			if held = seg; args[0] == "made" {
				return seg.Close()
			}
			return nil
		case "attach":
			held, err = shm.Open(args[1], nil)
		case "open":
			held, err = os.Open(args[1])
		case "elsewhere":
			held, err = makeElsewhere(args[1])
		default:
			return errors.New("unknown role")
		}
		return err
	}()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	io.Copy(io.Discard, os.Stdin)
	_ = held
	return 0
}

// makeElsewhere makes an object without a name in a mount namespace of its own.
func makeElsewhere(addr string) (*shm.Segment, error) {
	runtime.LockOSThread() // a namespace of this thread alone
	err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("tmpfs", "/dev/shm", "tmpfs", 0, ""))
	if err != nil {
		return nil, err
	}
	seg, err := shm.Create(addr, 4096, nil)
	if err == nil {
		err = seg.Remove()
	}
	return seg, err
}

// asNobody runs shoal as a user without any right.
func asNobody(args []string) int {
	const nobody = 65534
	err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(nobody), syscall.Setuid(nobody))
	if err == nil {
		err = syscall.Exec(self, append([]string{"shoal"}, args...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, err)
	return 99
}

// contained runs shoal as if in a container: in a PID namespace of its own, from
// where the processes of the test are out of sight.
func contained(args []string) int {
	cmd := exec.Command(self)
	cmd.Args = append([]string{"contained-init"}, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID | unix.CLONE_NEWNS, Pdeathsig: unix.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		return 99
	}
	return cmd.ProcessState.ExitCode()
}

// without runs shoal where /dev/shm is missing, or read-only, in a mount namespace of its own.
func without(args []string) int {
	what, args := args[0], args[1:]
	runtime.LockOSThread() // which execs, and so takes its namespace along
	err := errors.Join(unix.Unshare(unix.CLONE_NEWNS), unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
	if err == nil {
		switch what {
		case "shm": // all of /dev, since another file system's directory cannot be taken away
			err = unix.Mount("tmpfs", "/dev", "tmpfs", 0, "")
		case "writing":
			err = unix.Mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_RDONLY, "")
		}
	}
	if err == nil {
		err = syscall.Exec(self, append([]string{"shoal"}, args...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "without:", err)
	return 99
}

func containedInit(args []string) int {
	err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if err == nil {
		err = unix.Mount("proc", "/proc", "proc", 0, "")
	}
	if err == nil {
		err = syscall.Exec(self, append([]string{"shoal"}, args...), os.Environ())
	}
	fmt.Fprintln(os.Stderr, "contained:", err)
	return 99
}
