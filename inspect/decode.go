package inspect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/shm"
)

// Limits of package pshared: what an intact object cannot exceed.
const (
	maxParties   = layout.MaxSlots
	maxPermits   = 4096
	maxSemaphore = 1<<31 - 2
)

// primitiveSize is the size of a semaphore and a barrier without the words that
// follow.
const primitiveSize = 64

// bodyMost is the size of the largest primitive: an RWMutex, of all slots.
const bodyMost = layout.Line + layout.MaxSlots*layout.Line

// reading is one look at a segment. It works on copies: what it has checked does
// not change under its hands.
type reading struct {
	seg  *shm.Segment
	size int64
	*Structure
	body   []byte // what the object holds
	offset int64  // of body
}

// marked reports whether bytes begin like a Shoal object, or like a segment that
// a program has put a member table into. An object whose first word is damaged
// is still known by its table. The bytes may lie anywhere: they need not be aligned.
func marked(b []byte) bool {
	return hasHeader(b) || hasTable(b, 0) || hasTable(b, layout.HeaderSize)
}

func hasHeader(b []byte) bool {
	return len(b) >= layout.HeaderSize && binary.LittleEndian.Uint64(b) == layout.Magic
}

func hasTable(b []byte, offset int) bool {
	return len(b) >= offset+layout.MembersSize && binary.LittleEndian.Uint32(b[offset:]) == layout.MembersMagic
}

// headSize is how many bytes marked wants to see.
const headSize = layout.HeaderSize + layout.MembersSize

// examine reads the structure of a segment; nil if it has none. An error means
// that the segment could not be read.
func examine(seg *shm.Segment) (*Structure, error) {
	r := reading{seg: seg, size: int64(seg.Size()), Structure: new(Structure)}
	head, err := r.copy(0, headSize)
	if err != nil || !marked(head) {
		return nil, err
	}
	if hasTable(head, 0) && !hasHeader(head) {
		err := r.members(head, 0)
		return r.Structure, err
	}
	if !r.header(head) {
		return r.Structure, nil
	}
	if err := r.members(head, layout.HeaderSize); err != nil {
		return nil, err
	}
	if r.body, err = r.copy(r.offset, bodyMost); err != nil {
		return nil, err
	}
	r.primitive()
	return r.Structure, nil
}

