//go:build linux && (amd64 || arm64)

package posix

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/sys"
)

// mq is an open queue. On Linux a queue's descriptor can be polled, so waiting
// is the runtime's business and the calls themselves never sleep:
//
//	try once ----------------------------------> result
//	    |  EAGAIN
//	take the turn (one waiter a direction)
//	    |
//	wait in the poller <--+
//	    |  ready          | EAGAIN: another process was quicker
//	    +-- try ----------+--------------------> result
//
// Of those who wait through one descriptor, one stands in the poller, whose
// deadline is the descriptor's, and the others stand in line for that place.
type mq struct {
	file      *os.File
	conn      syscall.RawConn
	sending   direction
	receiving direction
}

// direction is the place in the poller for those who send, or who receive.
type direction struct {
	turn     chan struct{} // has room for the one whose turn it is
	wait     func(func(fd uintptr) (done bool)) error
	deadline func(time.Time) error
}

// mqFlags are the flags that MQOpen takes.
const mqFlags = os.O_RDONLY | os.O_WRONLY | os.O_RDWR | os.O_CREATE | os.O_EXCL

// mqBase takes the slash off a name, and refuses what the C library refuses
// itself; the kernel does the rest.
func mqBase(name string) (string, error) {
	if name == "" || name[0] != '/' {
		return "", syscall.EINVAL
	}
	return name[1:], nil
}

func mqOpen(name string, flag int, perm fs.FileMode, attr *MQAttr) (mq, error) {
	base, err := mqBase(name)
	if err != nil {
		return mq{}, err
	}
	if flag&^mqFlags != 0 || flag&unix.O_ACCMODE == unix.O_ACCMODE || perm&^fs.ModePerm != 0 {
		return mq{}, syscall.EINVAL
	}
	var size *sys.MqAttr
	if attr != nil {
		size = &sys.MqAttr{Maxmsg: int64(attr.MaxMessages), Msgsize: int64(attr.MaxMessageBytes)}
	}
	fd, err := sys.MqOpen(base, flag|unix.O_NONBLOCK|unix.O_CLOEXEC, uint32(perm), size)
	if err != nil {
		return mq{}, explainMQOpen(err, attr)
	}
	f := os.NewFile(uintptr(fd), name)
	conn, err := f.SyscallConn()
	if err == nil {
		err = f.SetDeadline(time.Time{}) // fails if the poller has not taken it
	}
	if err != nil {
		f.Close()
		return mq{}, err
	}
	return mq{
		file:      f,
		conn:      conn,
		sending:   direction{make(chan struct{}, 1), conn.Write, f.SetWriteDeadline},
		receiving: direction{make(chan struct{}, 1), conn.Read, f.SetReadDeadline},
	}, nil
}

// explainMQOpen adds the limits to an error that is about them.
func explainMQOpen(err error, attr *MQAttr) error {
	switch {
	case err == syscall.EINVAL && attr != nil:
		return fmt.Errorf("%d messages of %d bytes asked, 1 to %s of 1 to %s bytes permitted (msg_max and msgsize_max in %s): %w",
			attr.MaxMessages, attr.MaxMessageBytes, mqLimit("msg_max"), mqLimit("msgsize_max"), mqLimits, err)
	case err == syscall.ENOSPC:
		return fmt.Errorf("%s queues permitted (%s/queues_max): %w", mqLimit("queues_max"), mqLimits, err)
	case err == syscall.EMFILE:
		return fmt.Errorf("too many open files, or bytes in this user's queues (RLIMIT_NOFILE, RLIMIT_MSGQUEUE): %w", err)
	}
	return err
}

// mqLimits holds the limits of the IPC namespace on queues (mq_overview(7)).
const mqLimits = "/proc/sys/fs/mqueue"

func mqLimit(name string) string {
	text, err := os.ReadFile(mqLimits + "/" + name)
	if err != nil {
		return "?"
	}
	return strings.TrimSpace(string(text))
}

func mqUnlink(name string) error {
	base, err := mqBase(name)
	if err != nil {
		return err
	}
	err = sys.MqUnlink(base)
	if err == syscall.EPERM { // POSIX wants EACCES, and gets it from glibc
		err = syscall.EACCES
	}
	return err
}

func (q *mq) send(ctx context.Context, wait bool, data []byte, priority uint) error {
	if priority >= MQPrioMax {
		return fmt.Errorf("priority %d, the highest is %d: %w", priority, MQPrioMax-1, syscall.EINVAL)
	}
	err := q.do(ctx, wait, &q.sending, func(fd int) error { return sys.MqSend(fd, data, uint32(priority)) })
	if err == syscall.EMSGSIZE {
		if a, attrErr := q.attr(); attrErr == nil {
			err = fmt.Errorf("%d bytes, the queue takes messages of up to %d: %w", len(data), a.MaxMessageBytes, err)
		}
	}
	return err
}

func (q *mq) receive(ctx context.Context, wait bool, buf []byte) (n int, priority uint, err error) {
	err = q.do(ctx, wait, &q.receiving, func(fd int) error {
		got, prio, err := sys.MqReceive(fd, buf)
		if err == nil {
			n, priority = got, uint(prio)
		}
		return err
	})
	if err == syscall.EMSGSIZE {
		if a, attrErr := q.attr(); attrErr == nil {
			err = fmt.Errorf("the buffer has %d bytes, the queue's messages up to %d: %w", len(buf), a.MaxMessageBytes, err)
		}
	}
	return n, priority, err
}

// do performs call, which returns EAGAIN if it would have to sleep. The call
// took place if and only if do returns nil.
func (q *mq) do(ctx context.Context, wait bool, d *direction, call func(fd int) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var err error
	if q.conn.Control(func(fd uintptr) { err = call(int(fd)) }) != nil {
		return os.ErrClosed // nothing else can go wrong with it
	}
	if err != syscall.EAGAIN || !wait {
		return err
	}
	return d.await(ctx, call)
}

// await performs call when the poller says that it can be, unless ctx is done
// before.
func (d *direction) await(ctx context.Context, call func(fd int) error) error {
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.turn }()

	// The end of ctx becomes a deadline that is long over. It must not outlast
	// this turn.
	set := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = d.deadline(time.Unix(1, 0)) // fails on a closed file only
		close(set)
	})
	var err error
	waitErr := d.wait(func(fd uintptr) bool {
		err = call(int(fd))
		return err != syscall.EAGAIN
	})
	if !stop() {
		<-set
		_ = d.deadline(time.Time{})
	}
	switch {
	case waitErr == nil:
		return err
	case errors.Is(waitErr, os.ErrDeadlineExceeded):
		return ctx.Err()
	}
	return os.ErrClosed // the poller knows no third reason
}

func (q *mq) attr() (MQAttr, error) {
	var a sys.MqAttr
	err := control(q.file, func(fd int) error { return sys.MqGetattr(fd, &a) })
	if err != nil {
		return MQAttr{}, err
	}
	return MQAttr{MaxMessages: int(a.Maxmsg), MaxMessageBytes: int(a.Msgsize), Messages: int(a.Curmsgs)}, nil
}

func (q *mq) close() error {
	err := q.file.Close()
	if errors.Is(err, os.ErrClosed) {
		return os.ErrClosed
	}
	return err
}
