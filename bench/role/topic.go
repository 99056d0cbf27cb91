//go:build linux && (amd64 || arm64)

package role

import (
	"errors"
	"time"

	"github.com/seed-247006a4/shoal/topic"
)

func init() {
	participants["shoal-topic"] = participant{open: openTopic, other: map[string]func(*Job) (func(*Outcome) error, error){
		"publish/near": publishToIdle,
		"publish/far":  beIdle,
		"latest/near":  writeLatest,
		"latest/far":   readLatest,
		"attach/near": func(j *Job) (func(*Outcome) error, error) {
			return j.attach(func() error {
				t, err := topic.Open[Line](j.There, nil)
				if err != nil {
					return err
				}
				if _, err := t.Subscribe(nil); err != nil {
					return err
				}
				return t.Close()
			})
		},
		"attach/far": func(j *Job) (func(*Outcome) error, error) {
			_, err := topic.OpenOrCreate[Line](j.There, nil)
			return serve, err
		},
	}}
}

func openTopic(j *Job) (*ends, error) {
	to, from := j.There, j.Back
	if j.Side == Far {
		to, from = from, to
	}
	if j.Size == len(Line{})*8 && !j.Untouched {
		return openTopics(to, from, j, newLinePublisher, newLineSubscriber)
	}
	return openTopics(to, from, j, newTopicSender, newTopicReceiver)
}

// openTopics opens the publisher of one topic and subscribes to another; the names may
// be empty.
func openTopics[T any](
	to, from string, j *Job, s func(*topic.Publisher[T], *Job) sender, r func([]*topic.Subscription[T], *Job) receiver,
) (*ends, error) {
	o := &topic.Options{LaneSize: j.Area, Publishers: max(j.Ends/max(j.Count, 1), 1), Subscribers: 1024}
	e := &ends{}
	if to != "" {
		out, err := topic.OpenOrCreate[T](to, o)
		if err != nil {
			return nil, err
		}
		p, err := out.Publisher()
		if err != nil {
			return nil, err
		}
		e.sender = s(p, j)
	}
	if from != "" {
		in, err := topic.OpenOrCreate[T](from, o)
		if err != nil {
			return nil, err
		}
		var subs []*topic.Subscription[T]
		for range max(j.Count, 1) {
			sub, err := in.Subscribe(nil)
			if err != nil {
				return nil, err
			}
			subs = append(subs, sub)
		}
		e.receiver = r(subs, j)
	}
	return e, nil
}

// linePublisher sends records of one line.
type linePublisher struct {
	p     *topic.Publisher[Line]
	batch []Line
	tally Tally
}

func newLinePublisher(p *topic.Publisher[Line], j *Job) sender {
	return &linePublisher{p: p, batch: make([]Line, max(j.Batch, 1))}
}

func (s *linePublisher) sent() Tally { return s.tally }

// send sends one record, by reference: see topic.Publisher.SendBatch.
func (s *linePublisher) send(number, tells uint64) error {
	s.tally.count(s.batch[0].fill(number, tells))
	_, err := s.p.SendBatch(always, s.batch[:1])
	return err
}

func (s *linePublisher) flow(first uint64, n int) error {
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
		if _, err := s.p.SendBatch(always, s.batch); err != nil {
			return err
		}
	}
	return nil
}

// lineSubscriber receives records of one line, with one subscription or more.
type lineSubscriber struct {
	s     []*topic.Subscription[Line]
	batch []Line
	spin  bool
	tally Tally
}

func newLineSubscriber(s []*topic.Subscription[Line], j *Job) receiver {
	return &lineSubscriber{s: s, batch: make([]Line, max(j.Batch, 1)), spin: j.Wait == Spin}
}

func (r *lineSubscriber) received() Tally { return r.tally }

