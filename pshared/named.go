package pshared

import (
	"io/fs"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/shm"
)

// Options say how a named object is made, where the functions of the package
// have only defaults: Options{Mode: 0o660}.OpenMutex("accounts"). They do not
// matter for an object that exists.
type Options struct {
	// Mode is the permissions of the object; 0 means 0600. Members need to read
	// and write.
	Mode fs.FileMode
	// Group is the group of the object, by name or number; empty means the
	// creator's.
	Group string
	// Members is how many members the object can have at a time; 0 means
	// DefaultMembers.
	Members int
}

// Remove removes the named object, whichever primitive it is: its name is free
// at once, and members go on using it until they close it. If there is none, the
// error is fs.ErrNotExist; what is no object of this package stays.
func Remove(name string) error { return object.Remove(name, isPrimitive) }

func isPrimitive(k layout.Kind) bool { return layout.KindMutex <= k && k <= layout.KindOnce }

// spec is a primitive as open makes it.
type spec struct {
	kind   layout.Kind
	size   int
	magic  uint32
	config uint32
	fill   func(body []byte) // what else is not zero
}

// open opens or makes the named object with one primitive in it, and joins.
func (o Options) open(name string, s spec) (m *Members, offset int, err error) {
	obj, _, err := object.OpenOrCreate(name, object.Spec{
		Kind:  s.kind,
		Slots: o.Members,
		Size:  s.size,
		Fill: func(body []byte) {
			p, err := mem.At[layout.Preamble](body, 0)
			if err != nil {
				panic(err) // the size is ours
			}
			p.Config = s.config
			if s.fill != nil {
				s.fill(body)
			}
			p.Magic.Store(s.magic)
		},
		Shm: shm.Options{Mode: o.Mode, Group: o.Group},
	})
	if err != nil {
		return nil, 0, err
	}
	t, err := obj.Join(member.Options{})
	if err != nil {
		obj.Segment.Close()
		return nil, 0, err
	}
	return newMembers(obj.Segment, t), obj.Body, nil
}

// named finishes a handle on a named object, or gives the object back.
func named[H any](m *Members, handle H, p *primitive, err error) (H, error) {
	if err != nil {
		m.Leave()
		m.segment.Close()
		var none H
		return none, fail("open", p.object, err)
	}
	p.owned = true
	return handle, nil
}
