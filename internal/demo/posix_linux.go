//go:build linux && (amd64 || arm64)

package demo

import (
	"errors"
	"io/fs"
	"os"

	"github.com/seed-247006a4/shoal/posix"
)

// tellPosix is the second chapter. The classic POSIX writer unlinks its object at
// once, and the reader has to be quicker. Here the reader is there first, sleeps
// until there is something, and the writer unlinks when it has been read.
func tellPosix(s *story) error {
	h, err := newHandover()
	if err != nil {
		return err
	}
	defer h.Close()
	s.note("memfd_create, sem_init twice: written, read; without a name")
	reader, err := s.cast.start("reader", "posix-reader", nil, h)
	if err != nil {
		return err
	}
	if err := s.hear(reader); err != nil {
		return err
	}
	writer, err := s.cast.start("writer", "posix-writer", nil, h)
	if err != nil {
		return err
	}
	return s.finish(reader, writer)
}

func writePosix(a *actor) error {
	h, err := a.handover()
	if err != nil {
		return err
	}
	seg, err := a.create(posixName, size)
	if errors.Is(err, fs.ErrExist) {
		return &takenError{posixName, err}
	}
	if err != nil {
		return err
	}
	defer seg.Close()
	a.say("created %s: %s, reserved", posixName, formatSize(size))
	copy(seg.Bytes(), message+"\x00")
	a.say("Message written to shared memory: %s", text(seg.Bytes()))
	if err := h.post(written); err != nil {
		return err
	}
	if err := h.wait(read); err != nil {
		return err
	}
	a.say("shm_unlink(%q): it has been read", posixName)
	return seg.Remove()
}

func readPosix(a *actor) error {
	h, err := a.handover()
	if err != nil {
		return err
	}
	a.say("sem_wait(written): sleeps until something has been written")
	if err := h.wait(written); err != nil {
		return err
	}
	f, err := posix.ShmOpen(posixName, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := posix.Mmap(f, 0, size, posix.ProtRead)
	if err != nil {
		return err
	}
	defer posix.Munmap(b)
	if err := expect(b); err != nil {
		return err
	}
	a.say("Message read from shared memory: %s", text(b))
	return h.post(read)
}
