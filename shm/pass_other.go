//go:build !(linux && (amd64 || arm64))

package shm

import (
	"errors"
	"net"
)

func sendObject(*net.UnixConn, object) error       { return errors.ErrUnsupported }
func receiveDescriptor(*net.UnixConn) (int, error) { return -1, errors.ErrUnsupported }
func duplicate(object) (int, error)                { return -1, errNoDescriptor(errors.ErrUnsupported) }
func duplicateFD(int) (int, error)                 { return -1, errors.ErrUnsupported }
func adopt(int, settings) (Address, *Segment, error) {
	return Address{}, nil, errors.ErrUnsupported
}
