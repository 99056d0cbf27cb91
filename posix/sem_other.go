//go:build !(linux && (amd64 || arm64))

package posix

import (
	"context"
	"errors"
	"io/fs"
	"time"
)

type sem struct{}

func (*sem) open(string, int, fs.FileMode, uint32) error { return errors.ErrUnsupported }
func (*sem) init([]byte, int, uint32) error              { return errors.ErrUnsupported }
func (*sem) join([]byte, int) error                      { return errors.ErrUnsupported }
func (*sem) wait(context.Context) error                  { return errors.ErrUnsupported }
func (*sem) tryWait() error                              { return errors.ErrUnsupported }
func (*sem) timedWait(time.Time) error                   { return errors.ErrUnsupported }
func (*sem) waitContext(context.Context) error           { return errors.ErrUnsupported }
func (*sem) post() error                                 { return errors.ErrUnsupported }
func (*sem) value() (uint32, error)                      { return 0, errors.ErrUnsupported }
func (*sem) close() error                                { return errors.ErrUnsupported }
