//go:build linux && (amd64 || arm64)

package demo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/seed-247006a4/shoal/shm"
)

// A takenError says that a name which the story needs belongs to somebody else.
type takenError struct {
	addr string
	err  error
}

func (e *takenError) Error() string { return e.addr + ": " + e.err.Error() }
func (e *takenError) Unwrap() error { return e.err }

// free returns an error if there is an object at addr.
func free(addr string) error {
	_, err := shm.Stat(addr)
	switch {
	case err == nil:
		return taken(addr)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("the name that the demo needs is in use for something else: %w", err)
}

// taken returns an error that says whose the object at addr is, and what to do.
func taken(addr string) error {
	about := "gone again by now"
	if info, err := shm.Stat(addr); err == nil {
		about = describe(info)
	}
	return fmt.Errorf("%s is not the demo's, and left as it is (%s); wait until its owner has done with it, "+
		"or, if nobody needs it, remove it: shoal rm %s; then start the demo again: %w", addr, about, addr, fs.ErrExist)
}

// describe says whose an object is: its size and mode, its owner, who made it and
// who has it now.
func describe(info shm.Info) string {
	owner := strconv.Itoa(int(info.UID))
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	parts := []string{fmt.Sprintf("%d bytes, mode %04o, of user %s", info.Size, info.Mode, owner)}
	if info.CreatorPID != 0 {
		parts = append(parts, "made by process "+nameOf(info.CreatorPID))
	}
	holders, partial, err := shm.Holders(info.Address.String())
	switch {
	case err != nil:
		parts = append(parts, "users unknown: "+err.Error())
	case len(holders) == 0 && partial == "":
		parts = append(parts, "in use by nobody")
	case len(holders) == 0:
		parts = append(parts, "in use by nobody that can be seen: "+partial)
	default:
		var users []string
		for _, h := range holders {
			users = append(users, nameOf(h.PID))
		}
		parts = append(parts, "in use by process "+strings.Join(users, ", "))
	}
	return strings.Join(parts, ", ")
}

// nameOf names a process: "4242 (postgres)", or "4242 (ended)".
func nameOf(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return fmt.Sprintf("%d (ended)", pid)
	}
	return fmt.Sprintf("%d (%s)", pid, strings.TrimSpace(string(name)))
}
