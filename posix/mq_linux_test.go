//go:build linux && (amd64 || arm64)

package posix_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/isolate"
	"github.com/seed-247006a4/shoal/posix"
)

// patience is for what should take microseconds: reaching it is a failure.
const patience = 20 * time.Second

// newQueue makes a queue for the test.
func newQueue(t testing.TB, name string, messages, bytes int) *posix.MQ {
	t.Helper()
	q, err := posix.MQOpen(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, &posix.MQAttr{MaxMessages: messages, MaxMessageBytes: bytes})
	must(t, err)
	t.Cleanup(func() {
		q.Close()
		if err := posix.MQUnlink(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	})
	return q
}

// waiting returns once n goroutines of this process wait in the poller for, or
// in line before, a queue: their stacks say so.
func waiting(t testing.TB, n int) {
	t.Helper()
	buf := make([]byte, 1<<20)
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		found := 0
		for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
			state, _, _ := strings.Cut(stack, "\n")
			if strings.Contains(stack, "posix.(*direction).await") && (strings.Contains(state, "[IO wait") || strings.Contains(state, "[select")) {
				found++
			}
		}
		if found >= n {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines wait, want %d", found, n)
		}
	}
}

func TestMessagesComeByPriorityAndAge(t *testing.T) {
	q := newQueue(t, "/shoal-mq", 4, 32)
	ctx := t.Context()
	for i, m := range []struct {
		text     string
		priority uint
	}{{"low", 0}, {"high 1", posix.MQPrioMax - 1}, {"", 5}, {"high 2", posix.MQPrioMax - 1}} {
		must(t, q.Send(ctx, []byte(m.text), m.priority))
		if a, err := q.Attr(); err != nil || a != (posix.MQAttr{MaxMessages: 4, MaxMessageBytes: 32, Messages: i + 1}) {
			t.Errorf("Attr: %+v, %v", a, err)
		}
	}
	wantErr(t, q.TrySend([]byte("one more"), 0), "mq_send", "/shoal-mq", syscall.EAGAIN)
	buf := make([]byte, 32)
	for _, want := range []string{"high 1 32767", "high 2 32767", " 5", "low 0"} {
		n, priority, err := q.Receive(ctx, buf)
		if got := fmt.Sprintf("%s %d", buf[:n], priority); err != nil || got != want {
			t.Errorf("received %q, %v; want %q", got, err, want)
		}
	}
	_, _, err := q.TryReceive(buf)
	wantErr(t, err, "mq_receive", "/shoal-mq", syscall.EAGAIN)
}

func TestQueueNames(t *testing.T) {
	longest := "/" + strings.Repeat("n", 255)
	newQueue(t, longest, 1, 1)
	for name, want := range map[string]syscall.Errno{
		"":                   syscall.EINVAL,
		"shoal":              syscall.EINVAL,
		"/":                  syscall.ENOENT,
		"/a/b":               syscall.EACCES,
		"//a":                syscall.EACCES,
		"/a/":                syscall.EACCES,
		"/.":                 syscall.EACCES,
		"/..":                syscall.EACCES,
		"/a\x00b":            syscall.EINVAL,
		longest + "n":        syscall.ENAMETOOLONG,
		"/shoal-not-there":   syscall.ENOENT,
		longest[:len("/nn")]: syscall.ENOENT,
	} {
		_, err := posix.MQOpen(name, os.O_RDWR, 0, nil)
		wantErr(t, err, "mq_open", name, want)
		wantErr(t, posix.MQUnlink(name), "mq_unlink", name, want)
		if want != syscall.ENOENT || name == "/" {
			_, err = posix.MQOpen(name, os.O_RDWR|os.O_CREATE, 0o600, nil)
			wantErr(t, err, "mq_open", name, want)
		}
	}
}

