package inspect

import (
	"github.com/seed-247006a4/shoal/sysv"
)

// SemaphoreState is the state of a POSIX semaphore, or of one of a System V set.
type SemaphoreState struct {
	Value       int `json:"value"`                  // what it is, never negative
	Waiters     int `json:"waiters"`                // who wait for it to rise, as far as they are counted
	ZeroWaiters int `json:"zero_waiters,omitempty"` // System V: who wait for it to be 0
	LastPID     int `json:"last_pid,omitempty"`     // System V: who last changed it
}

// semaphoresOf reads every semaphore of a System V set. Cost: four system calls
// for each.
func semaphoresOf(id sysv.SemID) ([]SemaphoreState, error) {
	values, err := id.All()
	if err != nil {
		return nil, err
	}
	states := make([]SemaphoreState, len(values))
	for i := range states {
		s := &states[i]
		s.Value = int(values[i])
		for _, q := range []struct {
			to  *int
			ask func(int) (int, error)
		}{{&s.Waiters, id.NCount}, {&s.ZeroWaiters, id.ZCount}, {&s.LastPID, id.PID}} {
			if *q.to, err = q.ask(i); err != nil {
				return nil, err
			}
		}
	}
	return states, nil
}
