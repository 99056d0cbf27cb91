//go:build linux && (amd64 || arm64)

package sysv

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/isolate"
)

// receive takes a message that must be there.
func receive(t testing.TB, id MsgID, typ int64, flags Flag) (text string, got int64) {
	t.Helper()
	buf := make([]byte, 100)
	n, got, err := id.Receive(buf, typ, flags|NoWait)
	must(t, err)
	return string(buf[:n]), got
}

func messages(t testing.TB, id MsgID) int64 {
	t.Helper()
	s, err := id.Stat()
	must(t, err)
	return s.Messages
}

func TestMsgRoundTrip(t *testing.T) {
	key := newKey(t)
	id := newMsg(t, key, 0o640)
	l, err := MsgLimits()
	must(t, err)
	s, err := id.Stat()
	must(t, err)
	if s.ID != id || s.Key != key || s.Mode != 0o640 || s.Bytes != 0 || s.Messages != 0 || s.MaxBytes != int64(l.MaxQueueBytes) ||
		s.UID != uint32(os.Geteuid()) || s.GID != uint32(os.Getegid()) || s.CreatorUID != s.UID || s.CreatorGID != s.GID ||
		s.LastSendPID != 0 || s.LastReceivePID != 0 || !s.SendTime.IsZero() || !s.ReceiveTime.IsZero() || s.ChangeTime.IsZero() {
		t.Errorf("new queue: %+v", s)
	}

	must(t, id.Send(1<<62, []byte("hello"), 0))
	must(t, id.Send(2, nil, NoWait))
	if s, err = id.Stat(); err != nil || s.Messages != 2 || s.Bytes != 5 || s.LastSendPID != os.Getpid() || s.SendTime.IsZero() {
		t.Errorf("sent: %+v, %v", s, err)
	}
	if isolate.Isolated() {
		if u, err := MsgUsage(); err != nil || u != (MsgUse{Queues: 1, Messages: 2, Bytes: 5}) {
			t.Errorf("MsgUsage() = %+v, %v", u, err)
		}
	}
	if text, typ := receive(t, id, 0, 0); text != "hello" || typ != 1<<62 {
		t.Errorf("received %q of type %d", text, typ)
	}
	if text, typ := receive(t, id, 0, 0); text != "" || typ != 2 {
		t.Errorf("received %q of type %d", text, typ)
	}
	if s, err = id.Stat(); err != nil || s.Messages != 0 || s.Bytes != 0 || s.LastReceivePID != os.Getpid() || s.ReceiveTime.IsZero() {
		t.Errorf("received: %+v, %v", s, err)
	}

	must(t, id.Set(Perm{s.UID, s.GID, 0o7604}, 100))
	if s, err = id.Stat(); err != nil || s.Perm() != (Perm{s.UID, s.GID, 0o604}) || s.MaxBytes != 100 {
		t.Errorf("set: %+v, %v", s, err)
	}
	must(t, id.Remove())
	wantErr(t, id.Remove(), syscall.EINVAL)
	wantErr(t, id.Send(1, nil, NoWait), syscall.EINVAL)
	_, err = id.Stat()
	wantErr(t, err, syscall.EINVAL)
}

func TestMsgChoice(t *testing.T) {
	id := newMsg(t, Private, 0o600)
	for _, m := range []struct {
		typ  int64
		text string
	}{{5, "a"}, {3, "b"}, {7, "c"}, {3, "d"}, {5, "e"}} {
		must(t, id.Send(m.typ, []byte(m.text), NoWait))
	}
	// Copies leave the queue alone.
	t.Run("copy", func(t *testing.T) {
		for position, want := range []string{"a", "b", "c", "d", "e"} {
			buf := make([]byte, 1)
			_, _, err := id.Receive(buf, int64(position), MsgCopy|NoWait)
			if errors.Is(err, syscall.ENOSYS) {
				t.Skip(err)
			}
			must(t, err)
			if string(buf) != want {
				t.Errorf("copy of %d is %q, want %q", position, buf, want)
			}
		}
		_, _, err := id.Receive(make([]byte, 1), 5, MsgCopy|NoWait)
		wantErr(t, err, syscall.ENOMSG)
		if n := messages(t, id); n != 5 {
			t.Errorf("%d messages after copying, want 5", n)
		}
	})
	for _, c := range []struct {
		typ   int64
		flags Flag
		want  string
	}{
		{-4, 0, "b"},        // the lowest type up to 4, and of those the first
		{5, MsgExcept, "c"}, // the first that is not 5
		{3, 0, "d"},         // the first 3
		{0, 0, "a"},         // the first
		{-9, 0, "e"},        // all that remains
	} {
		if text, _ := receive(t, id, c.typ, c.flags); text != c.want {
			t.Errorf("type %d flags %#o: %q, want %q", c.typ, int(c.flags), text, c.want)
		}
	}
	if n := messages(t, id); n != 0 {
		t.Errorf("%d remain", n)
	}
}

