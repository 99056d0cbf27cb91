package inspect

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// The schemes of the addresses of what is no memory. System V keys and ids of
// segments, semaphore sets and queues are separate name spaces, hence the names.
const (
	schemeSem   = "sysv-sem:"
	schemeSemID = "sysv-sem-id:"
	schemeMsg   = "sysv-msg:"
	schemeMsgID = "sysv-msg-id:"
	schemeMQ    = "mq:"
)

// other is an address that package shm does not know.
type other struct {
	addr, scheme, rest string
}

func otherScheme(addr string) (other, bool) {
	scheme, rest, found := strings.Cut(addr, ":")
	switch scheme += ":"; scheme {
	case schemeSem, schemeSemID, schemeMsg, schemeMsgID, schemeMQ:
		return other{addr, scheme, rest}, found
	}
	return other{}, false
}

// IsMemory reports whether addr has the form of a segment's address, one for
// package shm, rather than that of a semaphore set or message queue.
func IsMemory(addr string) bool {
	_, ok := otherScheme(addr)
	return !ok
}

// CheckAddress reports what is wrong with the form of an address: nil if it
// could name an object.
func CheckAddress(addr string) error {
	a, ok := otherScheme(addr)
	if !ok {
		_, err := shm.ParseAddress(addr)
		return err
	}
	_, _, err := a.parse()
	return err
}

// parse returns the address in the form in which objects carry it, and the id
// that it names; -1 if it names none.
func (a other) parse() (canonical string, id int64, err error) {
	switch a.scheme {
	case schemeSem, schemeMsg:
		key, err := sysv.ParseKey(a.rest)
		return a.scheme + key.String(), -1, err
	case schemeMQ:
		name := strings.TrimLeft(a.rest, "/")
		if name == "" || strings.ContainsAny(name, "/\x00") {
			return "", -1, fmt.Errorf("%q is no name of a message queue: it is mq:/NAME: %w", a.addr, syscall.EINVAL)
		}
		return schemeMQ + "/" + name, -1, nil
	}
	id, err = strconv.ParseInt(a.rest, 10, 32)
	if err != nil || id < 0 {
		return "", -1, fmt.Errorf("id %q is not a number from 0 to 2147483647: %w", a.rest, syscall.EINVAL)
	}
	return a.addr, id, nil
}

// find returns the object among all of its kind.
func (a other) find() (Object, error) {
	want, id, err := a.parse()
	if err != nil {
		return Object{}, err
	}
	list := semaphoreSets
	if a.scheme != schemeSem && a.scheme != schemeSemID {
		list = messageQueues
	}
	for _, o := range list() {
		// A POSIX queue has no id: its address decides.
		if o.Address == want || id >= 0 && o.HasID() && int64(o.ID) == id {
			return o, nil
		}
	}
	return Object{}, a.fail(fs.ErrNotExist)
}

func (a other) fail(err error) error {
	return fmt.Errorf("stat %s: %w", a.addr, err)
}

// semaphoreSets lists the System V semaphore sets; none where the system has no
// such thing.
func semaphoreSets() (objects []Object) {
	sets, err := sysv.SemList()
	if err != nil {
		return nil
	}
	for _, s := range sets {
		addr := schemeSem + s.Key.String()
		if s.Key == sysv.Private {
			addr = schemeSemID + strconv.Itoa(int(s.ID))
		}
		o := bare(addr, SemaphoreSet)
		o.ID, o.Count = int32(s.ID), s.Count
		o.Mode, o.UID, o.GID = s.Mode.Perm(), s.UID, s.GID
		o.Changed, o.Used = s.ChangeTime, s.OTime
		objects = append(objects, o)
	}
	return objects
}

// messageQueues lists the message queues, System V and POSIX.
func messageQueues() (objects []Object) {
	queues, err := sysv.MsgList()
	if err != nil {
		queues = nil
	}
	for _, q := range queues {
		addr := schemeMsg + q.Key.String()
		if q.Key == sysv.Private {
			addr = schemeMsgID + strconv.Itoa(int(q.ID))
		}
		o := bare(addr, MessageQueue)
		o.ID, o.Count, o.Size = int32(q.ID), int(q.Messages), q.Bytes
		o.Mode, o.UID, o.GID = q.Mode.Perm(), q.UID, q.GID
		o.Changed, o.Used = q.ChangeTime, later(q.SendTime, q.ReceiveTime)
		o.LastPID = q.LastSendPID
		if q.ReceiveTime.After(q.SendTime) {
			o.LastPID = q.LastReceivePID
		}
		objects = append(objects, o)
	}
	return append(objects, posixQueues()...)
}

// bare is an object of which nothing is known but what it is.
func bare(addr string, t Type) Object {
	return Object{Address: addr, Type: t, State: Unknown, Certain: true,
		Size: -1, Count: -1, Resident: -1, Swapped: -1, Attached: -1}
}