func TestQueueOpen(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	const name = "/shoal-mq"
	q := newQueue(t, name, 2, 8)
	_, err := posix.MQOpen(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600, nil)
	wantErr(t, err, "mq_open", name, fs.ErrExist)
	for _, c := range []struct {
		flag int
		perm fs.FileMode
	}{{os.O_WRONLY | os.O_RDWR, 0}, {os.O_RDWR | os.O_TRUNC, 0}, {os.O_RDWR | syscall.O_NONBLOCK, 0}, {os.O_RDWR | os.O_CREATE, fs.ModeSetgid}} {
		_, err := posix.MQOpen(name, c.flag, c.perm, nil)
		wantErr(t, err, "mq_open", name, syscall.EINVAL)
	}
	if q.Name() != name {
		t.Errorf("Name: %q", q.Name())
	}

	// An existing queue keeps its size; the ends are one-way.
	in, err := posix.MQOpen(name, os.O_RDONLY|os.O_CREATE, 0, &posix.MQAttr{MaxMessages: 1, MaxMessageBytes: 1})
	must(t, err)
	defer in.Close()
	out, err := posix.MQOpen(name, os.O_WRONLY, 0, nil)
	must(t, err)
	defer out.Close()
	if a, err := in.Attr(); err != nil || a != (posix.MQAttr{MaxMessages: 2, MaxMessageBytes: 8}) {
		t.Errorf("Attr: %+v, %v", a, err)
	}
	wantErr(t, in.TrySend(nil, 0), "mq_send", name, syscall.EBADF)
	_, _, err = out.TryReceive(make([]byte, 8))
	wantErr(t, err, "mq_receive", name, syscall.EBADF)

	// What does not fit.
	wantErr(t, out.TrySend(make([]byte, 9), 0), "mq_send", name, syscall.EMSGSIZE)
	wantErr(t, out.TrySend(nil, posix.MQPrioMax), "mq_send", name, syscall.EINVAL)
	must(t, out.TrySend([]byte("x"), 0))
	_, _, err = in.TryReceive(make([]byte, 7))
	wantErr(t, err, "mq_receive", name, syscall.EMSGSIZE)
	if err == nil || !strings.Contains(err.Error(), "the buffer has 7 bytes, the queue's messages up to 8") {
		t.Errorf("does not say why: %v", err)
	}
	if a, err := in.Attr(); err != nil || a.Messages != 1 {
		t.Errorf("%d messages after a refused receive, %v", a.Messages, err)
	}
}

func TestQueueLimits(t *testing.T) {
	for _, a := range []posix.MQAttr{{0, 1, 0}, {1, 0, 0}, {-1, 1, 0}, {1, -1, 0}, {1 << 30, 1, 0}, {1, 1 << 40, 0}} {
		_, err := posix.MQOpen("/shoal-mq", os.O_RDWR|os.O_CREATE, 0o600, &a)
		wantErr(t, err, "mq_open", "/shoal-mq", syscall.EINVAL)
		if err == nil || !strings.Contains(err.Error(), "permitted (msg_max and msgsize_max in /proc/sys/fs/mqueue)") {
			t.Errorf("does not name the limits: %v", err)
		}
	}
	if _, err := posix.MQOpen("/shoal-mq", os.O_RDWR, 0, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}

	// The defaults are the system's.
	var wants [2]int
	for i, file := range []string{"msg_default", "msgsize_default"} {
		text, err := os.ReadFile("/proc/sys/fs/mqueue/" + file)
		must(t, err)
		_, err = fmt.Sscan(string(text), &wants[i])
		must(t, err)
	}
	q, err := posix.MQOpen("/shoal-mq", os.O_RDWR|os.O_CREATE, 0o600, nil)
	must(t, err)
	defer posix.MQUnlink("/shoal-mq")
	defer q.Close()
	if a, err := q.Attr(); err != nil || a != (posix.MQAttr{MaxMessages: wants[0], MaxMessageBytes: wants[1]}) {
		t.Errorf("Attr: %+v, %v, want %v", a, err, wants)
	}

	// Bytes of one user.
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_MSGQUEUE, &old))
	must(t, unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &unix.Rlimit{Cur: 0, Max: old.Max}))
	defer unix.Setrlimit(unix.RLIMIT_MSGQUEUE, &old)
	_, err = posix.MQOpen("/shoal-mq-2", os.O_RDWR|os.O_CREATE, 0o600, nil)
	wantErr(t, err, "mq_open", "/shoal-mq-2", syscall.EMFILE)
}

