//go:build linux && (amd64 || arm64)

package conformance

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

func init() {
	roles["conform"] = func([]string) {
		var r role
		for {
			rerun.Say(r.perform(strings.Fields(rerun.Hear())))
		}
	}
}

// role is what a process of a case has open.
type role struct {
	mutex     *pshared.Mutex
	event     *pshared.Event
	semaphore *pshared.Semaphore
	segment   *shm.Segment
	members   *pshared.Members
	object    *object.Object
	data      []byte // of the mutex's object: behind its word
}

// wordFor is the word for an error, the same in every language.
func wordFor(err error) string {
	for _, w := range []struct {
		err  error
		word string
	}{
		{nil, "ok"},
		{pshared.ErrOwnerDied, "ownerdied"},
		{pshared.ErrNotRecoverable, "notrecoverable"},
		{pshared.ErrNotOwner, "notowner"},
		{context.DeadlineExceeded, "timedout"},
		{shm.ErrVersion, "version"},
		{shm.ErrKind, "kind"},
		{shm.ErrTypeMismatch, "type"},
		{shm.ErrCorrupt, "corrupt"},
		{pshared.ErrNoSlot, "noslot"},
		{shm.ErrClosed, "closed"},
		{fs.ErrNotExist, "missing"},
		{fs.ErrExist, "exists"},
		{fs.ErrPermission, "permission"},
		{syscall.EINVAL, "invalid"},
		{fs.ErrInvalid, "invalid"},
		{syscall.EOVERFLOW, "overflow"},
	} {
		if errors.Is(err, w.err) {
			return w.word
		}
	}
	return "error: " + err.Error()
}

// tried is the word for what a Try has done.
func tried(ok bool, err error) string {
	if !ok && err == nil {
		return "busy"
	}
	return wordFor(err)
}

func statsOf(s pshared.Stats) string {
	return fmt.Sprintf("members %d deaths %d repairs %d lost %d", s.Members, s.Deaths, s.Repairs, s.LostWakes)
}

// within calls f with the time that args give it, in nanoseconds.
func within(args []string, f func(context.Context) error) string {
	ctx := context.Background()
	if args[2] != "" {
		ns, err := strconv.ParseInt(args[2], 0, 64)
		rerun.Check(err)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(ns))
		defer cancel()
	}
	return wordFor(f(ctx))
}

// options are those that every language makes objects with.
var options = pshared.Options{Members: 8}

// offset is a number in a command.
func offset(s string) int {
	n, err := strconv.ParseInt(s, 0, 64)
	rerun.Check(err)
	return int(n)
}

func (r *role) perform(args []string) string {
	args = append(args, make([]string, 5)...)
	switch args[0] {
	case "mutex":
		return r.doMutex(args)
	case "event":
		return r.doEvent(args)
	case "semaphore":
		return r.doSemaphore(args)
	}
	var err error
	switch args[0] + " " + args[1] {
	case "segment open":
		r.segment, err = shm.Open(args[2], nil)
	case "segment close":
		err = r.segment.Close()
	case "members join":
		r.members, err = pshared.Join(r.segment, 0, offset(args[2]))
	case "members leave":
		r.members.Leave()
	case "object open":
		r.object, err = object.Open(args[2], object.Spec{})
	case "object close":
		err = r.object.Segment.Close()
	default:
		if args[0] != "remove" {
			return "no words " + args[0] + " " + args[1]
		}
		err = object.Remove(args[1], func(layout.Kind) bool { return true })
	}
	return wordFor(err)
}

func (r *role) doMutex(args []string) string {
	var err error
	switch args[1] {
	case "open":
		if r.mutex, err = options.OpenMutex(args[2]); err == nil {
			r.data, err = dataOf(args[2])
		}
	case "init":
		r.mutex, err = pshared.InitMutex(r.members, offset(args[2]))
	case "join":
		r.mutex, err = pshared.JoinMutex(r.members, offset(args[2]))
	case "lock":
		return within(args, r.mutex.LockContext)
	case "try":
		return tried(r.mutex.TryLock())
	case "unlock":
		err = r.mutex.Unlock()
	case "mark":
		err = r.mutex.MarkConsistent()
	case "check":
		err = r.mutex.Check()
	case "stats":
		return statsOf(r.mutex.Stats())
	case "count":
		count := word(r.data, 0)
		for range offset(args[2]) {
			if err = r.mutex.Lock(); err != nil {
				break
			}
			count.Store(count.Load() + 1)
			if err = r.mutex.Unlock(); err != nil {
				break
			}
		}
	case "work":
		err = r.work(word(r.segment.Bytes(), 8*offset(args[2])))
	case "close":
		err = r.mutex.Close()
	default:
		return "no verb " + args[1]
	}
	return wordFor(err)
}

