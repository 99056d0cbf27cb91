//go:build linux && (amd64 || arm64)

package demo

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/shm"
)

// stopped is how long the owner of the lock is only stopped.
const stopped = 300 * time.Millisecond

// tellLock is the fourth chapter. Three processes keep a ledger under one robust
// mutex. The victim stops itself between its two stores, so that the kill hits
// exactly there. As long as it is stopped it keeps the lock; when it is killed
// the kernel wakes a worker, which sleeps in Lock, and that one mends the ledger.
func tellLock(s *story) (err error) {
	victim, err := s.cast.start("victim", "victim", nil)
	if err != nil {
		return err
	}
	said := func(e event) bool { return e.PID == victim.pid && e.Line != "" }
	if _, err := s.until(said); err != nil { // it has made the mutex
		return err
	}
	addr := fmt.Sprint(objectPrefix, victim.pid)
	seg, err := shm.Open(addr, &shm.Options{ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, seg.Close()) }()
	var workers []*process
	for range parties - 1 {
		w, err := s.cast.start("worker", "worker", []string{addr})
		if err != nil {
			return err
		}
		workers = append(workers, w)
	}
	if _, err := s.until(said); err != nil { // it stops
		return err
	}
	if err := s.watchStopped(seg.Bytes()[ledgerAt:]); err != nil {
		return err
	}
	torn, err := s.killOwner(victim)
	if err != nil {
		return err
	}
	if err := s.finish(append(workers, victim)...); err != nil {
		return err
	}
	total, err := audit(seg.Bytes()[ledgerAt:], torn, workers)
	if err != nil {
		return err
	}
	s.note("shm_unlink(%q)", addr)
	if err := seg.Remove(); err != nil {
		return err
	}
	s.print("\n  Debits %d, credits %d: the bookings of both workers, and %d of the\n"+
		"  victim's: none lost, the torn one completed.\n", total, total, victimBookings+1)
	return nil
}

// watchStopped checks that nobody takes the lock of a process that is stopped.
func (s *story) watchStopped(l ledger) error {
	was := [2]uint64{l.get(debits), l.get(credits)}
	if err := s.pause(stopped); err != nil {
		return err
	}
	is := [2]uint64{l.get(debits), l.get(credits)}
	if is != was {
		return fmt.Errorf("debits and credits were %d and have become %d while the lock's owner was stopped", was, is)
	}
	s.note("%d ms later: stopped is not dead, nobody has taken the lock", stopped.Milliseconds())
	return nil
}

// killOwner kills the process inside the lock, and says how long it took until
// another one had it. It returns what that one has found.
func (s *story) killOwner(victim *process) (inheritance, error) {
	s.note("kill -9 %d: the lock goes to whom the kernel wakes", victim.pid)
	if err := s.check(); err != nil {
		return inheritance{}, err
	}
	victim.doomed = true
	begun := now()
	if err := syscall.Kill(victim.pid, syscall.SIGKILL); err != nil {
		return inheritance{}, fmt.Errorf("kill the victim (process %d): %w", victim.pid, err)
	}
	e, err := s.until(func(e event) bool { return e.Inherited != nil })
	if err != nil {
		return inheritance{}, err
	}
	s.say("worker", e.PID, fmt.Sprintf("Lock: ErrOwnerDied, %d microseconds after the kill",
		time.Duration(e.Inherited.At-begun).Microseconds()))
	return *e.Inherited, nil
}

// audit compares the ledger with what was booked, when all have ended. It returns
// the number of bookings.
func audit(l ledger, torn inheritance, workers []*process) (total uint64, err error) {
	if torn.Debits != torn.Credits+1 {
		return 0, fmt.Errorf("debits %d and credits %d left by the dead, expected one booking half-done", torn.Debits, torn.Credits)
	}
	total = victimBookings + 1
	for _, w := range workers {
		total += w.booked
	}
	if d, c := l.get(debits), l.get(credits); d != total || c != total {
		return 0, fmt.Errorf("%d bookings were made, but there are debits %d and credits %d", total, d, c)
	}
	return total, nil
}
