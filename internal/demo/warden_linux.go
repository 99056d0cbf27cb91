//go:build linux && (amd64 || arm64)

package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/signal"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// The warden is the process that removes what the story leaves. Every other
// process, the demo too, holds the writing end of a pipe to it, and whoever is
// about to make an object writes there first which one it will be. When the last
// of them has ended, whatever the cause, the kernel closes the pipe; the warden
// reads its end, removes what is still there, and ends. So nobody else cleans up
// after a failure, and nobody need mind being killed. Should the warden be killed
// the demo does it, which has kept a list.

// settle removes what is still there, the newest first.
func settle(estate []property) (err error) {
	for _, p := range slices.Backward(estate) {
		err = errors.Join(err, p.remove())
	}
	return err
}

// ward is the warden's role.
func ward(a *actor) error {
	// Not before the others have ended.
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	a.say("removes what is left when the others have ended, any way")
	var estate []property
	in := json.NewDecoder(a.warden)
	for {
		var p property
		err := in.Decode(&p)
		switch {
		case err == io.EOF:
			return settle(estate)
		case err != nil:
			return errors.Join(err, settle(estate))
		}
		refusal := ""
		if p.SysV != nil {
			if err := hold(p.SysV.Maker); err != nil {
				refusal = err.Error()
			}
		}
		if refusal == "" {
			estate = append(estate, p)
		}
		if p.SysV != nil {
			_ = put(a.answers, refusal) // who has died needs none
		}
	}
}

// hold keeps the pid of a process, which leads a process group, from being used
// again when the process has ended, for as long as this one lives: no process
// gets a pid that is also a group's (POSIX.1-2024, XBD 4.17, Process ID Reuse).
// It joins the group. One pid can be held, as nobody needs two.
func hold(pid int) error {
	if err := unix.Setpgid(0, pid); err != nil {
		return fmt.Errorf("join process group %d: %w", pid, err)
	}
	return nil
}
