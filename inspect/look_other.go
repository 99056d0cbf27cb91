//go:build !linux

package inspect

import (
	"errors"

	"github.com/seed-247006a4/shoal/shm"
)

func look(shm.Address, bool) (*Structure, error) { return nil, errors.ErrUnsupported }

func lookAtSemaphore(shm.Address) (SemaphoreState, error) {
	return SemaphoreState{}, errors.ErrUnsupported
}
