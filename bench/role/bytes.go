//go:build linux && (amd64 || arm64)

package role

// bytesSender sends records as bytes.
type bytesSender struct {
	*payload
	write func(p []byte) error
	// many, if not nil, sends records that lie behind each other.
	many  func(p []byte) error
	batch []byte
}

func newBytesSender(j *Job, p *payload, write, many func([]byte) error) *bytesSender {
	s := &bytesSender{payload: p, write: write}
	if j.Batch > 1 && many != nil {
		s.many, s.batch = many, make([]byte, j.Size*j.Batch)
	}
	return s
}

func (s *bytesSender) sent() Tally { return s.payload.sent }

func (s *bytesSender) send(number, tells uint64) error {
	return s.write(s.payload.write(number, tells))
}

func (s *bytesSender) flow(first uint64, n int) error {
	if s.many == nil {
		for i := range uint64(n) {
			if err := s.send(first+i, Ordinary); err != nil {
				return err
			}
		}
		return nil
	}
	for end := first + uint64(n); first < end; {
		for at := 0; at < len(s.batch); first++ {
			at += copy(s.batch[at:], s.payload.write(first, Ordinary))
		}
		if err := s.many(s.batch); err != nil {
			return err
		}
	}
	return nil
}

// bytesReceiver receives records as bytes.
type bytesReceiver struct {
	*payload
	// next returns records that lie behind each other, valid until done.
	next func() ([]byte, error)
	done func() error // or nil
}

func (r *bytesReceiver) received() Tally { return r.payload.received }

func (r *bytesReceiver) receive() (number, tells uint64, err error) {
	p, err := r.next()
	if err != nil {
		return 0, 0, err
	}
	number, tells, err = r.arrived(p)
	if err == nil && r.done != nil {
		err = r.done()
	}
	return number, tells, err
}

func (r *bytesReceiver) drain(every int, f func(uint64) bool) error {
	left := every
	size := len(r.payload.bytes)
	for {
		p, err := r.next()
		if err != nil {
			return err
		}
		last := false
		for ; len(p) > 0 && !last; p = p[size:] {
			_, tells, err := r.arrived(p[:min(size, len(p))])
			if err != nil {
				return err
			}
			if left--; left <= 0 || tells != Ordinary {
				left = every
				last = f(tells)
			}
		}
		if r.done != nil {
			if err := r.done(); err != nil {
				return err
			}
		}
		if last {
			return nil
		}
	}
}
