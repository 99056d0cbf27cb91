//go:build linux && (amd64 || arm64)

package sysv

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

func TestErrorText(t *testing.T) {
	for _, c := range []struct {
		err  Error
		want string
	}{
		{Error{Call: "shmget", Object: "key 0x1234", Err: syscall.EEXIST}, "shmget key 0x1234: file exists"},
		{Error{Call: "shmget", Object: "key 0x1234", Err: syscall.EINVAL, Advice: "why"}, "shmget key 0x1234: invalid argument; why"},
		{Error{Call: "shmctl(IPC_INFO)", Err: syscall.ENOSYS}, "shmctl(IPC_INFO): function not implemented"},
	} {
		if got := c.err.Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
	if got := keyObject(Private); got != "key IPC_PRIVATE" {
		t.Error(got)
	}
	if got := numObject(7, 2); got != "id 7 semaphore 2" {
		t.Error(got)
	}
}

// What errors.Is finds, and whether it is a time-out.
func TestErrorIs(t *testing.T) {
	sentinels := []error{fs.ErrExist, fs.ErrNotExist, fs.ErrPermission, os.ErrDeadlineExceeded, errors.ErrUnsupported,
		context.Canceled, context.DeadlineExceeded}
	for _, c := range []struct {
		err     Error
		is      []error
		timeout bool
	}{
		{Error{Err: syscall.EEXIST}, []error{fs.ErrExist}, false},
		{Error{Err: syscall.ENOENT}, []error{fs.ErrNotExist}, false},
		{Error{Err: syscall.EIDRM}, []error{fs.ErrNotExist}, false},
		{Error{Err: syscall.EACCES}, []error{fs.ErrPermission}, false},
		{Error{Err: syscall.EPERM}, []error{fs.ErrPermission}, false},
		{Error{Err: syscall.EINVAL}, nil, false},
		{Error{Err: syscall.EAGAIN}, nil, false},
		{Error{Err: syscall.EAGAIN, timeout: true}, []error{os.ErrDeadlineExceeded}, true},
		{Error{Err: syscall.ENOSYS}, []error{errors.ErrUnsupported}, false},
		{Error{Err: context.Canceled}, []error{context.Canceled}, false},
		{Error{Err: context.DeadlineExceeded}, []error{context.DeadlineExceeded}, true},
	} {
		var err error = &c.err
		if !errors.Is(err, c.err.Err) {
			t.Errorf("%v is not %v", err, c.err.Err)
		}
		for _, s := range sentinels {
			want := false
			for _, w := range c.is {
				want = want || w == s
			}
			if errors.Is(err, s) != want {
				t.Errorf("%v is %q: %v, want %v", err, s, !want, want)
			}
		}
		if c.err.Timeout() != c.timeout {
			t.Errorf("%v: time-out %v, want %v", err, !c.timeout, c.timeout)
		}
	}
}
