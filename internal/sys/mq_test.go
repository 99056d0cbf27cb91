//go:build linux && (amd64 || arm64)

package sys

import (
	"bytes"
	"errors"
	"syscall"
	"testing"
)

// TestMessageQueueCalls makes each call once, with its arguments where the
// kernel expects them. What they mean is tested in package posix.
func TestMessageQueueCalls(t *testing.T) {
	const name = "shoal-sys-test"
	fd, err := MqOpen(name, syscall.O_RDWR|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NONBLOCK, 0o600, &MqAttr{Maxmsg: 3, Msgsize: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := MqSend(fd, []byte("hello"), 7); err != nil {
		t.Fatal(err)
	}
	var a MqAttr
	if err := MqGetattr(fd, &a); err != nil || a.Flags != syscall.O_NONBLOCK || a.Maxmsg != 3 || a.Msgsize != 16 || a.Curmsgs != 1 {
		t.Errorf("%+v, %v", a, err)
	}
	buf := make([]byte, 16)
	if n, priority, err := MqReceive(fd, buf); err != nil || priority != 7 || !bytes.Equal(buf[:n], []byte("hello")) {
		t.Errorf("%q, priority %d, %v", buf[:n], priority, err)
	}
	if n, _, err := MqReceive(fd, buf); n != -1 || err != syscall.EAGAIN {
		t.Errorf("empty: %d, %v", n, err)
	}
	if err := MqUnlink(name); err != nil {
		t.Error(err)
	}
	if err := MqUnlink(name); err != syscall.ENOENT {
		t.Errorf("second unlink: %v", err)
	}
	for _, err := range []error{MqUnlink("a\x00b"), MqSend(-1, nil, 0), MqGetattr(-1, &a)} {
		if !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EBADF) {
			t.Errorf("%v", err)
		}
	}
	if _, err := MqOpen("a\x00b", 0, 0, nil); err != syscall.EINVAL {
		t.Errorf("NUL in a name: %v", err)
	}
}
