//go:build linux && (amd64 || arm64)

package demo

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

const (
	victimBookings = 1000   // that the victim completes before the one it dies in
	workerBookings = 10_000 // that each worker adds when the lock has been inherited
)

// An inheritance is what a worker finds when the lock has come to it from the dead.
type inheritance struct {
	At              int64 // when it held the lock; nanoseconds, CLOCK_MONOTONIC
	Debits, Credits uint64
}

// A clerk is a process that keeps the ledger, with the others.
type clerk struct {
	*actor
	mutex  *pshared.Mutex
	start  *pshared.Barrier // all have come
	ledger ledger
	booked uint64 // by this process
	since  uint64 // of these, after an owner had died
}

// dieInside is the victim's role.
func dieInside(a *actor) error {
	addr := objectPrefix + strconv.Itoa(os.Getpid())
	seg, err := a.create(addr, ledgerSegmentSize)
	if err != nil {
		return err
	}
	defer seg.Close()
	members, err := pshared.Join(seg, 0, 0)
	if err != nil {
		return err
	}
	defer members.Leave()
	mutex, err := pshared.InitMutex(members, mutexAt)
	if err != nil {
		return err
	}
	start, err := pshared.InitBarrier(members, barrierAt, parties)
	if err != nil {
		return err
	}
	c := &clerk{actor: a, mutex: mutex, start: start, ledger: seg.Bytes()[ledgerAt:]}
	a.say("created %s: a mutex, debits 0, credits 0", addr)
	if err := c.meet(); err != nil {
		return err
	}
	for range victimBookings {
		if err := c.book(); err != nil {
			return err
		}
	}
	if err := c.lock(); err != nil {
		return err
	}
	c.ledger.add(debits)
	a.say("stops inside the lock (SIGSTOP): debits + 1, credits not yet")
	return stop()
}

// stop stops this process for good: whoever lets it go on finds it stopped again.
// A signal to the thread takes effect before the call returns; one to the process
// may be taken by another thread, while this one runs on.
func stop() error {
	runtime.LockOSThread()
	for {
		if err := unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGSTOP); err != nil {
			return os.NewSyscallError("tgkill", err)
		}
	}
}

// work is the role of those who survive.
func work(a *actor) error {
	seg, err := shm.Open(a.args[0], nil)
	if err != nil {
		return err
	}
	defer seg.Close()
	members, err := pshared.Join(seg, 0, 0)
	if err != nil {
		return err
	}
	defer members.Leave()
	mutex, err := pshared.JoinMutex(members, mutexAt)
	if err != nil {
		return err
	}
	start, err := pshared.JoinBarrier(members, barrierAt)
	if err != nil {
		return err
	}
	c := &clerk{actor: a, mutex: mutex, start: start, ledger: seg.Bytes()[ledgerAt:]}
	a.say("books: Lock, debits + 1, credits + 1, Unlock; and again")
	if err := c.meet(); err != nil {
		return err
	}
	for c.since < workerBookings {
		if err := c.book(); err != nil {
			return err
		}
	}
	a.report(event{Line: fmt.Sprintf("has made %d bookings, %d of them since", c.booked, c.since), Booked: c.booked})
	return nil
}

// meet waits until all clerks have come. One that has died is not waited for, and
// is for the demo to notice.
func (c *clerk) meet() error {
	if err := c.start.Wait(); !errors.Is(err, pshared.ErrPeerDied) {
		return err
	}
	return nil
}

// book makes one booking.
func (c *clerk) book() error {
	if err := c.lock(); err != nil {
		return err
	}
	c.ledger.add(debits)
	c.ledger.add(credits)
	c.booked++
	if c.ledger.get(inherited) > 0 {
		c.since++
	}
	return c.mutex.Unlock()
}

// lock locks the ledger. If its owner has died inside, that one's booking is
// completed: debits come first, so it is the credits that are missing.
func (c *clerk) lock() error {
	err := c.mutex.Lock()
	if !errors.Is(err, pshared.ErrOwnerDied) {
		return err
	}
	found := inheritance{At: now(), Debits: c.ledger.get(debits), Credits: c.ledger.get(credits)}
	c.report(event{Inherited: &found})
	c.say("debits %d, credits %d: a booking is torn", found.Debits, found.Credits)
	c.ledger.set(credits, found.Debits)
	c.ledger.add(inherited)
	c.say("completes the booking; MarkConsistent")
	return c.mutex.MarkConsistent()
}
