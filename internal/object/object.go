// Package object makes and opens Shoal objects: a header that says what they
// are, a member table that says who takes part, and the body of some structure.
//
//	0        64                            Body
//	+--------+---------------------+-------+------------- … -+
//	| Header | Members             | type  | the structure   |
//	+--------+---------------------+-------+------------- … -+
//
// The type of the values in it, if they have one, is the text of package schema.
//
// A Shoal object named "ticks" is the POSIX object "/shoal.ticks". Every other
// address of package shm serves as a name, too.
package object

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

// Spec says what an object is to hold.
type Spec struct {
	Kind  layout.Kind       // 0 opens any
	Slots int               // member slots; 0 means layout.DefaultSlots
	Size  int               // bytes of the body
	Fill  func(body []byte) // writes the body, zero so far; nil leaves it zero
	Shm   shm.Options

	// Schema is the type of the values. An object of another type is not opened; nil
	// opens any.
	Schema *schema.Schema

	late bool // the member table is made by the first who joins
}

// Object is an open object that this process has not necessarily joined.
type Object struct {
	Name    string
	Segment *shm.Segment
	Header  *layout.Header
	Body    int // offset

	fingerprint uint64
	text        string // of the type
}

// members is where the member table stands.
const members = layout.HeaderSize

func (s *Spec) slots() int {
	if s.Slots == 0 {
		return layout.DefaultSlots
	}
	return s.Slots
}

// schema is where the text of the type stands: behind the member table.
func (s *Spec) schema() int { return members + layout.MembersFootprint(s.slots()) }

func (s *Spec) text() string {
	if s.Schema == nil {
		return ""
	}
	return s.Schema.String()
}

func (s *Spec) body() int {
	end := s.schema() + len(s.text())
	return (end + layout.Line - 1) &^ (layout.Line - 1)
}

func (s *Spec) size() int64 { return int64(s.body() + s.Size) }

// fill writes the whole object into b, which is zero.
func (s *Spec) fill(b []byte) error {
	if !s.late {
		if err := member.Make(b, members, s.slots()); err != nil {
			return err
		}
	}
	h, err := mem.At[layout.Header](b, 0)
	if err != nil {
		return err
	}
	if s.Fill != nil {
		s.Fill(b[s.body():])
	}
	h.Version = layout.Major<<16 | layout.Minor
	h.Kind = s.Kind
	h.Size = uint64(s.size())
	h.Body = uint64(s.body())
	if text := s.text(); text != "" {
		h.Fingerprint = s.Schema.Fingerprint()
		h.SchemaOffset, h.SchemaLength = uint32(s.schema()), uint32(len(text))
		copy(b[s.schema():], text)
	}
	h.Slots = uint32(s.slots())
	h.Creator = uint32(os.Getpid())
	h.Created = time.Now().UnixNano()
	h.Magic.Store(layout.Magic) // pairs with the load in check: all above is there
	return nil
}

// Create makes a new object; if there is one already the error is fs.ErrExist.
func Create(name string, s Spec) (*Object, error) {
	addr, err := Address(name)
	if err != nil {
		return nil, err
	}
	// A table in System V memory names the file with its locks, which goes by the id
	// that the kernel has yet to choose.
	a, err := shm.ParseAddress(addr)
	if err != nil {
		return nil, err
	}
	s.late = a.Kind() == shm.SysV
	seg, err := shm.Build(addr, s.size(), &s.Shm, s.fill)
	if err != nil {
		return nil, err
	}
	return open(name, seg, s)
}

// Open opens an object that exists.
func Open(name string, s Spec) (*Object, error) {
	addr, err := Address(name)
	if err != nil {
		return nil, err
	}
	seg, err := shm.Open(addr, &s.Shm)
	if err != nil {
		return nil, err
	}
	return open(name, seg, s)
}

// attempts bounds the rounds of open and create; see shm.OpenOrCreate.
const attempts = 100

