//go:build linux && (amd64 || arm64)

package role

// attach times how long it takes to open and close again what another process has
// made.
func (j *Job) attach(once func() error) (func(*Outcome) error, error) {
	if err := once(); err != nil {
		return nil, err
	}
	return func(o *Outcome) error {
		times := newSamples()
		var u usage
		u.start()
		for end := clock() + j.Time; clock() < end && !times.full(); {
			begin := clock()
			if err := once(); err != nil {
				return err
			}
			times.add(clock()-begin, 1)
		}
		u.stop(&o.Figures)
		times.percentiles(&o.Figures)
		return nil
	}, nil
}