// copy returns up to n bytes from offset.
func (r *reading) copy(offset int64, n int) ([]byte, error) {
	n = int(max(min(int64(n), r.size-offset), 0))
	b := make([]byte, max(n, 8)) // of 8 bytes and more, and so aligned to 8
	if n == 0 {
		return nil, nil
	}
	n, err := r.seg.ReadAt(b[:n], offset)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

func (r *reading) damage(offset int64, format string, args ...any) {
	r.Damage = append(r.Damage, Damage{offset, fmt.Sprintf(format, args...)})
}

// header reads the header, and reports whether the rest can be understood.
func (r *reading) header(b []byte) bool {
	h, err := mem.At[layout.Header](b, 0)
	if err != nil {
		r.damage(0, "the header has %d bytes, the object %d", layout.HeaderSize, r.size)
		return false
	}
	if magic := h.Magic.Load(); magic != layout.Magic {
		r.damage(0, "magic is %#x, a Shoal object has %#x", magic, layout.Magic)
		return false
	}
	r.Kind, r.Version = h.Kind.String(), fmt.Sprintf("%d.%d", h.Version>>16, h.Version&0xffff)
	if h.Version>>16 != layout.Major {
		r.damage(8, "version is %s, this program knows %d.%d", r.Version, layout.Major, layout.Minor)
		return false
	}
	r.Creator, r.Created = int(h.Creator), time.Unix(0, h.Created).UTC()
	if h.Size > uint64(r.size) {
		r.damage(16, "size is %d, the object has %d bytes", h.Size, r.size)
		return false
	}
	r.Size = int64(h.Size)
	if h.Body < layout.HeaderSize || h.Body > h.Size || h.Body%8 != 0 {
		r.damage(32, "the body is at %d of %d bytes", h.Body, h.Size)
		return false
	}
	r.offset = int64(h.Body)
	r.Structure.body = r.offset
	return true
}

// members reads the member table at offset of head.
func (r *reading) members(head []byte, offset int) error {
	t, err := mem.At[layout.Members](head, offset)
	at := int64(offset)
	switch {
	case err != nil:
		r.damage(at, "the member table does not fit into %d bytes", r.size)
		return nil
	case t.Magic.Load() != layout.MembersMagic:
		r.damage(at, "the member table has magic %#x, want %#x", t.Magic.Load(), layout.MembersMagic)
		return nil
	case t.Version>>16 != layout.Major:
		r.damage(at+4, "the member table has version %d.%d, this program knows %d.%d",
			t.Version>>16, t.Version&0xffff, layout.Major, layout.Minor)
		return nil
	case t.Slots < 1 || t.Slots > layout.MaxSlots:
		r.damage(at+8, "the member table has %d slots, want 1 to %d", t.Slots, layout.MaxSlots)
		return nil
	case int64(layout.MembersFootprint(int(t.Slots))) > r.size-at:
		r.damage(at+8, "a member table of %d slots does not fit into %d bytes", t.Slots, r.size)
		return nil
	}
	var report *member.Report
	err = r.seg.Guard(func() (err error) {
		report, err = member.Read(r.seg, offset)
		return err
	})
	if err != nil {
		return err
	}
	m := &Membership{Slots: report.Slots, Members: []Member{},
		Deaths: report.Deaths, Repairs: report.Repairs, LostWakes: report.LostWakes}
	for _, i := range report.Members {
		m.Members = append(m.Members, Member{
			Slot: i.Owner.Slot(), Epoch: i.Owner.Epoch(), PID: i.PID, SameNamespace: i.SameNamespace,
			Command: i.Name, Alive: i.Alive, Joined: i.Joined.UTC(),
		})
	}
	r.Members = m
	return nil
}

// primitive reads what the object holds.
func (r *reading) primitive() {
	decode := map[string]struct {
		magic uint32
		read  func(*reading, *Primitive)
	}{
		layout.KindMutex.String():     {layout.MutexMagic, (*reading).mutex},
		layout.KindRWMutex.String():   {layout.RWMutexMagic, (*reading).rwmutex},
		layout.KindCond.String():      {layout.CondMagic, (*reading).cond},
		layout.KindSemaphore.String(): {layout.SemaphoreMagic, (*reading).semaphore},
		layout.KindEvent.String():     {layout.EventMagic, (*reading).event},
		layout.KindBarrier.String():   {layout.BarrierMagic, (*reading).barrier},
		layout.KindOnce.String():      {layout.OnceMagic, (*reading).once},
	}
	d, ok := decode[r.Kind]
	if !ok {
		return // a kind of a later version
	}
	p, err := mem.At[layout.Preamble](r.body, 0)
	if err != nil {
		r.damage(r.offset, "the %s does not fit into %d bytes", r.Kind, r.size)
		return
	}
	if got := p.Magic.Load(); got != d.magic {
		r.damage(r.offset, "the %s has magic %#x (%s), want %#x (%s)", r.Kind, got, letters(got), d.magic, letters(d.magic))
		return
	}
	before := len(r.Damage)
	s := new(Primitive)
	d.read(r, s)
	if len(r.Damage) == before {
		r.State = s
	}
}

// letters spells a magic number.
func letters(magic uint32) string {
	b := []byte{byte(magic), byte(magic >> 8), byte(magic >> 16), byte(magic >> 24)}
	return fmt.Sprintf("%q", bytes.TrimRight(b, "\x00"))
}

// part returns the T at offset of the body; if there is no room for it that is
// damage.
func part[T any](r *reading) (*T, bool) {
	t, err := mem.At[T](r.body, 0)
	if err != nil {
		r.damage(r.offset, "the %s does not fit into %d bytes", r.Kind, r.size)
	}
	return t, err == nil
}

// words returns the n words that follow at offset of the body. The number stands
// at offset 4.
func words[T any](r *reading, offset, n int) []T {
	w, err := mem.Array[T](r.body, offset, n)
	if err != nil {
		r.damage(r.offset+4, "room for %d is needed behind the %s, the object has %d bytes", n, r.Kind, r.size)
	}
	return w
}

// claim says who a word names. An owner that cannot be is damage, at that offset
// of the body.
func (r *reading) claim(o layout.Owner, offset int) *Claim {
	c := &Claim{Slot: o.Slot(), Epoch: o.Epoch()}
	if r.Members == nil {
		return c
	}
	if c.Slot < 0 || c.Slot >= r.Members.Slots {
		r.damage(r.offset+int64(offset), "the owner has slot %d of %d", c.Slot, r.Members.Slots)
		return c
	}
	for i := range r.Members.Members {
		if m := &r.Members.Members[i]; m.Slot == c.Slot && m.Epoch == c.Epoch {
			c.Member = m
		}
	}
	return c
}

// lock reads the owner word of a lock, which has some of the given flags.
func (r *reading) lock(s *Primitive, word, flags uint64, offset int) {
	owner := layout.OwnerOf(word)
	impossible := word&0xffff&^flags != 0
	if owner == 0 {
		impossible = impossible || word&layout.LockDraining != 0 || word&layout.LockNotRecoverable != 0 && word != layout.LockNotRecoverable
	} else {
		impossible = impossible || word&layout.LockNotRecoverable != 0
	}
	if impossible {
		r.damage(r.offset+int64(offset), "lock word is %#x, which is impossible", word)
		return
	}
	if owner != 0 {
		s.Owner = r.claim(owner, offset)
	}
	s.Waiters = word&layout.LockWaiters != 0
	s.Inconsistent = word&layout.LockInconsistent != 0
	s.NotRecoverable = word&layout.LockNotRecoverable != 0
	s.Draining = word&layout.LockDraining != 0
}

const mutexFlags = layout.LockWaiters | layout.LockInconsistent | layout.LockNotRecoverable

func (r *reading) mutex(s *Primitive) {
	if p, ok := part[layout.Mutex](r); ok {
		r.lock(s, p.State.Load(), mutexFlags, 8)
	}
}

func (r *reading) rwmutex(s *Primitive) {
	p, ok := part[layout.RWMutex](r)
	if !ok {
		return
	}
	r.lock(s, p.Writer.Load(), mutexFlags|layout.LockDraining, 8)
	if r.Members == nil {
		return
	}
	if int64(p.Config) != int64(r.Members.Slots) {
		r.damage(r.offset+4, "it is made for %d members, the table has %d slots", p.Config, r.Members.Slots)
		return
	}
	readers := words[layout.Readers](r, layout.Line, int(p.Config))
	for slot := range readers {
		n := readers[slot].Count.Load()
		if uint32(n) == 0 {
			continue
		}
		c := r.claim(layout.MakeOwner(slot, uint32(n>>32)), layout.Line+slot*layout.Line)
		if c.Count = int(uint32(n)); c.Member != nil { // else it is void, and of no interest
			s.Readers = append(s.Readers, *c)
		}
	}
}

// sleeps is the lowest bit of words that count something else: somebody sleeps.
const sleeps = 1

func (r *reading) cond(s *Primitive) {
	if p, ok := part[layout.Cond](r); ok {
		s.Waiters = p.Signals.Load()&sleeps != 0
	}
}

func (r *reading) semaphore(s *Primitive) {
	p, ok := part[layout.Semaphore](r)
	switch {
	case !ok:
	case p.Config == 0:
		word := p.Value.Load()
		if word>>1 > maxSemaphore {
			r.damage(r.offset+8, "value is %#x, which is impossible", word)
			return
		}
		value := int(word >> 1)
		s.Value, s.Waiters = &value, word&sleeps != 0
	case p.Config > maxPermits:
		r.damage(r.offset+4, "%d permits, at most %d are possible", p.Config, maxPermits)
	default:
		r.permits(s, p)
	}
}

func (r *reading) permits(s *Primitive, p *layout.Semaphore) {
	s.Permits = int(p.Config)
	// An event count keeps in its lowest bit whether somebody sleeps (package park).
	s.Waiters = p.Free.Load()&sleeps != 0
	free := 0
	has := map[layout.Owner]int{} // where in s.Holders
	permits := words[mem.Uint64](r, primitiveSize, s.Permits)
	for i := range permits {
		word := permits[i].Load()
		owner := layout.OwnerOf(word)
		offset := primitiveSize + i*8
		if word != 0 && (owner == 0 || word&0xffff != 0) {
			r.damage(r.offset+int64(offset), "permit %d is %#x, which is impossible", i, word)
			continue
		}
		if word == 0 {
			free++
			continue
		}
		k, known := has[owner]
		if !known {
			k = len(s.Holders)
			has[owner] = k
			s.Holders = append(s.Holders, *r.claim(owner, offset))
		}
		s.Holders[k].Count++
		if s.Holders[k].Void() {
			free++
		}
	}
	s.Value = &free
}

func (r *reading) event(s *Primitive) {
	p, ok := part[layout.Event](r)
	if !ok {
		return
	}
	if p.Config > 1 {
		r.damage(r.offset+4, "the event's kind is %d, want 0 or 1", p.Config)
		return
	}
	word := p.State.Load()
	set := word&2 != 0
	s.Set, s.Waiters, s.AutoReset = &set, word&sleeps != 0, p.Config == 1
}

func (r *reading) barrier(s *Primitive) {
	p, ok := part[layout.Barrier](r)
	if !ok {
		return
	}
	if p.Config < 1 || p.Config > maxParties {
		r.damage(r.offset+4, "%d parties, want 1 to %d", p.Config, maxParties)
		return
	}
	word := p.Phase.Load()
	phase := word >> 1
	s.Phase, s.Waiters = &phase, word&sleeps != 0
	arrived := uint64(layout.PlaceArrived)
	if phase&1 != 0 {
		arrived |= layout.PlaceOdd
	}
	const flags = layout.PlaceArrived | layout.PlaceOdd | layout.PlaceVacant
	places := words[mem.Uint64](r, primitiveSize, int(p.Config))
	for i := range places {
		word := places[i].Load()
		offset := primitiveSize + i*8
		var place Place
		if word != 0 {
			if word&0xffff&^flags != 0 || word&arrivedFlags == layout.PlaceOdd || layout.OwnerOf(word)>>16 == 0 {
				r.damage(r.offset+int64(offset), "place %d is %#x, which is impossible", i, word)
				continue
			}
			place.Party = r.claim(layout.OwnerOf(word), offset)
			place.Vacant = word&layout.PlaceVacant != 0
			place.Arrived = !place.Vacant && word&arrivedFlags == arrived
		}
		s.Places = append(s.Places, place)
	}
}

const arrivedFlags = layout.PlaceArrived | layout.PlaceOdd

func (r *reading) once(s *Primitive) {
	p, ok := part[layout.Once](r)
	if !ok {
		return
	}
	word := p.State.Load()
	owner := layout.OwnerOf(word)
	done := word == layout.OnceDone
	if owner == 0 && word != 0 && !done || owner != 0 && word&0xffff&^layout.LockWaiters != 0 {
		r.damage(r.offset+8, "state is %#x, which is impossible", word)
		return
	}
	s.Done = &done
	if owner != 0 {
		s.Owner, s.Waiters = r.claim(owner, 8), word&layout.LockWaiters != 0
	}
}
