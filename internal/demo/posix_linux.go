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
	h, err := s.newHandover()
	if err != nil {
		return err
	}
	s.note("semget(IPC_PRIVATE, 2, 0600) = %s: written, read", h.arg())
	reader, err := s.cast.start("reader", "posix-reader", []string{h.arg()})
	if err != nil {
		return err
	}
	if err := s.hear(reader); err != nil {
		return err
	}
	writer, err := s.cast.start("writer", "posix-writer", []string{h.arg()})
	if err != nil {
		return err
	}
	if err := s.finish(reader, writer); err != nil {
		return err
	}
	s.note("semctl(%s, IPC_RMID)", h.arg())
	return h.remove()
}

func writePosix(a *actor) error {
	h, err := a.handover()
	if err != nil {
		return err
	}
	f, err := posix.ShmOpen(posixName, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return &takenError{posixName, err}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	own, err := ownPosix(posixName, f)
	if err == nil {
		err = a.made(own)
	}
	if err != nil {
		return err
	}
	a.say("shm_open(%q, O_CREAT|O_EXCL|O_RDWR, 0600)", posixName)
	if err := posix.Fallocate(f, 0, size); err != nil {
		return err
	}
	b, err := posix.Mmap(f, 0, size, posix.ProtRead|posix.ProtWrite)
	if err != nil {
		return err
	}
	defer posix.Munmap(b)
	copy(b, message+"\x00")
	a.say("Message written to shared memory: %s", text(b))
	if err := h.post(written); err != nil {
		return err
	}
	if err := h.wait(read); err != nil {
		return err
	}
	a.say("shm_unlink(%q): it has been read", posixName)
	return posix.ShmUnlink(posixName)
}

func readPosix(a *actor) error {
	h, err := a.handover()
	if err != nil {
		return err
	}
	a.say("semop(%s): sleeps until something has been written", h.arg())
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
