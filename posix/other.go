//go:build !(linux && (amd64 || arm64))

package posix

import (
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
