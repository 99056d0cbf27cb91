//go:build linux && (amd64 || arm64)

package role

import (
	"context"
	"os"

	"github.com/seed-247006a4/shoal/ring"
)

func init() {
	participants["shoal-ring"] = participant{open: openRing, other: map[string]func(*Job) (func(*Outcome) error, error){
		"attach/near": func(j *Job) (func(*Outcome) error, error) {
			return j.attach(func() error {
				r, err := ring.Open[Line](j.There, nil)
				if err != nil {
					return err
				}
				if _, err := r.Reader(); err != nil {
					return err
				}
				return r.Close()
			})
		},
		"attach/far": func(j *Job) (func(*Outcome) error, error) {
			_, err := ring.OpenOrCreate[Line](j.There, &ring.Options{Size: j.Area})
			return serve, err
		},
	}}
}

// always is the context of all that is sent and received: who is to stop is killed.
var always = context.Background()

// openRing opens the rings of a job: records of one line have a type, others are bytes.
func openRing(j *Job) (*ends, error) {
	to, from := j.There, j.Back
	if j.Side == Far {
		to, from = from, to
	}
	if j.Size == len(Line{})*8 && !j.Untouched {
		return openRings(to, from, j, newLineWriter, newLineReader)
	}
	return openRings(to, from, j, newRingSender, newRingReceiver)
}

// openRings opens the writer of one ring and the reader of another; the names may be
// empty. The process ends with its ports open: it has nothing else to do.
func openRings[T any](
	to, from string, j *Job, s func(*ring.Writer[T], *Job) sender, r func(*ring.Reader[T], *Job) receiver,
) (*ends, error) {
	o := &ring.Options{Size: j.Area}
	e := &ends{}
	if to != "" {
		out, err := ring.OpenOrCreate[T](to, o)
		if err != nil {
			return nil, err
		}
		w, err := out.Writer()
		if err != nil {
			return nil, err
		}
		e.sender = s(w, j)
	}
	if from != "" {
		in, err := ring.OpenOrCreate[T](from, o)
		if err != nil {
			return nil, err
		}
		rd, err := in.Reader()
		if err != nil {
			return nil, err
		}
		e.receiver = r(rd, j)
	}
	return e, nil
}

// lineWriter sends records of one line.
type lineWriter struct {
	w     *ring.Writer[Line]
	batch []Line
	tally Tally
}

func newLineWriter(w *ring.Writer[Line], j *Job) sender {
	return &lineWriter{w: w, batch: make([]Line, max(j.Batch, 1))}
}

func (s *lineWriter) sent() Tally { return s.tally }

func (t *Tally) count(sum uint64) {
	t.Records++
	t.Sum += sum
}

// send sends one record, by reference: see ring.Writer.SendBatch.
func (s *lineWriter) send(number, tells uint64) error {
	s.tally.count(s.batch[0].fill(number, tells))
	_, err := s.w.SendBatch(always, s.batch[:1])
	return err
}

func (s *lineWriter) flow(first uint64, n int) error {
	if len(s.batch) == 1 {
		for i := range uint64(n) {
			if err := s.send(first+i, Ordinary); err != nil {
				return err
			}
		}
		return nil
	}
	for ; n > 0; n -= len(s.batch) {
		for i := range s.batch {
			s.tally.count(s.batch[i].fill(first, Ordinary))
			first++
		}
		if _, err := s.w.SendBatch(always, s.batch); err != nil {
			return err
		}
	}
	return nil
}

// lineReader receives records of one line.
type lineReader struct {
	r     *ring.Reader[Line]
	batch []Line
	spin  bool
	tally Tally
}

func newLineReader(r *ring.Reader[Line], j *Job) receiver {
	return &lineReader{r: r, batch: make([]Line, max(j.Batch, 1)), spin: j.Wait == Spin}
}

func (r *lineReader) received() Tally { return r.tally }

func (r *lineReader) receive() (number, tells uint64, err error) {
	var v *Line
	if r.spin {
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
	r.tally.count(v.sum())
	return number, tells, r.r.Release()
}

func (r *lineReader) drain(every int, f func(uint64) bool) error {
	left := every
	if len(r.batch) == 1 {
		for v, err := range r.r.All(always) {
			if err != nil {
				return err
			}
			r.tally.count(v.sum())
			if left--; left <= 0 || v[1] != Ordinary {
				left = every
				if f(v[1]) {
					return nil
				}
			}
		}
		return os.ErrClosed
	}
	for {
		n, err := r.r.ReceiveBatch(always, r.batch)
		if err != nil {
			return err
		}
		for i := range r.batch[:n] {
			v := &r.batch[i]
			r.tally.count(v.sum())
			if left--; left <= 0 || v[1] != Ordinary {
				left = every
				if f(v[1]) {
					return nil
				}
			}
		}
	}
}

func newRingSender(w *ring.Writer[[]byte], j *Job) sender {
	write := func(p []byte) error { return w.Send(always, p) }
	if j.Untouched {
		write = func(p []byte) error {
			l, err := w.LoanBytes(always, len(p))
			if err != nil {
				return err
			}
			copy(*l.Value, p[:head])
			return l.Commit()
		}
	}
	batch := make([][]byte, j.Batch)
	many := func(b []byte) error {
		for i := range batch {
			batch[i] = b[i*j.Size : (i+1)*j.Size]
		}
		_, err := w.SendBatch(always, batch)
		return err
	}
	return newBytesSender(j, newPayload(j, false), write, many)
}

func newRingReceiver(r *ring.Reader[[]byte], j *Job) receiver {
	next := func() ([]byte, error) {
		v, err := r.Peek(always)
		if err != nil {
			return nil, err
		}
		return *v, nil
	}
	if j.Wait == Spin {
		next = func() ([]byte, error) {
			for {
				if v, err := r.TryPeek(); err != nil {
					return nil, err
				} else if v != nil {
					return *v, nil
				}
			}
		}
	}
	return &bytesReceiver{newPayload(j, false), next, r.Release}
}