func init() {
	roles["limits"] = func() string { // the limits that root passes
		_, err := posix.MQOpen("/shoal-mq", os.O_RDWR|os.O_CREATE, 0o600, &posix.MQAttr{MaxMessages: 1, MaxMessageBytes: 1 << 20})
		_, err2 := posix.MQOpen("/shoal-mq-2", os.O_RDWR|os.O_CREATE, 0o600, &posix.MQAttr{MaxMessages: 1, MaxMessageBytes: 1})
		return errno(err) + ", " + errno(err2)
	}
	roles["reach queue"] = func() string {
		var said []string
		for _, flag := range []int{os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_RDWR | os.O_CREATE} {
			q, err := posix.MQOpen("/shoal-mq", flag, 0o600, nil)
			if err == nil {
				err = q.Close()
			}
			said = append(said, errno(err))
		}
		return strings.Join(append(said, errno(posix.MQUnlink("/shoal-mq"))), ", ")
	}
}

func TestQueuesOfOtherUsers(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	q, err := posix.MQOpen("/shoal-mq", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o604, nil)
	must(t, err)
	defer posix.MQUnlink("/shoal-mq")
	defer q.Close()
	const want = "ok, permission denied, permission denied, permission denied, permission denied"
	if got := asNobody(t, "reach queue"); got != want {
		t.Errorf("another user got %s\nwant %s", got, want)
	}
	must(t, posix.MQUnlink("/shoal-mq")) // it is still there

	isolate.Require(t) // the limits are the IPC namespace's
	const limit = "/proc/sys/fs/mqueue/queues_max"
	old, err := os.ReadFile(limit)
	must(t, err)
	if err := os.WriteFile(limit, []byte("0"), 0); err != nil {
		t.Skipf("needs to change a limit: %v", err)
	}
	defer os.WriteFile(limit, old, 0)
	if got := asNobody(t, "limits"); got != "invalid argument, no space left on device" && got != "no space left on device, no space left on device" {
		t.Errorf("beyond the limits another user got %s", got)
	}
}

// TestManyWaitersNoThreads has a thousand goroutines wait in both directions,
// each for one message.
func TestManyWaitersNoThreads(t *testing.T) {
	const waiters = 1000
	q := newQueue(t, "/shoal-mq", 4, 8)
	threads := func() int {
		tasks, err := os.ReadDir("/proc/self/task")
		must(t, err)
		return len(tasks)
	}
	before := threads()
	var all sync.WaitGroup
	got := make(chan string, waiters)
	for range waiters {
		all.Go(func() {
			buf := make([]byte, 8)
			n, _, err := q.Receive(t.Context(), buf)
			if err != nil {
				t.Error(err)
			}
			got <- string(buf[:n])
		})
	}
	waiting(t, waiters)
	if n := threads() - before; n > 20 {
		t.Errorf("%d waiters took %d threads", waiters, n)
	}
	for i := range waiters {
		must(t, q.Send(t.Context(), fmt.Appendf(nil, "m%d", i), 0))
	}
	all.Wait()
	close(got)
	seen := map[string]bool{}
	for m := range got {
		seen[m] = true
	}
	if len(seen) != waiters {
		t.Errorf("%d of %d messages arrived", len(seen), waiters)
	}
}

