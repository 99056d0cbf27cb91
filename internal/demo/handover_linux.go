//go:build linux && (amd64 || arm64)

package demo

import (
	"strconv"

	"github.com/seed-247006a4/shoal/sysv"
)

// handover is a set of two System V semaphores with which one process tells
// another that there is something to read, and learns that it has been read.
//
//	         writer                      reader
//	written  +1 when written             -1: sleeps until there is something
//	read     -1: sleeps until it was     +1 when read
//
// Nothing is undone at exit (SEM_UNDO): what was written stays written when its
// writer has ended. A lock would be another matter.
type handover sysv.SemID

// The semaphores of the set, both 0 at first.
const (
	written = iota
	read
	handoverSize
)

// newHandover makes a set that only its id leads to.
func (s *story) newHandover() (handover, error) {
	id, err := sysv.SemGet(sysv.Private, handoverSize, sysv.Create|0o600)
	if err != nil {
		return 0, err
	}
	s.cast.made(property{Semaphores: &id})
	return handover(id), nil
}

// handover takes the set from the process's first argument.
func (a *actor) handover() (handover, error) {
	id, err := a.arg(0)
	return handover(id), err
}

// arg is the argument by which a process gets the set.
func (h handover) arg() string { return strconv.Itoa(int(h)) }

// post counts one thing more that was written, or read.
func (h handover) post(semaphore uint16) error {
	return sysv.SemID(h).Op(sysv.SemBuf{Num: semaphore, Op: +1})
}

// wait sleeps until there is one, and takes it.
func (h handover) wait(semaphore uint16) error {
	return sysv.SemID(h).Op(sysv.SemBuf{Num: semaphore, Op: -1})
}

// remove removes the set.
func (h handover) remove() error { return sysv.SemID(h).Remove() }