func TestMsgErrors(t *testing.T) {
	key, missing := newKey(t), newKey(t)
	id := newMsg(t, key, 0o600)
	if got, err := MsgGet(key, Create|0o600); err != nil || got != id {
		t.Errorf("MsgGet = %d, %v, want %d", got, err, id)
	}
	_, err := MsgGet(key, Create|Exclusive|0o600)
	wantErr(t, err, syscall.EEXIST)
	_, err = MsgGet(missing, 0o600)
	wantErr(t, err, syscall.ENOENT)
	l, err := MsgLimits()
	must(t, err)
	must(t, id.Send(4, []byte("four"), NoWait))

	recv := func(size int, typ int64, flags Flag) error {
		n, got, err := id.Receive(make([]byte, size), typ, flags)
		if err != nil && (n != 0 || got != 0) {
			t.Errorf("%d bytes of type %d with %v", n, got, err)
		}
		return err
	}
	for _, c := range []struct {
		name   string
		err    error
		want   syscall.Errno
		advice string
	}{
		{"type 0", id.Send(0, nil, NoWait), syscall.EINVAL, "at least 1, not 0"},
		{"negative type", id.Send(-1, nil, NoWait), syscall.EINVAL, "at least 1, not -1"},
		{"above msgmax", id.Send(1, make([]byte, l.MaxMessageBytes+1), NoWait), syscall.EINVAL, "kernel.msgmax"},
		{"no such id", MsgID(-1).Send(1, nil, NoWait), syscall.EINVAL, ""},
		{"none of the type", recv(9, 5, NoWait), syscall.ENOMSG, ""},
		{"none but the type", recv(9, 4, MsgExcept|NoWait), syscall.ENOMSG, ""},
		{"none so low", recv(9, -3, NoWait), syscall.ENOMSG, ""},
		{"too long", recv(3, 0, NoWait), syscall.E2BIG, "buffer of 3 bytes"},
		{"too long, no buffer", recv(0, 0, 0), syscall.E2BIG, "MsgNoError"},
		{"copy may not wait", recv(9, 0, MsgCopy), syscall.EINVAL, "MsgCopy goes with NoWait"},
		{"copy knows no exception", recv(9, 0, MsgCopy|MsgExcept|NoWait), syscall.EINVAL, "not with MsgExcept"},
		{"negative size", id.Set(Perm{}, -1), syscall.EINVAL, ""},
		{"no such owner", id.Set(Perm{UID: ^uint32(0)}, 1), syscall.EINVAL, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if strings.HasPrefix(c.name, "copy") && errors.Is(c.err, syscall.ENOSYS) {
				t.Skip(c.err)
			}
			wantErr(t, c.err, c.want)
			if !strings.Contains(c.err.Error(), c.advice) {
				t.Errorf("%v; want %q", c.err, c.advice)
			}
		})
	}
	if n := messages(t, id); n != 1 {
		t.Fatalf("%d messages, want 1", n)
	}
	buf := []byte("xxxx")
	if n, typ, err := id.Receive(buf[:2], 0, MsgNoError); err != nil || n != 2 || typ != 4 || string(buf) != "foxx" {
		t.Errorf("cut: %q, %d, %d, %v", buf, n, typ, err)
	}
	if n := messages(t, id); n != 0 {
		t.Errorf("%d messages, want 0: the rest is lost", n)
	}
}