func (r *lineSubscriber) receive() (number, tells uint64, err error) {
	var v *Line
	if r.spin {
		for v == nil && err == nil {
			v, err = r.s[0].TryPeek()
		}
	} else {
		v, err = r.s[0].Peek(always)
	}
	if err != nil {
		return 0, 0, err
	}
	number, tells = v[0], v[1]
	r.tally.count(v.sum())
	return number, tells, r.s[0].Release()
}

func (r *lineSubscriber) drain(every int, f func(uint64) bool) error {
	left := every
	see := func(v *Line) (last bool) {
		r.tally.count(v.sum())
		if left--; left <= 0 || v[1] != Ordinary {
			left = every
			return f(v[1])
		}
		return false
	}
	if len(r.s) > 1 {
		return r.drainMany(see)
	}
	if len(r.batch) == 1 {
		for v, err := range r.s[0].Runs(always) {
			if err != nil {
				return err
			}
			if see(v) {
				return nil
			}
		}
		return nil
	}
	for {
		n, err := r.s[0].ReceiveBatch(always, r.batch)
		if err != nil {
			return err
		}
		for i := range r.batch[:n] {
			if see(&r.batch[i]) {
				return nil
			}
		}
	}
}

// drainMany reads all subscriptions in turn, a batch of each.
func (r *lineSubscriber) drainMany(see func(*Line) bool) error {
	for {
		for _, s := range r.s {
			for range 64 {
				v, err := s.TryPeek()
				if err != nil {
					return err
				}
				if v == nil {
					break
				}
				last := see(v)
				if err := s.Release(); err != nil || last {
					return err
				}
			}
		}
	}
}

func newTopicSender(p *topic.Publisher[[]byte], j *Job) sender {
	write := func(b []byte) error { return p.Send(always, b) }
	if j.Untouched {
		write = func(b []byte) error {
			l, err := p.LoanBytes(always, len(b))
			if err != nil {
				return err
			}
			copy(*l.Value, b[:head])
			return l.Commit()
		}
	}
	batch := make([][]byte, j.Batch)
	many := func(b []byte) error {
		for i := range batch {
			batch[i] = b[i*j.Size : (i+1)*j.Size]
		}
		_, err := p.SendBatch(always, batch)
		return err
	}
	return newBytesSender(j, newPayload(j, false), write, many)
}

func newTopicReceiver(subs []*topic.Subscription[[]byte], j *Job) receiver {
	s := subs[0]
	next := func() ([]byte, error) {
		v, err := s.Peek(always)
		if err != nil {
			return nil, err
		}
		return *v, nil
	}
	if j.Wait == Spin {
		next = func() ([]byte, error) {
			for {
				if v, err := s.TryPeek(); err != nil {
					return nil, err
				} else if v != nil {
					return *v, nil
				}
			}
		}
	}
	return &bytesReceiver{newPayload(j, false), next, s.Release}
}

// publishToIdle times bursts of records that subscribers do not look at before the
// burst is over; then they read them all.
func publishToIdle(j *Job) (func(*Outcome) error, error) {
	e, err := openTopic(&Job{Side: Near, There: j.There, Size: j.Size, Area: j.Area, Count: j.Count, Ends: j.Count})
	if err != nil {
		return nil, err
	}
	// It spins meanwhile: a processor that has rested is slow for a while.
	turn, err := openTopic(&Job{Side: Near, There: j.There + "-turn", Back: j.Back, Wait: Spin, Size: j.Size, Area: topic.MinLaneSize})
	if err != nil {
		return nil, err
	}
	return func(o *Outcome) error {
		const burst = 64
		times := newSamples()
		var u usage
		u.start()
		number := uint64(0)
		// In a turn as many as the lane holds, but not so many that all subscribers take long
		// to read them. The first ones find caches as the others have left them.
		most, cold := min(j.Area/(j.Size+16)/2/burst, 24), 8
		warm := clock() + j.warmUp()
		for end := warm + j.Time; clock() < end || len(times.times) == 0; {
			for i := range most {
				begin := clock()
				if err := e.flow(number, burst); err != nil {
					return err
				}
				if d := clock() - begin; begin > warm && i >= cold {
					times.add(d, burst)
				}
				number += burst
			}
			if err := turn.send(number, Ordinary); err != nil {
				return err
			}
			if _, _, err := turn.receive(); err != nil {
				return err
			}
		}
		u.stop(&o.Figures)
		times.percentiles(&o.Figures)
		o.Other = map[string]float64{"mean": times.mean()}
		return turn.send(number, End)
	}, nil
}

