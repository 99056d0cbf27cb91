//go:build linux && (amd64 || arm64)

package demo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"

	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/sysv"
)

// What the classic programs for System V and POSIX shared memory use.
const (
	message = "Hello, Shared Memory!"
	size    = 1024 // bytes

	sysvKey     sysv.Key = 0x1234
	sysvAddress          = "sysv:0x1234"
	posixName            = "/my_shm"
)

// tellSysV is the first chapter: the writer has ended before the reader starts.
// The segment is the kernel's, and waits.
func tellSysV(s *story) error {
	writer, err := s.cast.start("writer", "sysv-writer", nil)
	if err != nil {
		return err
	}
	if err := s.finish(writer); err != nil {
		return err
	}
	if writer.made == nil {
		return fmt.Errorf("%s, made by the writer (process %d), has been removed: by another program?", sysvAddress, writer.pid)
	}
	// By id: the key may have come to mean another segment.
	segment := shm.IDAddress(*writer.made).String()
	info, err := shm.Stat(segment)
	if err != nil {
		return err
	}
	s.note("The writer has ended. The segment stays: %d attached.", info.Attached)
	reader, err := s.cast.start("reader", "sysv-reader", nil)
	if err != nil {
		return err
	}
	if err := s.finish(reader); err != nil {
		return err
	}
	s.note("shmctl(%d, IPC_RMID): until somebody removes it", info.ID)
	return shm.Remove(segment)
}

// writeSysV is the classic writer, except that it takes no segment that is there
// already, and lets nobody else in.
func writeSysV(a *actor) error {
	if err := a.claim(sysvKey); err != nil {
		return err
	}
	id, err := sysv.ShmGet(sysvKey, size, sysv.Create|sysv.Exclusive|0o600)
	if errors.Is(err, fs.ErrExist) {
		return &takenError{sysvAddress, err}
	}
	if err != nil {
		return err
	}
	reached(made)
	a.say("shmget(0x1234, %d, IPC_CREAT|IPC_EXCL|0600) = %d", size, id)
	b, err := sysv.ShmAt(id, 0, 0)
	if err != nil {
		return err
	}
	copy(b, message+"\x00")
	a.say("Data written to shared memory: %s", text(b))
	return sysv.ShmDt(b)
}

// readSysV is the classic reader.
func readSysV(a *actor) error {
	id, err := sysv.ShmGet(sysvKey, size, 0o400)
	if err != nil {
		return err
	}
	a.say("shmget(0x1234, %d, 0400) = %d", size, id)
	b, err := sysv.ShmAt(id, 0, sysv.ReadOnly)
	if err != nil {
		return err
	}
	if err := expect(b); err != nil {
		return err
	}
	a.say("Data read from shared memory: %s", text(b))
	return sysv.ShmDt(b)
}

// text returns the C string at the beginning of b.
func text(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// expect returns an error unless b begins with the message.
func expect(b []byte) error {
	if got := text(b); got != message {
		return fmt.Errorf("read %q, expected %q: does another program write there?", got, message)
	}
	return nil
}
