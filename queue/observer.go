package queue

import (
	"bytes"
	"slices"
	"sync"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

// Observer looks at a queue without taking part: it is no member, writes nothing, and
// needs permission to read alone. Its methods may be called by any goroutine.
type Observer struct {
	mu   sync.Mutex
	body *body // nil when closed
	name string
}

// Observe opens a queue, with messages of whatever type, for looking at it. If there is
// none the error is fs.ErrNotExist.
func Observe(name string) (*Observer, error) {
	obj, err := object.Open(name, object.Spec{Kind: layout.KindQueue, Shm: shm.Options{ReadOnly: true}})
	if err != nil {
		return nil, err
	}
	b, err := find(obj, obj.Segment.Bytes())
	if err != nil {
		obj.Segment.Close()
		return nil, port.Fail("observe", name, err)
	}
	return &Observer{body: b, name: name}, nil
}

// Name returns the name that the queue was opened by.
func (o *Observer) Name() string { return o.name }

// Schema returns the type of the messages, as the queue describes it itself.
func (o *Observer) Schema() (*schema.Schema, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.body == nil {
		return nil, port.Fail("observe", o.name, shm.ErrClosed)
	}
	s, err := o.body.object.Schema()
	return s, port.Fail("observe", o.name, err)
}

// Stats returns the state and counters, as [Queue.Stats] does.
func (o *Observer) Stats() (Stats, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.body == nil {
		return Stats{}, port.Fail("observe", o.name, shm.ErrClosed)
	}
	report, err := member.Read(o.body.object.Segment, o.body.object.Members())
	if err != nil {
		report = nil
	}
	return o.body.stats(report), port.Fail("observe", o.name, err)
}

// Check looks for what no sequence of operations and deaths leads to, as [Queue.Check]
// does.
func (o *Observer) Check() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.body == nil {
		return port.Fail("check", o.name, shm.ErrClosed)
	}
	return port.Fail("check", o.name, o.body.check(func(owner layout.Owner) (current, valid bool) {
		if slot := owner.Slot(); slot < 0 || slot >= len(o.body.rows) {
			return false, false
		}
		report, err := member.Read(o.body.object.Segment, o.body.object.Members())
		return err != nil || report.Find(owner) != nil, true
	}))
}

// Peek calls see with the messages that are ready, in order of sending, without taking
// them: each is a copy, valid during the call, and may have been received meanwhile. It
// ends when see returns false. deliveries is how often the message has been delivered.
func (o *Observer) Peek(see func(message []byte, position uint64, deliveries int) bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.body == nil {
		return port.Fail("observe", o.name, shm.ErrClosed)
	}
	return port.Fail("observe", o.name, o.body.peek(see))
}

// Close ends the looking. Closing again does nothing.
func (o *Observer) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.body == nil {
		return nil
	}
	err := o.body.object.Segment.Close()
	o.body = nil
	return err
}

// peek is [Observer.Peek].
func (b *body) peek(see func(message []byte, position uint64, deliveries int) bool) error {
	var all []uint64 // states
	for i := range b.slots.Len() {
		s := b.slots.At(i)
		if w := s.State.Load(); kind(w) == layout.QueueReady {
			all = append(all, w)
		}
	}
	slices.Sort(all) // by position: they differ
	for _, w := range all {
		pos := position(w)
		s := b.slot(pos)
		meta := s.Meta.Load()
		n, err := b.lengthIn(pos, meta)
		var message []byte
		if err == nil {
			message = bytes.Clone(b.message(pos, n))
		}
		mem.LoadFence() // pairs with the compare-and-swap in grab: what was read before is that message's
		if s.State.Load() != w || s.Meta.Load() != meta {
			continue // it has been received
		}
		if err != nil {
			return err
		}
		if !see(message, pos, int(meta>>32)) {
			break
		}
	}
	return nil
}
