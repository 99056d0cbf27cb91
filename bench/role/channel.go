//go:build linux && (amd64 || arm64)

package role

func init() { participants["go-channel"] = participant{other: channelMeasures()} }

// Two goroutines of one process exchange records over channels, for scale: nothing
// crosses a process. It plays both sides at once.
func channelMeasures() map[string]func(*Job) (func(*Outcome) error, error) {
	both := func(near, far func(*Job, *ends, *Outcome) error) func(*Job) (func(*Outcome) error, error) {
		return func(j *Job) (func(*Outcome) error, error) {
			there, back := make(chan Line, j.Area/j.Size), make(chan Line, j.Area/j.Size)
			return func(o *Outcome) error {
				other := make(chan error)
				var f Outcome
				go func() {
					e := &ends{sender: &chanSender{out: back}, receiver: &chanReceiver{in: there}}
					other <- far(j, e, &f)
				}()
				e := &ends{sender: &chanSender{out: there}, receiver: &chanReceiver{in: back}}
				if err := near(j, e, o); err != nil {
					return err
				}
				if err := <-other; err != nil {
					return err
				}
				if j.Measure == Stream {
					o.Figures = f.Figures // both count the processor time of the process
				}
				return nil
			}, nil
		}
	}
	return map[string]func(*Job) (func(*Outcome) error, error){
		"ping/near":   both((*Job).ping, (*Job).pong),
		"stream/near": both((*Job).pour, (*Job).drain),
	}
}

type chanSender struct {
	out   chan<- Line
	tally Tally
}

func (s *chanSender) sent() Tally { return s.tally }

func (s *chanSender) send(number, tells uint64) error {
	var v Line
	s.tally.count(v.fill(number, tells))
	s.out <- v
	return nil
}

func (s *chanSender) flow(first uint64, n int) error {
	for i := range uint64(n) {
		if err := s.send(first+i, Ordinary); err != nil {
			return err
		}
	}
	return nil
}

type chanReceiver struct {
	in    <-chan Line
	tally Tally
}

func (r *chanReceiver) received() Tally { return r.tally }

func (r *chanReceiver) receive() (number, tells uint64, err error) {
	v := <-r.in
	r.tally.count(v.sum())
	return v[0], v[1], nil
}

func (r *chanReceiver) drain(every int, f func(uint64) bool) error {
	left := every
	for v := range r.in {
		r.tally.count(v.sum())
		if left--; left <= 0 || v[1] != Ordinary {
			left = every
			if f(v[1]) {
				return nil
			}
		}
	}
	return nil
}
