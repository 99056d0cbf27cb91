//go:build !(linux && (amd64 || arm64))

package shm

import "errors"

const supported = false

func createObject(a Address, _ int64, _ settings) (object, Address, error) {
	return nil, a, errors.ErrUnsupported
}
func openObject(Address, settings) (object, error) { return nil, errors.ErrUnsupported }
func statObject(Address) (Info, error)             { return Info{}, errors.ErrUnsupported }
func listObjects() ([]Info, error)                 { return nil, errors.ErrUnsupported }
func removeObject(Address) error                   { return errors.ErrUnsupported }
func removeUnused(Address) error                   { return errors.ErrUnsupported }
func takeCensus() (*Census, error)                 { return nil, errors.ErrUnsupported }
