//go:build linux && (amd64 || arm64)

package demo

import (
	"fmt"
	"time"
)

// next takes the next event, and tells it. The error says why the story cannot go
// on: a process has failed or died, or the user has had enough.
func (s *story) next() (event, error) {
	var e event
	if err := s.cast.events.Decode(&e); err != nil {
		s.cast.deaf = true
		return e, fmt.Errorf("read what the processes say: %w", err)
	}
	p := s.cast.playing[e.PID]
	if p == nil {
		return e, s.check()
	}
	if e.Line != "" {
		s.say(p.who, p.pid, e.Line)
	}
	if e.Property != nil {
		s.cast.estate = append(s.cast.estate, *e.Property)
		if e.Property.SysV != nil {
			p.made = e.Property.SysV.ID
		}
	}
	if e.Pass != nil {
		p.passes = append(p.passes, *e.Pass)
	}
	if e.Booked != 0 {
		p.booked = e.Booked
	}
	if e.Tally != nil {
		p.tally = e.Tally
	}
	switch {
	case e.Taken != "":
		return e, taken(e.Taken)
	case e.Failed != "":
		return e, fmt.Errorf("%s (process %d): %s", p.who, p.pid, e.Failed)
	case e.Exit != "":
		delete(s.cast.playing, p.pid)
		if e.Exit != exitedWell && !(p.doomed && e.Exit == killed) {
			return e, fmt.Errorf("%s (process %d) ended early: %s", p.who, p.pid, e.Exit)
		}
	}
	return e, nil
}

// What os.ProcessState says of a process.
const (
	exitedWell = "exit status 0"  // it returned 0
	killed     = "signal: killed" // by SIGKILL
)

// until waits for an event.
func (s *story) until(awaited func(event) bool) (event, error) {
	for {
		e, err := s.next()
		if err == nil {
			err = s.check()
		}
		if err != nil || awaited(e) {
			return e, err
		}
	}
}

// hear waits until a process says something.
func (s *story) hear(p *process) error {
	_, err := s.until(func(e event) bool { return e.PID == p.pid })
	return err
}

// pause lets time pass, for the processes.
func (s *story) pause(d time.Duration) error {
	t := time.AfterFunc(d, func() { put(s.cast.out, event{Elapsed: true}) })
	defer t.Stop()
	_, err := s.until(func(e event) bool { return e.Elapsed })
	return err
}

// finish waits until processes have ended, and well.
func (s *story) finish(processes ...*process) error {
	for _, p := range processes {
		for s.cast.playing[p.pid] != nil {
			if err := s.hear(p); err != nil {
				return err
			}
		}
	}
	return nil
}