// Receive leaves the buffer beyond the message alone: nothing of other messages gets there.
func TestMsgReceiveBeyond(t *testing.T) {
	id := newMsg(t, Private, 0o600)
	must(t, id.Send(1, []byte("another's secret"), NoWait))
	receive(t, id, 0, 0)
	must(t, id.Send(1, []byte("short"), NoWait))
	buf := bytes.Repeat([]byte{'-'}, 16)
	if n, _, err := id.Receive(buf, 0, NoWait); err != nil || string(buf) != "short-----------" {
		t.Errorf("%q, %d, %v", buf, n, err)
	}
	if _, _, err := id.Receive(buf, 0, NoWait); !errors.Is(err, syscall.ENOMSG) || string(buf) != "short-----------" {
		t.Errorf("nothing received: %q, %v", buf, err)
	}
}

func TestMsgFull(t *testing.T) {
	id := newMsg(t, Private, 0o600)
	s, err := id.Stat()
	must(t, err)
	must(t, id.Set(s.Perm(), 10))
	must(t, id.Send(1, make([]byte, 10), NoWait))
	wantErr(t, id.Send(1, []byte{1}, NoWait), syscall.EAGAIN)
	wantErr(t, id.SendContext(t.Context(), 1, []byte{1}, NoWait), syscall.EAGAIN)
	if n := messages(t, id); n != 1 {
		t.Errorf("%d messages, want 1", n)
	}
	done := make(chan error, 1)
	go func() { done <- id.Send(2, []byte("later"), 0) }()
	eventually(t, "the sender sleeps", func() bool { return inCall(t, syscall.SYS_MSGSND) == 1 })
	receive(t, id, 0, 0)
	must(t, within(t, "the sender", done))
	if text, typ := receive(t, id, 0, 0); text != "later" || typ != 2 {
		t.Errorf("received %q of type %d", text, typ)
	}
}

func TestMsgLarge(t *testing.T) {
	isolate.Require(t)
	setSysctl(t, "msgmax", "100000")
	setSysctl(t, "msgmnb", "100000")
	id := newMsg(t, Private, 0o600)
	for _, size := range []int{0, 1, pooledText - 1, pooledText, pooledText + 1, 100000} {
		text := bytes.Repeat([]byte{byte(size), 7}, size/2+1)[:size]
		must(t, id.Send(1, text, NoWait))
		buf := make([]byte, size)
		if n, _, err := id.Receive(buf, 0, NoWait); err != nil || n != size || !bytes.Equal(buf, text) {
			t.Errorf("%d bytes: %d, %v", size, n, err)
		}
	}
}

func TestMsgLimitsReached(t *testing.T) {
	isolate.Require(t)
	newMsg(t, Private, 0o600)
	setSysctl(t, "msgmni", "1")
	_, err := MsgGet(newKey(t), Create|0o600)
	wantErr(t, err, syscall.ENOSPC)
	if !strings.Contains(err.Error(), "kernel.msgmni permits 1 queues") {
		t.Error(err)
	}
}

// full returns a queue that takes nothing.
func full(t testing.TB) MsgID {
	id := newMsg(t, Private, 0o600)
	s, err := id.Stat()
	must(t, err)
	must(t, id.Set(s.Perm(), 1))
	must(t, id.Send(1, []byte{1}, NoWait))
	return id
}

// The four calls that sleep, each on a queue that lets it.
func sleepers() map[string]struct {
	number int
	queue  func(testing.TB) MsgID
	call   func(context.Context, MsgID) error
} {
	empty := func(t testing.TB) MsgID { return newMsg(t, Private, 0o600) }
	type sleeper = struct {
		number int
		queue  func(testing.TB) MsgID
		call   func(context.Context, MsgID) error
	}
	return map[string]sleeper{
		"Send": {syscall.SYS_MSGSND, full, func(_ context.Context, id MsgID) error { return id.Send(1, []byte{2}, 0) }},
		"SendContext": {syscall.SYS_MSGSND, full, func(ctx context.Context, id MsgID) error {
			return id.SendContext(ctx, 1, []byte{2}, 0)
		}},
		"Receive": {syscall.SYS_MSGRCV, empty, func(_ context.Context, id MsgID) error {
			_, _, err := id.Receive(make([]byte, 1), 0, 0)
			return err
		}},
		"ReceiveContext": {syscall.SYS_MSGRCV, empty, func(ctx context.Context, id MsgID) error {
			_, _, err := id.ReceiveContext(ctx, make([]byte, 1), 0, 0)
			return err
		}},
	}
}

