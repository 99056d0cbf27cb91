package pshared

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/shm"
)

// Event is a flag in shared memory that goroutines can wait for.
//
// A manual one stays set until Reset, and lets everybody pass: a door. One that
// resets itself lets one waiter pass for each Set, and setting it twice before
// anybody passes is setting it once: a bell.
type Event struct {
	primitive
	state atomic.Pointer[mem.Uint32]
	auto  bool
	spin  park.Spinner
}

// EventFootprint is the size of an Event in shared memory, in bytes.
const EventFootprint = 64

// EventReset says when an event is reset.
type EventReset uint32

// The kinds of events.
const (
	ManualReset EventReset = 0 // by Reset alone
	AutoReset   EventReset = 1 // by the waiter that passes
)

// OpenEvent opens the named event, and makes it, not set, if there is none. One
// that exists must be of the same kind; else the error is shm.ErrKind.
func OpenEvent(name string, reset EventReset) (*Event, error) {
	return Options{}.OpenEvent(name, reset)
}

// OpenEvent is the function [OpenEvent] with options.
func (o Options) OpenEvent(name string, reset EventReset) (*Event, error) {
	m, offset, err := o.open(name, spec{
		kind: layout.KindEvent, size: EventFootprint, magic: layout.EventMagic, config: uint32(reset)})
	if err != nil {
		return nil, err
	}
	e, err := joinEvent(m, offset, name)
	if err == nil && e.auto != (reset == AutoReset) {
		err = fmt.Errorf("it resets itself: %t: %w", e.auto, shm.ErrKind)
	}
	return named(m, e, &e.primitive, err)
}

// InitEvent makes an event, not set, at offset of the members' segment; memory
// that is not zero is fs.ErrExist.
func InitEvent(m *Members, offset int, reset EventReset) (*Event, error) {
	object := m.at("event", offset)
	p, err := place[layout.Event](m, offset)
	if err == nil {
		err = m.initialize(&p.Preamble, layout.EventMagic, uint32(reset), nil)
	}
	if err != nil {
		return nil, fail("init", object, err)
	}
	return JoinEvent(m, offset)
}

// JoinEvent returns the event that somebody has made at offset of the members'
// segment; if nobody has, the error is fs.ErrNotExist.
func JoinEvent(m *Members, offset int) (*Event, error) {
	e, err := joinEvent(m, offset, m.at("event", offset))
	if err != nil {
		return nil, fail("join", e.object, err)
	}
	return e, nil
}

func joinEvent(m *Members, offset int, object string) (*Event, error) {
	e := &Event{primitive: primitive{members: m, object: object}}
	p, err := place[layout.Event](m, offset)
	if err != nil {
		return e, err
	}
	auto, err := identify(&p.Preamble, layout.EventMagic)
	if err != nil {
		return e, err
	}
	if auto > 1 {
		return e, fmt.Errorf("at offset 4: kind %d of event: %w", auto, shm.ErrCorrupt)
	}
	e.state.Store(&p.State)
	e.auto = auto == 1
	attach(m, e)
	return e, nil
}

func (e *Event) detach() { e.state.Store(&zero32) }

// The word: sequence<<2 | eventSet | eventSleeps.
const (
	eventSleeps = 1
	eventSet    = 2
	eventNext   = 4
)

// Set sets the event and lets whoever waits pass: all waiters, even if it is reset
// at once, or one. Cost with nobody waiting: one compare-and-swap.
func (e *Event) Set() {
	if e.members.leaving.Load() {
		return
	}
	for {
		word := e.state.Load().Load()
		if word&eventSet != 0 {
			return
		}
		// With the flag goes a new sequence: who is about to sleep looks again.
		if !e.state.Load().CompareAndSwap(word, (word+eventNext)|eventSet&^eventSleeps) {
			continue
		}
		switch {
		case word&eventSleeps == 0:
		case e.auto:
			park.Wake(e.state.Load(), 1)
		default:
			park.WakeAll(e.state.Load())
		}
		return
	}
}

// Reset takes the event back. Waiters go on waiting.
func (e *Event) Reset() {
	for {
		word := e.state.Load().Load()
		if word&eventSet == 0 || e.state.Load().CompareAndSwap(word, word&^eventSet) {
			return
		}
	}
}

// IsSet reports whether the event is set, and passes nothing.
func (e *Event) IsSet() bool { return e.state.Load().Load()&eventSet != 0 }

// TryWait passes if the event is set, and reports whether it has.
func (e *Event) TryWait() bool { return e.pass(0) }

// Wait passes as soon as the event is set. Cost if it is: one load; if it resets
// itself, one compare-and-swap.
func (e *Event) Wait() error { return e.WaitContext(context.Background()) }

// WaitContext is Wait that gives up, with the context's error, when the context
// is done.
func (e *Event) WaitContext(ctx context.Context) error {
	first := e.state.Load().Load()
	if e.pass(0) {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fail("wait", e.object, err)
	}
	return fail("wait", e.object, e.waitSlow(ctx, first/eventNext))
}

// pass passes if the event is set. An event that resets itself gets the flag, if
// told so.
func (e *Event) pass(flag uint32) bool {
	for {
		word := e.state.Load().Load()
		if word&eventSet == 0 {
			return false
		}
		if !e.auto || e.state.Load().CompareAndSwap(word, word&^eventSet|flag) {
			return true
		}
	}
}

// waitSlow waits. The sequence is that from before the caller's first look: if an
// event that does not reset itself has another one it has been set meanwhile.
func (e *Event) waitSlow(ctx context.Context, sequence uint32) error {
	if err := e.members.begin(); err != nil {
		return err
	}
	defer e.members.end()
	for e.spin.Spin(e.IsSet) {
		if e.pass(0) {
			return nil
		}
	}
	p := (*eventPlace)(e)
	e.members.table.Block(p)
	defer e.members.table.Unblock(p)
	due := eventDue
	if !e.auto {
		due = nil // every Set wakes all
	}
	// Whoever has slept passes with the flag: others may sleep still, and the Set
	// that woke us has cleared it.
	for slept := uint32(0); ; slept = eventSleeps {
		if e.pass(slept) {
			return nil
		}
		if e.members.leaving.Load() {
			return shm.ErrClosed
		}
		word := e.state.Load().Load()
		if !e.auto && word/eventNext != sequence {
			return nil
		}
		if word&eventSet != 0 || word&eventSleeps == 0 && !e.state.Load().CompareAndSwap(word, word|eventSleeps) {
			continue
		}
		lost, err := park.WaitDue(ctx, e.state.Load(), word|eventSleeps, due)
		e.members.slept(lost)
		if err != nil {
			park.Wake(e.state.Load(), 1) // a Set that was meant for us may have come in the same moment
			return err
		}
	}
}

// eventDue: see park.WaitDue. One who is woken passes, and sets the flag again for
// the others.
func eventDue(word uint32) bool { return word&eventSet != 0 || word&eventSleeps == 0 }

// eventPlace is the event as a member.Place.
type eventPlace Event

func (p *eventPlace) Recheck() { park.WakeAll(p.state.Load()) }
