//go:build linux && (amd64 || arm64)

package demo

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// roleVariable is the environment variable that makes a process play a role.
const roleVariable = "SHOAL_DEMO_ROLE"

// roles are what a process can play, by the value of roleVariable.
var roles = map[string]func(*actor) error{
	"warden":       ward,
	"sysv-writer":  writeSysV,
	"sysv-reader":  readSysV,
	"posix-writer": writePosix,
	"posix-reader": readPosix,
	"sender":       send,
	"receiver":     receive,
}

// The descriptors that a process of the demo is started with.
const (
	eventFD   = 3 // where it reports events
	wardenFD  = 4 // the pipe to the warden; its reading end for the warden itself
	firstFile = 5 // what else start gave it
)

// An actor is a process that plays a role, seen from inside. It may be killed at
// any time, with what it has made in place: the warden sees to that.
type actor struct {
	args   []string
	events *os.File
	warden *os.File
}

func role() bool {
	name, ok := os.LookupEnv(roleVariable)
	if !ok {
		return false
	}
	play, ok := roles[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "%s=%q: no such role; unset it\n", roleVariable, name)
		os.Exit(2)
	}
	a := &actor{args: os.Args[1:], events: os.NewFile(eventFD, "events"), warden: os.NewFile(wardenFD, "warden")}
	if err := play(a); err != nil {
		failed := event{Failed: cut(err.Error())}
		if e := (*takenError)(nil); errors.As(err, &e) {
			failed.Taken = e.addr
		}
		a.report(failed)
		os.Exit(1)
	}
	os.Exit(0)
	return true
}

// report tells the demo of an event of this process.
func (a *actor) report(e event) {
	e.PID = os.Getpid()
	// Where nobody listens any more, the demo has died, and SIGKILL is on its way.
	_ = put(a.events, e)
}

// say tells the demo a line of the story.
func (a *actor) say(format string, args ...any) {
	a.report(event{Line: cut(fmt.Sprintf(format, args...))})
}

// made tells the warden and the demo of an object, first thing after it was made.
// One of them will remove it; if both are dead it is removed here.
func (a *actor) made(p property) error {
	warden := put(a.warden, p)
	demo := put(a.events, event{PID: os.Getpid(), Made: &p})
	if warden != nil && demo != nil {
		return errors.Join(warden, demo, p.remove())
	}
	return nil
}

// arg returns an argument that is a number.
func (a *actor) arg(i int) (int, error) {
	if i >= len(a.args) {
		return 0, fmt.Errorf("argument %d of %s is missing", i+1, os.Getenv(roleVariable))
	}
	return strconv.Atoi(a.args[i])
}
