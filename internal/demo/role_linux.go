//go:build linux && (amd64 || arm64)

package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
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
	"victim":       dieInside,
	"worker":       work,

	"topic-publisher":  publish,
	"topic-subscriber": subscribe,
}

// The descriptors that a process of the demo is started with.
const (
	eventFD   = 3 // where it reports events
	wardenFD  = 4 // the pipe to the warden; its reading end for the warden itself
	answerFD  = 5 // the pipe from the warden; its writing end for the warden itself
	firstFile = 6 // what else start gave it
)

// An actor is a process that plays a role, seen from inside. It may be killed at
// any time: before it makes an object it has told the warden (create, claim).
type actor struct {
	args    []string
	events  *os.File
	warden  *os.File
	answers *os.File
}

// reached marks the places around the making of an object at which a death is the
// most awkward. Tests have processes die there.
var reached = func(place) {}

type place string

const (
	unannounced place = "unannounced" // nobody knows of the object
	announced   place = "announced"   // it is known, and not made
	made        place = "made"        // it is made, and nobody knows that
)

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
	a := &actor{
		args:    os.Args[1:],
		events:  os.NewFile(eventFD, "events"),
		warden:  os.NewFile(wardenFD, "warden"),
		answers: os.NewFile(answerFD, "answers"),
	}
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

// create makes a POSIX segment. The warden and the demo know it, by its inode,
// before it has its name.
func (a *actor) create(name string, size int64) (*shm.Segment, error) {
	seg, err := shm.Build(name, size, nil, func(b []byte) error {
		p, err := mapped(name, b)
		if err != nil {
			return err
		}
		reached(unannounced)
		demo := put(a.events, event{PID: os.Getpid(), Property: &p})
		warden := put(a.warden, p)
		if demo != nil || warden != nil {
			return stop() // they have died, and this process is about to
		}
		reached(announced)
		return nil
	})
	if err == nil {
		reached(made)
	}
	return seg, err
}

// claim tells the warden of the System V segment that this process will make, and
// returns when the warden has taken note. The demo need not be told: it looks for
// what a process has made before it lets the pid go.
func (a *actor) claim(key sysv.Key) error {
	reached(unannounced)
	err := put(a.warden, property{SysV: &sysvSegment{Key: key, Maker: os.Getpid()}})
	var refusal string
	if err == nil {
		err = json.NewDecoder(a.answers).Decode(&refusal)
	}
	if err != nil {
		return stop() // the warden has died, and this process is about to
	}
	if refusal != "" {
		return errors.New("the warden: " + refusal)
	}
	reached(announced)
	return nil
}

// arg returns an argument that is a number.
func (a *actor) arg(i int) (int, error) {
	if i >= len(a.args) {
		return 0, fmt.Errorf("argument %d of %s is missing", i+1, os.Getenv(roleVariable))
	}
	return strconv.Atoi(a.args[i])
}
