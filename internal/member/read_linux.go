//go:build linux && (amd64 || arm64)

package member

import (
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/shm"
)

// Read looks at the table at offset of a segment, which may be read-only,
// without joining it. Nothing is written or locked.
func Read(seg *shm.Segment, offset int) (*Report, error) {
	v, err := seg.Borrow()
	if err != nil {
		return nil, err
	}
	defer v.Release()
	t, err := view(v.Bytes(), offset)
	if err != nil {
		return nil, err
	}
	lock, err := openToAsk(seg)
	if err != nil {
		return nil, err
	}
	defer lock.close()
	r := &Report{
		Slots:     len(t.slots),
		Deaths:    t.head.Deaths.Load(),
		Repairs:   t.head.Repairs.Load(),
		LostWakes: t.head.LostWakes.Load(),
	}
	for i := range t.slots {
		s := &t.slots[i]
		o := ownerIn(i, s.Claim.Load())
		if o == 0 {
			continue
		}
		taken, err := lock.taken(int64(offset + layout.SlotOffset(len(t.slots), i)))
		if err != nil {
			return nil, err
		}
		r.Members = append(r.Members, Info{
			Owner:         o,
			Alive:         taken,
			PID:           int(s.PID.Load()),
			SameNamespace: s.PIDNS.Load() == self().namespace,
			Start:         s.Start.Load(),
			Role:          s.Role.Load(),
			Joined:        time.Unix(0, int64(s.Joined.Load())),
			Name:          nameIn(s),
		})
	}
	return r, nil
}

// openToAsk opens the file with the locks for F_OFD_GETLK, for which reading
// will do.
func openToAsk(seg *shm.Segment) (*lockFile, error) {
	path := ""
	if seg.Address().Kind() == shm.SysV {
		info, err := seg.Stat()
		if err == nil {
			path, err = posix.ShmPath(CompanionName(info.ID))
		}
		if err != nil {
			return nil, err
		}
	} else {
		f, err := seg.File()
		if err != nil {
			return nil, err
		}
		defer f.Close()
		path = "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	}
	fd, err := open(path, unix.O_RDONLY)
	return &lockFile{fd: fd}, err
}

func nameIn(s *layout.Slot) string {
	var b strings.Builder
	for i := range 16 {
		if c := byte(s.Name[i/8].Load() >> (i % 8 * 8)); c != 0 {
			b.WriteByte(c)
		}
	}
	return b.String()
}