// beIdle reads what has come when it is its turn.
func beIdle(j *Job) (func(*Outcome) error, error) {
	t, err := topic.OpenOrCreate[Line](j.There, &topic.Options{LaneSize: j.Area, Publishers: 1, Subscribers: 1024})
	if err != nil {
		return nil, err
	}
	var subs []*topic.Subscription[Line]
	for range j.Count {
		s, err := t.Subscribe(nil)
		if err != nil {
			return nil, err
		}
		subs = append(subs, s)
	}
	turn, err := openTopic(&Job{Side: Far, There: j.There + "-turn", Back: j.Back, Size: j.Size, Area: topic.MinLaneSize})
	if err != nil {
		return nil, err
	}
	return func(o *Outcome) error {
		batch := make([]Line, 1024)
		for {
			number, tells, err := turn.receive()
			if err != nil || tells == End {
				return err
			}
			begin := clock()
			for _, s := range subs {
				for last := uint64(0); last+1 < number; {
					n, err := s.ReceiveBatch(always, batch)
					if err != nil {
						return err
					}
					last = batch[n-1][0]
				}
			}
			if j.Wait == Cold {
				time.Sleep(max(rest-(clock()-begin), 0))
			}
			if err := turn.send(number, Ordinary); err != nil {
				return err
			}
		}
	}, nil
}

// rest is how long it takes at least until a publisher has its turn again, if the job
// is cold. A thousand subscribers take as long to read, and memory that nobody has
// touched for a while is slow, however many they are.
const rest = 25 * time.Millisecond

// pace is the time between two values of which the latest is wanted, and how many of
// these times a reader lets pass.
const (
	pace  = 2 * time.Microsecond
	every = 10
)

// writeLatest sends a value at that pace.
func writeLatest(j *Job) (func(*Outcome) error, error) {
	e, err := openTopic(&Job{Side: Near, There: j.There, Size: j.Size, Area: j.Area})
	if err != nil {
		return nil, err
	}
	return func(o *Outcome) error {
		times := newSamples()
		begin := clock()
		for number := uint64(0); clock() < begin+j.Time+j.warmUp()*2; number++ {
			for clock() < begin+time.Duration(number)*pace {
			}
			t := clock()
			if err := e.send(number, Ordinary); err != nil {
				return err
			}
			times.add(clock()-t, 1)
		}
		times.percentiles(&o.Figures)
		return nil
	}, nil
}

// readLatest reads all that has come, of which the last one is the latest value.
func readLatest(j *Job) (func(*Outcome) error, error) {
	t, err := topic.OpenOrCreate[Line](j.There, &topic.Options{LaneSize: j.Area, Publishers: 1, Subscribers: 1024})
	if err != nil {
		return nil, err
	}
	s, err := t.Subscribe(&topic.SubscribeOptions{Lossy: true})
	if err != nil {
		return nil, err
	}
	return func(o *Outcome) error {
		times := newSamples()
		var u usage
		u.start()
		warm := clock() + j.warmUp()
		for now := clock(); now < warm+j.Time; {
			for next := now + every*pace; now < next; {
				now = clock()
			}
			got := false
			for {
				_, ok, err := s.TryReceive()
				if err != nil && !errors.Is(err, topic.ErrMissed) {
					return err
				}
				if !ok && err == nil {
					break
				}
				got = true
			}
			if d := clock() - now; got && now > warm {
				times.add(d, 1)
			}
		}
		u.stop(&o.Figures)
		times.percentiles(&o.Figures)
		return nil
	}, nil
}
