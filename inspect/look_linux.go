package inspect

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/sys"
	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
)

// look reads what a POSIX object or file says of itself; nil if it is nothing of
// Shoal's. It reads before it maps: to read a mapping of what was never written
// would make the kernel reserve memory for it. A thorough look goes through all that is
// in a ring, a topic or a queue.
func look(a shm.Address, thorough bool) (*Structure, error) {
	f, err := openToLook(a)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, headSize)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if !marked(head[:n]) {
		return nil, nil
	}
	seg, err := shm.FromFile(f, &shm.Options{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer seg.Close()
	s, err := examine(seg)
	if s != nil && err == nil {
		err = s.flow(a.String(), thorough)
	}
	return s, err
}

// openToLook opens a file for reading without a trace in its times, where the
// system lets that.
func openToLook(a shm.Address) (*os.File, error) {
	path, isFile := strings.CutPrefix(a.String(), "file:")
	if !isFile {
		var err error
		if path, err = posix.ShmPath(a.String()); err != nil {
			return nil, err
		}
	}
	fd, _, err := sys.OpenRegular(path, unix.O_RDONLY|unix.O_NOATIME, 0)
	if errors.Is(err, fs.ErrPermission) { // for owners alone
		fd, _, err = sys.OpenRegular(path, unix.O_RDONLY, 0)
	}
	if err != nil {
		advice := ""
		if errors.Is(err, fs.ErrPermission) {
			advice = "to look into it takes permission to read it"
		}
		return nil, &shm.Error{Op: "open", Object: a.String(), Err: err, Advice: advice}
	}
	return os.NewFile(uintptr(fd), path), nil
}
