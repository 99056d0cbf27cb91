package ring

import (
	"bytes"
	"fmt"
	"sync"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/internal/port"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/shm"
)

// Observer looks at a ring from outside, whatever the type of its records. It maps
// the object for reading alone, is no member of it, and disturbs nobody. Its methods
// may be called by any goroutine.
type Observer struct {
	body body

	mu     sync.Mutex
	closed bool
}

// Observe looks at the ring of that name. It needs the permission to read.
func Observe(name string) (*Observer, error) {
	obj, err := object.Open(name, object.Spec{Kind: layout.KindRing, Shm: shm.Options{ReadOnly: true}})
	if err != nil {
		return nil, err
	}
	o := &Observer{body: body{object: obj}}
	if err := o.body.find(); err != nil {
		obj.Segment.Close()
		return nil, port.Fail("observe", obj.Name, err)
	}
	return o, nil
}

// use calls f unless the observer has been closed.
func (o *Observer) use(op string, f func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return port.Fail(op, o.body.object.Name, shm.ErrClosed)
	}
	return f()
}

// Stats is [Ring.Stats].
func (o *Observer) Stats() (s Stats) {
	o.use("", func() error { s = o.body.stats(); return nil })
	return s
}

// Check is [Ring.Check].
func (o *Observer) Check() error { return o.use("check", o.body.check) }

// MaxRecord is [Ring.MaxRecord].
func (o *Observer) MaxRecord() int { return o.body.MaxRecord() }

// Schema returns the type of the records, as the object describes it itself.
func (o *Observer) Schema() (*schema.Schema, error) { return o.body.Schema() }

// Unread returns copies of the oldest records that have not been released, at most
// max of them: what the reader has in hand, or gets next. If it reads on meanwhile
// the first of them may have been released.
func (o *Observer) Unread(max int) (records [][]byte, err error) {
	err = o.use("read", func() error {
		return port.Fail("read", o.body.object.Name, o.body.steady(func(pos uint64) error {
			records = records[:0]
			return o.body.unread(pos, max, &records)
		}))
	})
	return records, err
}

func (r *body) unread(pos uint64, max int, records *[][]byte) error {
	if pos%8 != 0 {
		return fmt.Errorf("its reader is at %d, which is not a multiple of 8: %w", pos, shm.ErrCorrupt)
	}
	f := lane.NewFollower(r.lane, lane.Mark{Position: pos})
	for len(*records) < max {
		p, missed, ok, err := f.Peek()
		if err != nil {
			return err
		}
		if missed > 0 { // for steady: or the reader has moved on
			return fmt.Errorf("its reader is at %d, and its writer has claimed up to %d of %d bytes: %w",
				pos, r.lane.Control.Claim.Load(), r.lane.Data.Size(), shm.ErrCorrupt)
		}
		if !ok || f.At().Position-pos > r.lane.Data.Size() {
			break
		}
		*records = append(*records, bytes.Clone(p))
		f.Skip()
	}
	return nil
}

// Close ends the observation. Closing again does nothing.
func (o *Observer) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return nil
	}
	o.closed = true
	return o.body.object.Segment.Close()
}
