//go:build linux && (amd64 || arm64)

package demo

import (
	"bytes"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestContinued lets the stopped victim go on, again and again: it must stay inside the lock, between its stores.
func TestContinued(t *testing.T) {
	inside := regexp.MustCompile(`victim +(\d+)  stops inside`)
	var story bytes.Buffer
	continued := 0
	out := writerFunc(func(b []byte) {
		story.Write(b)
		if m := inside.FindSubmatch(b); m != nil {
			victim, err := strconv.Atoi(string(m[1]))
			must(t, err)
			for awaitStop(t, victim); continued < 20; continued++ {
				must(t, syscall.Kill(victim, syscall.SIGCONT))
				awaitStop(t, victim)
			}
		}
	})
	must(t, Run(t.Context(), Options{Stdout: out, Stderr: os.Stderr}))
	if continued == 0 || !strings.Contains(story.String(), "a booking is torn") {
		t.Errorf("continued %d times; nothing was torn:\n%s", continued, &story)
	}
	nothingLeft(t)
}

// awaitStop waits until a child stops, which wait(2) tells once for each time. A child that ends instead is ECHILD, when the
// demo has waited for it.
func awaitStop(t *testing.T, pid int) {
	t.Helper()
	err := error(unix.EINTR)
	for err == unix.EINTR {
		err = unix.Waitid(unix.P_PID, pid, nil, unix.WSTOPPED, nil)
	}
	must(t, err)
}

// TestRobbed checks that the demo notices a lock that is taken from a process which is only stopped.
func TestRobbed(t *testing.T) {
	for _, robbed := range []bool{false, true} {
		l := make(ledger, ledgerSize)
		c, err := newCast(t.Context(), os.Stderr)
		must(t, err)
		out := writerFunc(func(b []byte) {
			if robbed && bytes.Contains(b, []byte("takes it")) {
				l.add(credits)
			}
		})
		s := &story{opts: Options{Stdout: out}, ctx: t.Context(), cast: c}
		robber := &process{who: "robber", pid: 1}
		c.playing[robber.pid] = robber
		must(t, put(c.out, event{PID: robber.pid, Line: "takes it"}))
		err = s.watchStopped(l)
		if failed := err != nil && strings.Contains(err.Error(), "[0 0] and have become [0 1]"); failed != robbed || err != nil && !robbed {
			t.Errorf("robbed %v: error %v", robbed, err)
		}
		delete(c.playing, robber.pid)
		must(t, c.dismiss(s))
	}
}

// TestAudit checks that bookings which are lost, and a victim that left nothing torn, are noticed.
func TestAudit(t *testing.T) {
	workers := []*process{{booked: 20}, {booked: 30}}
	const all = victimBookings + 1 + 20 + 30
	torn := inheritance{Debits: 7, Credits: 6}
	for _, c := range []struct {
		debits, credits uint64
		torn            inheritance
		err             string
	}{
		{all, all, torn, ""},
		{all - 1, all - 1, torn, "1051 bookings were made, but there are debits 1050 and credits 1050"},
		{all, all - 1, torn, "debits 1051 and credits 1050"},
		{all, all, inheritance{Debits: 7, Credits: 7}, "debits 7 and credits 7 left by the dead"},
	} {
		l := make(ledger, ledgerSize)
		l.set(debits, c.debits)
		l.set(credits, c.credits)
		total, err := audit(l, c.torn, workers)
		if c.err == "" && (err != nil || total != all) {
			t.Errorf("%+v: %d, %v; want %d", c, total, err, all)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%+v: error %v", c, err)
		}
	}
}
