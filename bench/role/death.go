//go:build linux && (amd64 || arm64)

package role

import (
	"errors"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
)

// deathOf waits for something that happens when another process dies, and tells when
// that was, by the clock of the machine.
func deathOf(wait func() error) (func(*Outcome) error, error) {
	return func(o *Outcome) error {
		err := wait()
		o.Other = map[string]float64{"noticed": float64(machineClock())}
		return err
	}, nil
}

// sleepForEver is what a process does that is to be killed.
func sleepForEver(*Outcome) error {
	for {
		time.Sleep(time.Hour)
	}
}

func init() {
	participants["shoal-mutex"] = participant{other: map[string]func(*Job) (func(*Outcome) error, error){
		"death/near": func(j *Job) (func(*Outcome) error, error) {
			mu, err := pshared.OpenMutex(j.There)
			if err != nil {
				return nil, err
			}
			return deathOf(func() error {
				if err := mu.Lock(); !errors.Is(err, pshared.ErrOwnerDied) {
					return errors.Join(err, errors.New("nobody has died"))
				}
				return nil
			})
		},
		"death/far": func(j *Job) (func(*Outcome) error, error) {
			mu, err := pshared.OpenMutex(j.There)
			if err != nil {
				return nil, err
			}
			return sleepForEver, mu.Lock()
		},
		"attach/near": func(j *Job) (func(*Outcome) error, error) {
			return j.attach(func() error {
				mu, err := pshared.OpenMutex(j.There)
				if err != nil {
					return err
				}
				return mu.Close()
			})
		},
		"attach/far": func(j *Job) (func(*Outcome) error, error) {
			_, err := pshared.OpenMutex(j.There)
			return serve, err
		},
		"hold/near": holdMutex,
		"hold/far":  holdMutex,
	}}
}

func holdMutex(j *Job) (func(*Outcome) error, error) {
	_, err := pshared.OpenMutex(j.There)
	return serve, err
}
