package topic

import (
	"time"

	"github.com/seed-247006a4/shoal/internal/lane"
	"github.com/seed-247006a4/shoal/internal/layout"
)

// source is a subscription's end of one lane: in place, if publishers wait for it
// whatever happens, else copying.
type source struct {
	in      *lane.Reader   // or nil
	out     *lane.Follower // or nil
	cursor  *layout.Cursor
	latency *layout.Latency
	number  uint64 // of the next record
	length  int    // of the record that was peeked at
	unsaid  bool   // something was read that has not been released

	sampled         uint64 // behind the last record, in out, whose stamp was looked at
	messages, bytes uint64 // as counted in the cursor, for out
	missed          uint64 // that have not been told yet
}

func (s *source) ready() bool {
	if s.in != nil {
		return s.in.Ready()
	}
	return s.out.Ready() || s.missed != 0
}

// position is where the next record stands.
func (s *source) position() uint64 {
	if s.in != nil {
		return s.in.Position()
	}
	return s.out.At().Position
}

// peek returns the next record; see lane.Reader.Peek and lane.Follower.Peek.
func (s *source) peek() (p []byte, ok bool, err error) {
	if s.in != nil {
		p, ok, err = s.in.Peek()
		s.length = len(p)
		return p, ok, err
	}
	return s.peekOut()
}

func (s *source) peekOut() (p []byte, ok bool, err error) {
	p, missed, ok, err := s.out.Peek()
	if missed != 0 {
		s.cursor.Missed.Release(s.cursor.Missed.Load() + missed)
		s.cursor.Lapped.Release(s.cursor.Lapped.Load() + 1)
		s.number = s.out.At().Number
		s.missed += missed
	}
	if ok {
		s.length = len(p)
		if stamp := s.out.Stamp(); stamp != 0 && s.sampled <= s.number {
			s.sampled = s.number + 1
			lane.Sample(s.latency, stamp)
		}
	}
	return p, ok, err
}

// skip goes on behind the record that was peeked at.
func (s *source) skip() {
	if s.in != nil {
		s.in.Skip()
	} else {
		s.out.Skip()
		s.messages++
		s.bytes += uint64(s.length)
	}
	s.number++
	s.unsaid = true
}

// takeRun copies records of n bytes each to p, and skips them; see lane.Reader.TakeRun.
func (s *source) takeRun(p []byte, n int) (records int) {
	if s.in == nil {
		return 0
	}
	if records = s.in.TakeRun(p, n); records > 0 {
		s.length = n
		s.number += uint64(records)
		s.unsaid = true
	}
	return records
}

// written is how many records have been written to the lane so far.
func (s *source) written() uint64 {
	if s.in != nil {
		return s.in.Control.Messages.Load()
	}
	return s.out.Control.Messages.Load()
}

// owing reports whether so much was read that it should be released.
func (s *source) owing() bool {
	if s.in != nil {
		return s.in.Owing()
	}
	return s.out.At().Position-s.cursor.Position.Load() >= s.out.Data.Size()/8
}

// release says in the cursor how far it is.
func (s *source) release() {
	s.unsaid = false
	if s.in != nil {
		s.in.ReleaseSkipped()
		return
	}
	// After the copy: pairs with the load in scan. Nobody sleeps for it: publishers
	// either do not wait for this subscription at all, or drop it.
	s.cursor.Position.Release(s.out.At().Position)
	s.cursor.Messages.Release(s.messages)
	s.cursor.Bytes.Release(s.bytes)
}

// rest tells a publisher who sleeps how far it is; see lane.Reader.Rest.
func (s *source) rest(sleeps bool) {
	if s.in != nil {
		s.in.Rest(sleeps)
	} else if sleeps && s.messages != 0 {
		s.cursor.Active.Release(uint64(time.Now().UnixNano()))
	}
}
