//go:build !(linux && (amd64 || arm64))

package shm

import "errors"

const supported = false

func createObject(Address, int64, settings) (opened, error) {
	return opened{}, errors.ErrUnsupported
}
func openObject(Address, settings) (opened, error) { return opened{}, errors.ErrUnsupported }
func statObject(Address) (Info, error)             { return Info{}, errors.ErrUnsupported }
func listObjects() ([]Info, error)                 { return nil, errors.ErrUnsupported }
func removeObject(Address) error                   { return errors.ErrUnsupported }
func removeUnused(Address) error                   { return errors.ErrUnsupported }
func takeCensus() (*Census, error)                 { return nil, errors.ErrUnsupported }