func TestMsgRemovedWhileBlocked(t *testing.T) {
	for name, s := range sleepers() {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			id := s.queue(t)
			done := make(chan error, 1)
			go func() { done <- s.call(ctx, id) }()
			eventually(t, "it sleeps", func() bool { return inCall(t, s.number) == 1 })
			must(t, id.Remove())
			err := within(t, "EIDRM", done)
			wantErr(t, err, syscall.EIDRM)
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v is not fs.ErrNotExist", err)
			}
		})
	}
}

func TestMsgInterrupted(t *testing.T) {
	for name, s := range sleepers() {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			id := s.queue(t)
			err := storm(t, func() {
				eventually(t, "it sleeps", func() bool { return inCall(t, s.number) == 1 })
				time.AfterFunc(50*time.Millisecond, func() {
					if s.number == syscall.SYS_MSGSND {
						id.Receive(make([]byte, 1), 0, NoWait)
					} else {
						id.Send(1, []byte{1}, NoWait)
					}
				})
			}, func() error { return s.call(ctx, id) })
			must(t, err)
		})
	}
}

func TestMsgContext(t *testing.T) {
	eachWay(t, func(t *testing.T) {
		for name, s := range sleepers() {
			if !strings.HasSuffix(name, "Context") {
				continue
			}
			t.Run(name, func(t *testing.T) {
				id := s.queue(t)
				before := messages(t, id)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- s.call(ctx, id) }()
				if interruptible() { // pollers cannot be seen sleeping
					eventually(t, "it sleeps", func() bool { return inCall(t, s.number) == 1 })
				}
				cancel()
				if err := within(t, "cancelling", done); !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				if err := s.call(ctx, id); !errors.Is(err, context.Canceled) {
					t.Errorf("cancelled before: %v", err)
				}

				ctx, cancel = context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				start := time.Now()
				err := s.call(ctx, id)
				if elapsed := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || elapsed < 20*time.Millisecond {
					t.Errorf("%v after %v", err, elapsed)
				}
				if n := messages(t, id); n != before {
					t.Errorf("%d messages, had %d", n, before)
				}
			})
		}
	})
}

// A message is taken if and only if ReceiveContext returns it, whoever wins.
func TestMsgReceiveContextRace(t *testing.T) {
	eachWay(t, func(t *testing.T) {
		id := newMsg(t, Private, 0o600)
		raceContext(t,
			func(ctx context.Context) <-chan error {
				done := make(chan error, 1)
				go func() {
					_, _, err := id.ReceiveContext(ctx, make([]byte, 1), 0, 0)
					done <- err
				}()
				if interruptible() { // pollers cannot be seen sleeping
					eventually(t, "it sleeps", func() bool { return inCall(t, syscall.SYS_MSGRCV) == 1 })
				}
				return done
			},
			func() error { return id.Send(1, []byte{1}, 0) },
			func() bool {
				n := messages(t, id)
				if n == 1 {
					receive(t, id, 0, 0)
				}
				return n == 0
			})
	})
}

func TestMsgList(t *testing.T) {
	key := newKey(t)
	id := newMsg(t, key, 0)
	must(t, newMsg(t, Private, 0o600).Remove())
	must(t, newMsg(t, Private, 0o600).Send(1, []byte("abc"), 0))
	list, err := MsgList()
	must(t, err)
	i := slices.IndexFunc(list, func(s MsgInfo) bool { return s.ID == id })
	if i < 0 || list[i].Key != key || list[i].MaxBytes <= 0 {
		t.Fatalf("not listed: %+v", list)
	}
	for i := range list { // the one thing that the file does not tell
		list[i].MaxBytes = -1
	}
	sameWithoutStatAny(t, &msgStatAny, list, MsgList)
}
