//go:build linux && (amd64 || arm64)

package interop

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-247006a4/shoal/posix"
	"github.com/seed-247006a4/shoal/sysv"
)

// TestMessages sends System V messages both ways, of several types and lengths.
func TestMessages(t *testing.T) {
	program := compile(t, "msg")
	output(t, program, "0x359", "create")
	id, err := sysv.MsgGet(0x359, 0o600)
	must(t, err)
	t.Cleanup(func() { id.Remove() })
	buf := make([]byte, 4096)

	// C to Go, by type.
	output(t, program, "0x359", "send", "5", "five")
	output(t, program, "0x359", "send", "3", "")
	output(t, program, "0x359", "send", "9", strings.Repeat("n", 4000))
	wantOutput(t, stat(t, id, 3, 4004), program, "0x359", "stat")
	for _, c := range []struct {
		typ  int64
		flag sysv.Flag
		got  int64
		text string
	}{{9, 0, 9, strings.Repeat("n", 4000)}, {-4, 0, 3, ""}, {3, sysv.MsgExcept, 5, "five"}} {
		n, typ, err := id.Receive(buf, c.typ, c.flag|sysv.NoWait)
		if err != nil || typ != c.got || string(buf[:n]) != c.text {
			t.Errorf("Receive(%d): type %d, %.20q, %v", c.typ, typ, buf[:n], err)
		}
	}
	if _, _, err := id.Receive(buf, 0, sysv.NoWait); !errors.Is(err, syscall.ENOMSG) {
		t.Errorf("of an empty queue: %v", err)
	}

	// Go to C, by type.
	must(t, id.Send(1, []byte("one"), 0))
	must(t, id.Send(1<<40, []byte("large type"), 0))
	must(t, id.Send(2, nil, 0))
	wantOutput(t, stat(t, id, 3, 13), program, "0x359", "stat")
	wantOutput(t, fmt.Sprintf("type %d length 10 text large type\n", int64(1)<<40), program, "0x359", "receive", fmt.Sprint(int64(1)<<40))
	wantOutput(t, "type 1 length 3 text one\n", program, "0x359", "receive", "0")
	wantOutput(t, "type 2 length 0 text \n", program, "0x359", "receive", "-7")

	// C sleeps until Go sends.
	waiting := start(t, program, "0x359", "receive", "4")
	must(t, id.Send(4, []byte("wake up"), 0))
	waiting.says("type 4 length 7 text wake up")
	waiting.ends()

	wantFailure(t, "msgsnd: Invalid argument", exec.Command(program, "0x359", "send", "0", "no type"))
	must(t, id.Remove())
	wantFailure(t, "msgget: No such file or directory", exec.Command(program, "0x359", "stat"))
}

// stat is what C must print of a queue, by what Go sees of it.
func stat(t *testing.T, id sysv.MsgID, messages, bytes int64) string {
	t.Helper()
	info, err := id.Stat()
	must(t, err)
	if info.Messages != messages || info.Bytes != bytes || info.Mode != 0o640 {
		t.Errorf("Stat: %+v; want %d messages of %d bytes", info, messages, bytes)
	}
	return line("id %d key 0x359 mode 0640 uid %d messages %d bytes %d maximum %d sender %d receiver %d", id, os.Geteuid(),
		messages, bytes, info.MaxBytes, info.LastSendPID, info.LastReceivePID)
}

// TestPosixMessages sends POSIX messages both ways, in the order of their priorities.
func TestPosixMessages(t *testing.T) {
	program := compile(t, "mq")
	output(t, program, "/interop", "create", "4", "100")
	t.Cleanup(func() { posix.MQUnlink("/interop") })
	q, err := posix.MQOpen("/interop", os.O_RDWR, 0, nil)
	must(t, err)
	defer q.Close()
	if attr, err := q.Attr(); err != nil || attr.MaxMessages != 4 || attr.MaxMessageBytes != 100 {
		t.Errorf("Attr: %+v, %v", attr, err)
	}

	output(t, program, "/interop", "send", "1", "later")
	output(t, program, "/interop", "send", "32767", "first")
	buf := make([]byte, 100)
	for _, want := range []struct {
		priority uint
		text     string
	}{{32767, "first"}, {1, "later"}} {
		n, priority, err := q.Receive(t.Context(), buf)
		if err != nil || priority != want.priority || string(buf[:n]) != want.text {
			t.Errorf("Receive: priority %d, %q, %v; want %d, %q", priority, buf[:n], err, want.priority, want.text)
		}
	}
	must(t, q.Send(t.Context(), []byte("low"), 0))
	must(t, q.Send(t.Context(), []byte("high"), 9))
	wantOutput(t, "priority 9 length 4 text high\n", program, "/interop", "receive")
	wantOutput(t, "priority 0 length 3 text low\n", program, "/interop", "receive")

	waiting := start(t, program, "/interop", "receive")
	must(t, q.Send(t.Context(), []byte("wake up"), 2))
	waiting.says("priority 2 length 7 text wake up")
	waiting.ends()
	output(t, program, "/interop", "unlink")
	if _, err := posix.MQOpen("/interop", os.O_RDWR, 0, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after mq_unlink: %v", err)
	}
}
