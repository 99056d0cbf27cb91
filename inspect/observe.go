package inspect

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

// observer is what looks at a ring, a topic or a queue have in common.
type observer interface {
	io.Closer
	Check() error
	Schema() (*schema.Schema, error)
}

// flows are the kinds that records go through: how to look at one, and what there is.
var flows = map[string]func(name string) (observer, func() (*Flow, error), error){
	layout.KindRing.String(): func(name string) (observer, func() (*Flow, error), error) {
		o, err := ring.Observe(name)
		return o, func() (*Flow, error) {
			f := flowOfRing(o.Stats())
			f.MaxRecord = o.MaxRecord()
			return f, nil
		}, err
	},
	layout.KindTopic.String(): func(name string) (observer, func() (*Flow, error), error) {
		o, err := topic.Observe(name)
		return o, func() (*Flow, error) { return flowOfTopic(o.Stats()), nil }, err
	},
	layout.KindQueue.String(): func(name string) (observer, func() (*Flow, error), error) {
		o, err := queue.Observe(name)
		return o, func() (*Flow, error) {
			s, err := o.Stats()
			return flowOfQueue(s), err
		}, err
	},
}

// IsFlow reports whether records go through objects of a kind: whether they have a
// [Flow].
func IsFlow(kind string) bool { return flows[kind] != nil }

// flow reads what goes through the object that s has been read of. What contradicts the
// format is damage, and as an error comes what hindered.
func (s *Structure) flow(addr string, thorough bool) error {
	observe := flows[s.Kind]
	if observe == nil || len(s.Damage) > 0 {
		return nil
	}
	err := guarded(func() error {
		o, read, err := observe(addr)
		if err != nil {
			return err
		}
		defer o.Close()
		typ, err := o.Schema()
		if err != nil {
			return err
		}
		f, err := read()
		if err != nil {
			return err
		}
		f.typed(typ)
		s.Flow = f
		if thorough {
			return o.Check()
		}
		return nil
	})
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, shm.ErrKind): // another one stands there by now
		return nil
	case errors.Is(err, shm.ErrCorrupt):
		for _, text := range faults(err) {
			s.Damage = append(s.Damage, s.located(text))
		}
		return nil
	}
	return err
}

// located is damage with the offset that its text begins with; else that of the body.
func (s *Structure) located(text string) Damage {
	if rest, ok := strings.CutPrefix(text, "at offset "); ok {
		number, rest, _ := strings.Cut(rest, ": ")
		if at, err := strconv.ParseInt(number, 10, 64); err == nil && at >= 0 && at <= s.Size {
			return Damage{at, rest}
		}
	}
	return Damage{s.body, text}
}

// faults are the texts of all errors that err consists of, without what is the same in
// all.
func faults(err error) []string {
	if e, ok := err.(*shm.Error); ok {
		return faults(e.Err)
	}
	if all, ok := err.(interface{ Unwrap() []error }); ok {
		var texts, found []string
		for _, e := range all.Unwrap() {
			texts, found = append(texts, e.Error()), append(found, faults(e)...)
		}
		if strings.Join(texts, "\n") == err.Error() { // errors.Join adds nothing of its own
			return found
		}
	}
	return []string{strings.ReplaceAll(strings.TrimSuffix(err.Error(), ": "+shm.ErrCorrupt.Error()), "\n", "; ")}
}

// guarded calls f, and makes an error of a fault of memory: a peer has cut the object
// short meanwhile.
func guarded(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(interface {
				runtime.Error
				Addr() uintptr
			})
			if !ok {
				panic(r)
			}
			err = fmt.Errorf("%w at address %#x: another process has cut the object down", shm.ErrFault, fault.Addr())
		}
	}()
	return f()
}

// Check looks at the object at addr as [Find] does, but asks no process, and looks
// through all that is in it: what it finds is in Damage. It only looks, and may be
// called while the object is in use. If nothing of Shoal's is there, it returns nil
// without an error. Cost: a look at every record of a topic that is still there, at all
// that are unread in a ring, or at every slot of a queue.
func Check(addr string) (*Structure, error) {
	resolved, err := Resolve(addr)
	if err != nil {
		return nil, err
	}
	a, err := shm.ParseAddress(resolved)
	if err != nil {
		return nil, err
	}
	if a.Kind() != shm.SysV {
		return look(a, true)
	}
	info, err := shm.Stat(resolved)
	if err != nil {
		return nil, err
	}
	o := memory(info, nil, false)
	o.readAttached(true)
	return o.Structure, o.Unread
}
