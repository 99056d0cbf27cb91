//go:build linux && (amd64 || arm64)

package bench

import (
	"context"

	"github.com/seed-247006a4/shoal/ring"
)

// openRing opens the rings of a job: records of one line have a type, others are
// bytes.
func openRing(j *job) (sender, receiver, error) {
	to, from := j.There, j.Back
	if j.Side == far {
		to, from = from, to
	}
	if j.Size == len(record{})*8 {
		return openRings(to, from, j, newLineSender, newLineReceiver)
	}
	return openRings(to, from, j, newBytesSender, newBytesReceiver)
}

// openRings opens the writer of one ring and the reader of another; the names may
// be empty. The process ends with its ports open: it has nothing else to do.
func openRings[T any](
	to, from string, j *job, s func(*ring.Writer[T], *job) sender, r func(*ring.Reader[T], *job) receiver,
) (snd sender, rcv receiver, err error) {
	o := &ring.Options{Size: j.Area}
	if to != "" {
		out, err := ring.OpenOrCreate[T](to, o)
		if err != nil {
			return nil, nil, err
		}
		w, err := out.Writer()
		if err != nil {
			return nil, nil, err
		}
		snd = s(w, j)
	}
	if from != "" {
		in, err := ring.OpenOrCreate[T](from, o)
		if err != nil {
			return nil, nil, err
		}
		rd, err := in.Reader()
		if err != nil {
			return nil, nil, err
		}
		rcv = r(rd, j)
	}
	return snd, rcv, nil
}

// always is the context of all that is sent and received: who is to stop is killed.
var always = context.Background()

// lineSender sends records of one line.
type lineSender struct {
	w     *ring.Writer[record]
	batch []record
	tally
}

func newLineSender(w *ring.Writer[record], j *job) sender {
	return &lineSender{w: w, batch: make([]record, max(j.Batch, 1))}
}

func (s *lineSender) sent() tally { return s.tally }

func (s *lineSender) send(number, tells uint64) error {
	var v record
	s.count(v.fill(number, tells))
	return s.w.Send(always, v)
}

func (s *lineSender) flow(first uint64, n int) error {
	if len(s.batch) == 1 {
		for i := range uint64(n) {
			if err := s.send(first+i, ordinary); err != nil {
				return err
			}
		}
		return nil
	}
	for ; n > 0; n -= len(s.batch) {
		for i := range s.batch {
			s.count(s.batch[i].fill(first, ordinary))
			first++
		}
		if _, err := s.w.SendBatch(always, s.batch); err != nil {
			return err
		}
	}
	return nil
}

// lineReceiver receives records of one line.
type lineReceiver struct {
	r      *ring.Reader[record]
	batch  []record
	polled bool
	tally
}

func newLineReceiver(r *ring.Reader[record], j *job) receiver {
	return &lineReceiver{r: r, batch: make([]record, max(j.Batch, 1)), polled: j.Polled}
}

func (r *lineReceiver) received() tally { return r.tally }

func (r *lineReceiver) receive() (number, tells uint64, err error) {
	var v *record
	if r.polled {
		for v == nil && err == nil {
			v, err = r.r.TryPeek()
		}
	} else {
		v, err = r.r.Peek(always)
	}
	if err != nil {
		return 0, 0, err
	}
	number, tells = v[0], v[1]
	r.count(v.sum())
	return number, tells, r.r.Release()
}

func (r *lineReceiver) drain(f func(uint64) bool) error {
	if len(r.batch) == 1 {
		for v, err := range r.r.All(always) {
			if err != nil {
				return err
			}
			r.count(v.sum())
			if v[1] != ordinary && f(v[1]) {
				return nil
			}
		}
		return nil
	}
	for {
		n, err := r.r.ReceiveBatch(always, r.batch)
		if err != nil {
			return err
		}
		for i := range r.batch[:n] {
			r.count(r.batch[i].sum())
			if tells := r.batch[i][1]; tells != ordinary && f(tells) {
				return nil
			}
		}
	}
}

// bytesSender sends records of any length, which it copies into the ring.
type bytesSender struct {
	w       *ring.Writer[[]byte]
	payload []byte
	rest    uint64 // what the receiver finds in it beside its head
	tally
}

func newBytesSender(w *ring.Writer[[]byte], j *job) sender {
	p := pattern(j.Size)
	return &bytesSender{w: w, payload: p, rest: j.reading()(p)}
}

// reading is how records that are longer than a line are read: all of what lies in
// the ring, or what has been copied out of it.
func (j *job) reading() func([]byte) uint64 {
	if j.Measure != copied {
		return sumWords
	}
	mine := pattern(j.Size)
	return func(p []byte) uint64 { return sumPages(mine[:copy(mine, p)]) }
}

func (s *bytesSender) sent() tally { return s.tally }

func (s *bytesSender) send(number, tells uint64) error {
	mark(s.payload, number, tells)
	s.count(s.rest + number + tells)
	return s.w.Send(always, s.payload)
}

func (s *bytesSender) flow(first uint64, n int) error {
	for i := range uint64(n) {
		if err := s.send(first+i, ordinary); err != nil {
			return err
		}
	}
	return nil
}

// bytesReceiver receives records of any length.
type bytesReceiver struct {
	r    *ring.Reader[[]byte]
	read func([]byte) uint64
	tally
}

func newBytesReceiver(r *ring.Reader[[]byte], j *job) receiver {
	return &bytesReceiver{r: r, read: j.reading()}
}

func (r *bytesReceiver) received() tally { return r.tally }

func (r *bytesReceiver) receive() (number, tells uint64, err error) {
	p, err := r.r.Peek(always)
	if err != nil {
		return 0, 0, err
	}
	if number, tells, err = heads(*p); err != nil {
		return 0, 0, err
	}
	r.count(r.read(*p))
	return number, tells, r.r.Release()
}

func (r *bytesReceiver) drain(f func(uint64) bool) error {
	for p, err := range r.r.All(always) {
		if err != nil {
			return err
		}
		_, tells, err := heads(*p)
		if err != nil {
			return err
		}
		r.count(r.read(*p))
		if tells != ordinary && f(tells) {
			return nil
		}
	}
	return nil
}