// OpenOrCreate opens the object, and makes it if there is none. Any number of
// processes may do so at once.
func OpenOrCreate(name string, s Spec) (o *Object, created bool, err error) {
	for range attempts {
		o, err = Open(name, s)
		if !errors.Is(err, fs.ErrNotExist) {
			return o, false, err
		}
		o, err = Create(name, s)
		if !errors.Is(err, fs.ErrExist) {
			return o, err == nil, err
		}
	}
	return nil, false, err
}

// Remove takes the object's name away; see shm.Remove. What is no Shoal object,
// or of a kind that is not wanted, stays.
func Remove(name string, want func(layout.Kind) bool) error {
	o, err := Open(name, Spec{})
	if err != nil {
		return err
	}
	defer o.Segment.Close()
	if !want(o.Header.Kind) {
		return &shm.Error{Op: "remove", Object: name, Err: fmt.Errorf("its kind is %v: %w", o.Header.Kind, shm.ErrKind)}
	}
	info, err := o.Segment.Stat()
	if err != nil {
		return err
	}
	if err := o.Segment.Remove(); err != nil {
		return err
	}
	if o.Segment.Address().Kind() != shm.SysV {
		return nil
	}
	// Members keep the file with their locks open. Nobody can join any more who
	// would miss it: the key is gone, and who joins by the id finds that the table
	// names another file.
	if err := shm.Remove(member.CompanionName(info.ID)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// patience is how long open waits for a System V object to be filled by its
// creator: those alone can be found while they are still empty.
const patience = time.Second

func open(name string, seg *shm.Segment, s Spec) (*Object, error) {
	o := &Object{Name: name, Segment: seg}
	err := o.check(&s)
	if errors.Is(err, errEmpty) && seg.Address().Kind() == shm.SysV {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for errors.Is(err, errEmpty) && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
			err = o.check(&s)
		}
	}
	if errors.Is(err, errEmpty) && seg.Address().Kind() != shm.SysV {
		err = fmt.Errorf("at offset 0: zeros: %w", errForeign) // all others appear complete
	}
	if err != nil {
		seg.Close()
		return nil, &shm.Error{Op: "open", Object: name, Err: err, Advice: advice(err)}
	}
	return o, nil
}

// errEmpty: there is no header, only zeros.
var errEmpty = fmt.Errorf("it holds nothing yet: its creator is at work, or died: %w", shm.ErrCorrupt)

// errForeign: something begins there, but nothing of Shoal's.
var errForeign = fmt.Errorf("no Shoal object begins so: %w", shm.ErrCorrupt)

func advice(err error) string {
	switch {
	case errors.Is(err, errForeign):
		return "if another program made it, use another name"
	case errors.Is(err, errEmpty):
		return "try again, or remove it"
	case errors.Is(err, shm.ErrVersion):
		return "use a program of the same major version"
	case errors.Is(err, shm.ErrTypeMismatch):
		return "use the same type, another name, or remove the object"
	}
	return ""
}

// check reads the header, each field once, and bounds all of it.
func (o *Object) check(s *Spec) error {
	kind := s.Kind
	b := o.Segment.Bytes()
	h, err := mem.At[layout.Header](b, 0)
	if err != nil {
		return fmt.Errorf("header: %v: %w", err, shm.ErrCorrupt)
	}
	switch magic := h.Magic.Load(); { // pairs with the store in fill
	case magic == 0:
		return errEmpty
	case magic != layout.Magic:
		return fmt.Errorf("at offset 0: magic is %#x, a Shoal object has %#x: %w", magic, layout.Magic, errForeign)
	}
	if major := h.Version >> 16; major != layout.Major {
		return fmt.Errorf("version %d.%d, this program knows %d.%d: %w", major, h.Version&0xffff, layout.Major, layout.Minor, shm.ErrVersion)
	}
	if kind != 0 && h.Kind != kind {
		return fmt.Errorf("its kind is %v, not %v: %w", h.Kind, kind, shm.ErrKind)
	}
	size, body := h.Size, h.Body
	if size > uint64(len(b)) {
		return fmt.Errorf("at offset 16: size is %d, the object has %d bytes: %w", size, len(b), shm.ErrCorrupt)
	}
	if body < members || body > size || body%8 != 0 {
		return fmt.Errorf("at offset 32: body at %d of %d bytes: %w", body, size, shm.ErrCorrupt)
	}
	slots := h.Slots
	if slots < 1 || slots > layout.MaxSlots || uint64(members+layout.MembersFootprint(int(slots))) > body {
		return fmt.Errorf("at offset 48: %d member slots before a body at %d: %w", slots, body, shm.ErrCorrupt)
	}
	o.Header, o.Body = h, int(body)
	o.fingerprint = h.Fingerprint
	if offset, length := uint64(h.SchemaOffset), uint64(h.SchemaLength); length != 0 {
		behind := uint64(members + layout.MembersFootprint(int(slots)))
		if length > schema.MaxText || offset < behind || offset+length > body {
			return fmt.Errorf("at offset 40: text of its type has %d bytes at %d, before a body at %d: %w", length, offset, body, shm.ErrCorrupt)
		}
		o.text = string(b[offset : offset+length])
	}
	return o.checkType(s.Schema)
}

// Schema returns the type of the values, as the object describes it itself.
func (o *Object) Schema() (*schema.Schema, error) {
	found, err := schema.Parse(o.text)
	if err == nil && found.Fingerprint() != o.fingerprint {
		err = fmt.Errorf("at offset 24: fingerprint is %#x, that of its type is %#x", o.fingerprint, found.Fingerprint())
	}
	if err != nil {
		return nil, fmt.Errorf("text of its type: %w: %w", err, shm.ErrCorrupt)
	}
	return found, nil
}

// checkType compares the type with what is wanted.
func (o *Object) checkType(want *schema.Schema) error {
	if want == nil || want.String() == o.text && want.Fingerprint() == o.fingerprint {
		return nil
	}
	found, err := o.Schema()
	if err != nil {
		return err
	}
	return fmt.Errorf("%w:\n%s", shm.ErrTypeMismatch, schema.Diff(want, found))
}

// Join makes this process a member.
func (o *Object) Join(opts member.Options) (*member.Table, error) {
	opts.Make = int(o.Header.Slots)
	t, err := member.Join(o.Segment, members, opts)
	if err != nil {
		return nil, &shm.Error{Op: "join", Object: o.Name, Err: err}
	}
	return t, nil
}

// Members is the offset of the member table.
func (o *Object) Members() int { return members }

// nameMax is the length of the longest name of a Shoal object, in bytes.
const nameMax = 200

// Address returns the shm address of a name: a bare name is a Shoal object;
// anything with a slash or a colon is an address already.
func Address(name string) (string, error) {
	if strings.ContainsAny(name, "/:") {
		return name, nil
	}
	if err := checkName(name); err != nil {
		return "", &shm.Error{Op: "open", Object: fmt.Sprintf("%q", name), Err: err,
			Advice: "a name has 1 to 200 letters, digits, dots, underscores or dashes; /name is a POSIX object"}
	}
	return "/" + Prefix + name, nil
}

// Prefix begins the POSIX name of every Shoal object.
const Prefix = "shoal."

func checkName(name string) error {
	if name == "" || len(name) > nameMax {
		return fmt.Errorf("name of %d bytes: %w", len(name), fs.ErrInvalid)
	}
	for _, c := range []byte(name) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return fmt.Errorf("%q in a name: %w", c, fs.ErrInvalid)
		}
	}
	if id, ok := strings.CutPrefix(name, "sysv-"); ok && id != "" && strings.Trim(id, "0123456789") == "" {
		return fmt.Errorf("such names are for the locks of System V segments: %w", fs.ErrInvalid) // member.CompanionName
	}
	return nil
}
