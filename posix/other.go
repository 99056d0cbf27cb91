//go:build !(linux && (amd64 || arm64))

package posix

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

func openObject(string, int, fs.FileMode) (*os.File, error) { return nil, errors.ErrUnsupported }
func unlinkObject(string) error                             { return errors.ErrUnsupported }
func mmap(*os.File, int64, int, Prot) ([]byte, error)       { return nil, errors.ErrUnsupported }
func munmap([]byte) error                                   { return errors.ErrUnsupported }
func msync([]byte) error                                    { return errors.ErrUnsupported }
func fallocate(*os.File, int64, int64) error                { return errors.ErrUnsupported }

type mq struct{}

func mqOpen(string, int, fs.FileMode, *MQAttr) (mq, error) { return mq{}, errors.ErrUnsupported }
func mqUnlink(string) error                                { return errors.ErrUnsupported }
func (*mq) send(context.Context, bool, []byte, uint) error { return errors.ErrUnsupported }
func (*mq) receive(context.Context, bool, []byte) (int, uint, error) {
	return 0, 0, errors.ErrUnsupported
}
func (*mq) attr() (MQAttr, error) { return MQAttr{}, errors.ErrUnsupported }
func (*mq) close() error          { return errors.ErrUnsupported }
