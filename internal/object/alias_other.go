//go:build !linux || !(amd64 || arm64)

package object

import "errors"

// Alias fails: there are no shared objects on this system.
func (o *Object) Alias() (*Alias, error) { return nil, errors.ErrUnsupported }

// Blank fails.
func (a *Alias) Blank() error { return errors.ErrUnsupported }

// Unmap fails.
func (a *Alias) Unmap() error { return errors.ErrUnsupported }