// errTorn says that what a mutex guards has been seen by two at once.
var errTorn = errors.New("torn")

// work counts as its namesake in role.c does.
func (r *role) work(ledger *mem.Uint64) error {
	a, b := word(r.data, 0), word(r.data, 8)
	for {
		err := r.mutex.Lock()
		if errors.Is(err, pshared.ErrOwnerDied) {
			b.Store(a.Load())
			err = r.mutex.MarkConsistent()
		}
		if err != nil {
			return err
		}
		if a.Load() != b.Load() {
			return errTorn
		}
		a.Add(1)
		b.Add(1)
		if err := r.mutex.Unlock(); err != nil {
			return err
		}
		ledger.Add(1)
	}
}

func (r *role) doEvent(args []string) string {
	reset := pshared.ManualReset
	if args[3] == "auto" {
		reset = pshared.AutoReset
	}
	var err error
	switch args[1] {
	case "open":
		r.event, err = options.OpenEvent(args[2], reset)
	case "init":
		r.event, err = pshared.InitEvent(r.members, offset(args[2]), reset)
	case "join":
		r.event, err = pshared.JoinEvent(r.members, offset(args[2]))
	case "wait":
		return within(args, r.event.WaitContext)
	case "try":
		return tried(r.event.TryWait(), nil)
	case "set":
		r.event.Set()
	case "reset":
		r.event.Reset()
	case "isset":
		if r.event.IsSet() {
			return "1"
		}
		return "0"
	case "stats":
		return statsOf(r.event.Stats())
	case "close":
		err = r.event.Close()
	default:
		return "no verb " + args[1]
	}
	return wordFor(err)
}

func (r *role) doSemaphore(args []string) string {
	config := pshared.SemaphoreConfig{Undo: args[3] == "undo"}
	if args[4] != "" {
		config.Value = offset(args[4])
	}
	var err error
	switch args[1] {
	case "open":
		r.semaphore, err = options.OpenSemaphore(args[2], config)
	case "init":
		r.semaphore, err = pshared.InitSemaphore(r.members, offset(args[2]), config)
	case "join":
		r.semaphore, err = pshared.JoinSemaphore(r.members, offset(args[2]))
	case "acquire":
		return within(args, r.semaphore.AcquireContext)
	case "try":
		return tried(r.semaphore.TryAcquire())
	case "release":
		err = r.semaphore.Release()
	case "value":
		return strconv.Itoa(r.semaphore.Value())
	case "check":
		err = r.semaphore.Check()
	case "stats":
		return statsOf(r.semaphore.Stats())
	case "work":
		ledger := word(r.segment.Bytes(), 8*offset(args[2]))
		for err == nil {
			if err = r.semaphore.Acquire(); err == nil {
				err = r.semaphore.Release()
				ledger.Add(1)
			}
		}
	case "close":
		err = r.semaphore.Close()
	default:
		return "no verb " + args[1]
	}
	return wordFor(err)
}

// mapped keeps the segments of dataOf from being closed.
var mapped atomic.Pointer[shm.Segment]

// dataOf maps the named object once more and returns what stands behind the word of the mutex in it: bytes that the
// format does not use, where tests keep what the mutex guards.
func dataOf(name string) ([]byte, error) {
	o, err := object.Open(name, object.Spec{Kind: layout.KindMutex})
	if err != nil {
		return nil, err
	}
	if old := mapped.Swap(o.Segment); old != nil {
		old.Close()
	}
	return o.Segment.Bytes()[o.Body+16:], nil
}

// word is the word at an offset of mapped memory.
func word(b []byte, offset int) *mem.Uint64 {
	w, err := mem.At[mem.Uint64](b, offset)
	rerun.Check(err)
	return w
}