// TestContextEndsOneWait checks that one waiter's time does not end another's.
func TestContextEndsOneWait(t *testing.T) {
	q := newQueue(t, "/shoal-mq", 1, 8)
	for _, send := range []bool{false, true} {
		wait := func(ctx context.Context) error {
			if send {
				return q.Send(ctx, []byte("waited"), 0)
			}
			_, _, err := q.Receive(ctx, make([]byte, 8))
			return err
		}
		op, free := "mq_receive", func() error { return q.TrySend([]byte("x"), 0) }
		if send {
			must(t, q.TrySend([]byte("full"), 0))
			op, free = "mq_send", func() error { _, _, err := q.TryReceive(make([]byte, 8)); return err }
		}
		first, cancelFirst := context.WithCancel(t.Context())
		second, cancelSecond := context.WithCancel(t.Context())
		errs := [3]chan error{make(chan error, 1), make(chan error, 1), make(chan error, 1)}
		go func() { errs[0] <- wait(first) }()
		waiting(t, 1) // the first has the place in the poller
		go func() { errs[1] <- wait(second) }()
		go func() { errs[2] <- wait(t.Context()) }()
		waiting(t, 3)
		cancelSecond() // in line
		wantErr(t, <-errs[1], op, "/shoal-mq", context.Canceled)
		cancelFirst() // in the poller
		wantErr(t, <-errs[0], op, "/shoal-mq", context.Canceled)
		waiting(t, 1)
		must(t, free())
		must(t, <-errs[2])

		done, cancel := context.WithCancel(t.Context())
		cancel()
		wantErr(t, wait(done), op, "/shoal-mq", context.Canceled)
		late, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		err := wait(late)
		wantErr(t, err, op, "/shoal-mq", context.DeadlineExceeded)
		var timeout interface{ Timeout() bool }
		if !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%v is no time-out", err)
		}
		if a, err := q.Attr(); err != nil || a.Messages != map[bool]int{false: 0, true: 1}[send] {
			t.Errorf("%d messages after waits that failed, %v", a.Messages, err)
		}
	}
}

func TestCloseWakesWaiters(t *testing.T) {
	q := newQueue(t, "/shoal-mq", 1, 8)
	const waiters = 3
	errs := make(chan error, waiters)
	for range waiters {
		go func() {
			_, _, err := q.Receive(t.Context(), make([]byte, 8))
			errs <- err
		}()
	}
	waiting(t, waiters)
	must(t, q.Close())
	for range waiters {
		wantErr(t, <-errs, "mq_receive", "/shoal-mq", os.ErrClosed)
	}
	wantErr(t, q.Close(), "mq_close", "/shoal-mq", os.ErrClosed)
	wantErr(t, q.Send(t.Context(), nil, 0), "mq_send", "/shoal-mq", os.ErrClosed)
	_, err := q.Attr()
	wantErr(t, err, "mq_getattr", "/shoal-mq", os.ErrClosed)
}

// TestNoMessageIsLostToCancelling races cancelling with arriving: each message
// is either returned or still in the queue.
func TestNoMessageIsLostToCancelling(t *testing.T) {
	q := newQueue(t, "/shoal-mq", 10, 8)
	returned := 0
	const rounds = 2000
	for range rounds {
		ctx, cancel := context.WithCancel(t.Context())
		var both sync.WaitGroup
		both.Go(cancel)
		both.Go(func() {
			if err := q.TrySend([]byte("x"), 0); err != nil {
				t.Error(err)
			}
		})
		n, _, err := q.Receive(ctx, make([]byte, 8))
		both.Wait()
		switch {
		case err == nil && n == 1:
			returned++
		case errors.Is(err, context.Canceled):
			if _, _, err := q.TryReceive(make([]byte, 8)); err != nil {
				t.Fatalf("the message is neither returned nor in the queue: %v", err)
			}
		default:
			t.Fatalf("%d, %v", n, err)
		}
	}
	t.Logf("%d of %d messages came before their cancelling", returned, rounds)
}

