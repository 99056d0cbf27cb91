//go:build linux && (amd64 || arm64)

package role

import (
	"errors"
	"math/bits"

	"github.com/seed-247006a4/shoal/queue"
)

func init() {
	participants["shoal-queue"] = participant{open: openQueue, other: map[string]func(*Job) (func(*Outcome) error, error){
		// The far side has received a message and dies; the near one gets it again.
		"death/near": func(j *Job) (func(*Outcome) error, error) {
			q, err := queue.OpenOrCreate[Line](j.There, nil)
			if err != nil {
				return nil, err
			}
			return deathOf(func() error {
				m, err := q.Receive(always)
				if err == nil && m.Deliveries != 2 {
					err = errors.New("nobody has had it before")
				}
				return err
			})
		},
		"death/far": func(j *Job) (func(*Outcome) error, error) {
			q, err := queue.OpenOrCreate[Line](j.There, nil)
			if err != nil {
				return nil, err
			}
			if err := q.Send(always, Line{}); err != nil {
				return nil, err
			}
			_, err = q.Receive(always)
			return sleepForEver, err
		},
	}}
}

func openQueue(j *Job) (*ends, error) {
	to, from := j.There, j.Back
	if j.Side == Far {
		to, from = from, to
	}
	if j.Size == len(Line{})*8 {
		return openQueues(to, from, j, newLineProducer, newLineConsumer)
	}
	return openQueues(to, from, j,
		func(q *queue.Queue[[]byte], j *Job) sender {
			return newBytesSender(j, newPayload(j, false), func(p []byte) error { return q.Send(always, p) }, nil)
		},
		func(q *queue.Queue[[]byte], j *Job) receiver {
			take := newTake(q, j)
			var m queue.Message[[]byte]
			next := func() (p []byte, err error) {
				if m, err = take(); err != nil {
					return nil, err
				}
				return *m.Value, nil
			}
			return &bytesReceiver{newPayload(j, false), next, func() error { return m.Ack() }}
		})
}

func openQueues[T any](
	to, from string, j *Job, s func(*queue.Queue[T], *Job) sender, r func(*queue.Queue[T], *Job) receiver,
) (*ends, error) {
	o := &queue.Options{Slots: 1 << min(max(bits.Len(uint(j.Area/(j.Size+32)))-1, 2), 14), MaxMessage: j.Size}
	e := &ends{}
	if to != "" {
		q, err := queue.OpenOrCreate[T](to, o)
		if err != nil {
			return nil, err
		}
		e.sender = s(q, j)
	}
	if from != "" {
		q, err := queue.OpenOrCreate[T](from, o)
		if err != nil {
			return nil, err
		}
		e.receiver = r(q, j)
	}
	return e, nil
}

// newTake returns what receives a message: by looking again and again, if the job says
// so.
func newTake[T any](q *queue.Queue[T], j *Job) func() (queue.Message[T], error) {
	if j.Wait != Spin {
		return func() (queue.Message[T], error) { return q.Receive(always) }
	}
	return func() (queue.Message[T], error) {
		for {
			if m, ok, err := q.TryReceive(); ok || err != nil {
				return m, err
			}
		}
	}
}

// lineProducer sends messages of one line.
type lineProducer struct {
	q     *queue.Queue[Line]
	batch []Line
	tally Tally
}

func newLineProducer(q *queue.Queue[Line], j *Job) sender {
	return &lineProducer{q: q, batch: make([]Line, max(j.Batch, 1))}
}

func (s *lineProducer) sent() Tally { return s.tally }

func (s *lineProducer) send(number, tells uint64) error {
	var v Line
	s.tally.count(v.fill(number, tells))
	return s.q.Send(always, v)
}

func (s *lineProducer) flow(first uint64, n int) error {
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
		if _, err := s.q.SendBatch(always, s.batch); err != nil {
			return err
		}
	}
	return nil
}

// lineConsumer receives and acknowledges messages of one line.
type lineConsumer struct {
	q     *queue.Queue[Line]
	take  func() (queue.Message[Line], error)
	batch []queue.Message[Line]
	tally Tally
}

func newLineConsumer(q *queue.Queue[Line], j *Job) receiver {
	return &lineConsumer{q: q, take: newTake(q, j), batch: make([]queue.Message[Line], max(j.Batch, 1))}
}

func (r *lineConsumer) received() Tally { return r.tally }

func (r *lineConsumer) receive() (number, tells uint64, err error) {
	m, err := r.take()
	if err != nil {
		return 0, 0, err
	}
	number, tells = m.Value[0], m.Value[1]
	r.tally.count(m.Value.sum())
	return number, tells, m.Ack()
}

func (r *lineConsumer) drain(every int, f func(uint64) bool) error {
	left := every
	for {
		n := 1
		if len(r.batch) == 1 {
			m, err := r.q.Receive(always)
			if err != nil {
				return err
			}
			r.batch[0] = m
		} else {
			var err error
			if n, err = r.q.ReceiveBatch(always, r.batch); err != nil {
				return err
			}
		}
		last := false
		kept := 0 // what is behind the last one goes back
		for _, m := range r.batch[:n] {
			r.tally.count(m.Value.sum())
			kept++
			if left--; left <= 0 || m.Value[1] != Ordinary {
				left = every
				if last = f(m.Value[1]); last {
					break
				}
			}
		}
		if n == 1 {
			if err := r.batch[0].Ack(); err != nil {
				return err
			}
		} else if _, err := r.q.AckBatch(r.batch[:kept]); err != nil {
			return err
		}
		if last {
			for _, m := range r.batch[kept:n] {
				if err := m.Nack(); err != nil {
					return err
				}
			}
			return nil
		}
	}
}
