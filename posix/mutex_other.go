//go:build !(linux && (amd64 || arm64))

package posix

import (
	"context"
	"errors"
)

type mutex struct{}

func (*mutex) init([]byte, int, MutexType) error { return errors.ErrUnsupported }
func (*mutex) join([]byte, int) error            { return errors.ErrUnsupported }
func (*mutex) lock(context.Context) error        { return errors.ErrUnsupported }
func (*mutex) tryLock() error                    { return errors.ErrUnsupported }
func (*mutex) unlock() error                     { return errors.ErrUnsupported }
func (*mutex) markConsistent() error             { return errors.ErrUnsupported }
func (*mutex) close() error                      { return errors.ErrUnsupported }