const queueProgram = `
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(int bad, const char *call) {
	if (bad) { fprintf(stderr, "%s: %s\n", call, strerror(errno)); exit(1); }
}

int main(int argc, char **argv) {
	char text[64];
	unsigned priority;
	mqd_t q;
	if (!strcmp(argv[1], "send")) { /* makes the queue */
		struct mq_attr a = { .mq_maxmsg = 3, .mq_msgsize = 64 };
		check((q = mq_open(argv[2], O_WRONLY | O_CREAT | O_EXCL, 0600, &a)) < 0, "mq_open");
		check(mq_send(q, "from C, low", 11, 1) < 0, "mq_send");
		check(mq_send(q, "from C, high", 12, 9) < 0, "mq_send");
		return 0;
	}
	check((q = mq_open(argv[2], O_RDWR)) < 0, "mq_open");
	/* echo: waits for each message, and sends it back one priority higher */
	puts("ready");
	fflush(stdout);
	for (;;) {
		ssize_t n = mq_receive(q, text, sizeof text, &priority);
		check(n < 0, "mq_receive");
		printf("%u %.*s\n", priority, (int)n, text);
		if (n == 0) return 0;
		fflush(stdout);
	}
}
`

func TestQueuesBetweenGoAndC(t *testing.T) {
	program := cProgram(t, queueProgram)

	runC(t, program, "send", "/shoal-mq-c")
	q, err := posix.MQOpen("/shoal-mq-c", os.O_RDWR, 0, nil)
	must(t, err)
	defer posix.MQUnlink("/shoal-mq-c")
	defer q.Close()
	if a, err := q.Attr(); err != nil || a != (posix.MQAttr{MaxMessages: 3, MaxMessageBytes: 64, Messages: 2}) {
		t.Errorf("Attr: %+v, %v", a, err)
	}
	buf := make([]byte, 64)
	for _, want := range []string{"9 from C, high", "1 from C, low"} {
		n, priority, err := q.Receive(t.Context(), buf)
		if got := fmt.Sprintf("%d %s", priority, buf[:n]); err != nil || got != want {
			t.Errorf("received %q, %v; want %q", got, err, want)
		}
	}

	mine := newQueue(t, "/shoal-mq-go", 3, 64)
	cmd := exec.Command(program, "receive", "/shoal-mq-go")
	cmd.Stderr = os.Stderr
	pipe, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	lines := bufio.NewScanner(pipe)
	for _, step := range []struct {
		text     string
		priority uint
		want     string
	}{{"from Go", 3, "ready"}, {"again", posix.MQPrioMax - 1, "3 from Go"}, {"", 0, "32767 again"}} {
		if !lines.Scan() || lines.Text() != step.want {
			t.Errorf("C says %q, want %q", lines.Text(), step.want)
		}
		must(t, mine.Send(t.Context(), []byte(step.text), step.priority))
	}
	if !lines.Scan() || lines.Text() != "0 " {
		t.Errorf("C says %q", lines.Text())
	}
	must(t, cmd.Wait())
}

// TestQueueDescriptorStaysHere checks that no child inherits a queue.
func TestQueueDescriptorStaysHere(t *testing.T) {
	newQueue(t, "/shoal-mq", 1, 1)
	links, err := filepath.Glob("/proc/self/fd/*")
	must(t, err)
	found := false
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasSuffix(to, "/shoal-mq") {
			info, err := os.ReadFile("/proc/self/fdinfo/" + filepath.Base(l))
			must(t, err)
			var flags int
			for line := range bytes.Lines(info) {
				fmt.Sscanf(string(line), "flags: %o", &flags)
			}
			found = true
			if flags&syscall.O_CLOEXEC == 0 {
				t.Errorf("flags %#o", flags)
			}
		}
	}
	if !found {
		t.Error("no descriptor of the queue among ", links)
	}
}
