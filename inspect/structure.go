package inspect

import (
	"fmt"
	"time"
)

// Structure is what a Shoal object says of itself: its header, its members, and
// the state of what it holds. It is a picture of a moment, in which the parts
// may differ by some microseconds: looking at an object stops nobody.
//
// Of a segment that begins with a member table, because its program has placed
// primitives in there, only Members is known.
type Structure struct {
	Kind    string      `json:"kind,omitempty"`        // "mutex", "rwmutex", "cond", ...; empty for a segment with a member table alone
	Version string      `json:"version,omitempty"`     // of the format, "1.0"
	Size    int64       `json:"size,omitempty"`        // bytes of the object, as its header has it
	Creator int         `json:"creator_pid,omitempty"` // process that made it, as that saw itself
	Created time.Time   `json:"created,omitzero"`      // when
	Members *Membership `json:"members,omitempty"`     // nil if damaged, or out of reach
	State   *Primitive  `json:"state,omitempty"`       // of a primitive; nil if damaged, or of another kind
	Flow    *Flow       `json:"flow,omitempty"`        // of a ring, topic or queue; nil if damaged, out of reach, or of another kind
	Damage  []Damage    `json:"damage,omitempty"`      // what cannot be as it is

	body int64 // offset of what the object holds
}

// Damage is a place in an object that contradicts its format.
type Damage struct {
	Offset int64  `json:"offset"` // in the object, in bytes
	Text   string `json:"text"`   // what is there, and what should be
}

// String gives place and text in one line.
func (d Damage) String() string { return fmt.Sprintf("at offset %d: %s", d.Offset, d.Text) }

// Membership is who takes part in an object, and counters that all members share
// since it was made.
type Membership struct {
	Slots     int      `json:"slots"`      // the most members at a time
	Members   []Member `json:"list"`       // by slot
	Deaths    uint64   `json:"deaths"`     // members that ended without leaving
	Repairs   uint64   `json:"repairs"`    // claims that survivors took back from the dead
	LostWakes uint64   `json:"lost_wakes"` // sleeps that ended by time although there was something to do
}

// Dead is how many members have died and still occupy their slots: nobody has
// needed one since.
func (m *Membership) Dead() (n int) {
	for i := range m.Members {
		if !m.Members[i].Alive {
			n++
		}
	}
	return n
}

// Member is a process, or one of several memberships of it, as it has described
// itself. Whether it lives the kernel says.
type Member struct {
	Slot          int       `json:"slot"`           // its place in the table
	Epoch         uint32    `json:"epoch"`          // how many have had the slot
	PID           int       `json:"pid"`            // in its own PID namespace
	SameNamespace bool      `json:"same_namespace"` // that is ours: PID means something here
	Command       string    `json:"command"`        // name of its program, up to 16 bytes
	Alive         bool      `json:"alive"`          // it holds the lock of its slot; else it has died, and nobody has cleared its slot yet
	Joined        time.Time `json:"joined"`         // when, by its own clock
}

// Claim is something that a member has taken.
type Claim struct {
	Slot  int    `json:"slot"`  // of the one who took it
	Epoch uint32 `json:"epoch"` // and its epoch then
	// Member is who; nil if it is no member any more. Then the claim is void, and
	// goes to the next one who looks for it.
	Member *Member `json:"member,omitempty"`
	Count  int     `json:"count,omitempty"` // of read locks, permits
}

// Void reports whether the claim counts no more: who made it has died or left.
func (c *Claim) Void() bool { return c.Member == nil || !c.Member.Alive }

// Primitive is the state of a primitive of package pshared. Each field names the
// kinds for which it is of interest.
type Primitive struct {
	Owner   *Claim `json:"owner,omitempty"` // mutex, and rwmutex for writing: who holds it; once: who runs it
	Waiters bool   `json:"waiters"`         // all: somebody may sleep there

	Inconsistent   bool `json:"inconsistent,omitempty"`    // mutex, rwmutex: an owner died, and nobody has said since that all is well
	NotRecoverable bool `json:"not_recoverable,omitempty"` // mutex, rwmutex: it was unlocked like that; nobody can lock it any more
	Draining       bool `json:"draining,omitempty"`        // rwmutex: its owner still waits for readers to leave

	Readers []Claim `json:"readers,omitempty"` // rwmutex: who holds it for reading, and how often

	Value   *int    `json:"value,omitempty"`   // semaphore: how many can be acquired
	Permits int     `json:"permits,omitempty"` // semaphore with undo: all there are
	Holders []Claim `json:"holders,omitempty"` // semaphore with undo: who has how many

	Set       *bool `json:"set,omitempty"`        // event
	AutoReset bool  `json:"auto_reset,omitempty"` // event: who is woken resets it

	Phase  *uint64 `json:"phase,omitempty"`  // barrier: how many have ended
	Places []Place `json:"places,omitempty"` // barrier: one for each party

	Done *bool `json:"done,omitempty"` // once
}

// Place is the place of one party of a barrier.
type Place struct {
	Party   *Claim `json:"party,omitempty"`   // who has, or last had, it; nil if nobody came yet
	Arrived bool   `json:"arrived,omitempty"` // it waits for the others of this phase
	Vacant  bool   `json:"vacant,omitempty"`  // it has left or died, and is not waited for
}

// OwnerDied reports whether the next one to lock will hear that an owner died.
// The object keeps that news, even while nobody uses it.
func (p *Primitive) OwnerDied() bool {
	return p.Inconsistent || p.NotRecoverable || p.Owner != nil && p.Owner.Void() && p.Done == nil && !p.Draining
}

// remembers reports whether an object means something while nobody uses it, as
// far as that can be told.
func (s *Structure) remembers() bool {
	switch s.Kind {
	case "semaphore", "event", "once":
		return true
	}
	return s.State != nil && s.State.OwnerDied() || s.Flow != nil && s.Flow.owed(s.Kind) != ""
}

// memory says why an object that remembers is kept.
func (s *Structure) memory() string {
	if s.State != nil && s.State.OwnerDied() {
		return fmt.Sprintf("an owner of this %s died, which the next one must hear; if nobody will, remove it by name", s.Kind)
	}
	if s.Flow != nil {
		return fmt.Sprintf("unused, but %s; if nobody is to come, remove it by name", s.Flow.owed(s.Kind))
	}
	return "unused, but its state may be meant for its next user; if it is garbage, remove it by name"
}
