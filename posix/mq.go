package posix

import (
	"context"
	"io/fs"
)

// MQAttr tells how large a message queue is, and how full (struct mq_attr).
type MQAttr struct {
	MaxMessages     int // messages that it holds (mq_maxmsg)
	MaxMessageBytes int // bytes in one message (mq_msgsize)
	Messages        int // messages in it now (mq_curmsgs); not looked at by MQOpen
}

// MQ is an open POSIX message queue: whole messages, in the order of their
// priorities, and of their arrival within one (mq_overview(7)). C programs that
// mq_open the same name are at its other end.
//
// Its methods may be called from any goroutine at any time. One that waits
// costs no thread: the descriptor is in the runtime's poller. Of several waiters
// any may be served first.
type MQ struct {
	name string
	q    mq
}

// MQOpen opens the message queue name, and creates it if flag has os.O_CREATE,
// like mq_open(3).
//
// The name is a slash and 1 to 255 bytes without another. flag is os.O_RDONLY
// (to receive), os.O_WRONLY (to send) or os.O_RDWR, or-ed with any of
// os.O_CREATE and os.O_EXCL; anything else is EINVAL. perm is the mode of a new
// queue, less the umask, and attr its size; nil means the system's default
// (/proc/sys/fs/mqueue/msg_default and msgsize_default: 10 messages of 8192
// bytes unless somebody changed them). An existing queue keeps its size.
//
// Errors: EINVAL for a name without slash and for an attr that is not positive
// or above msg_max and msgsize_max in /proc/sys/fs/mqueue (root may go further);
// ENOENT for "/" and for what is not there; EACCES for a second slash in the
// name and for permissions; EEXIST with os.O_EXCL; ENAMETOOLONG; ENOSPC at
// queues_max; EMFILE where the user's queues would have more bytes than
// RLIMIT_MSGQUEUE.
func MQOpen(name string, flag int, perm fs.FileMode, attr *MQAttr) (*MQ, error) {
	q, err := mqOpen(name, flag, perm, attr)
	if err != nil {
		return nil, &fs.PathError{Op: "mq_open", Path: name, Err: err}
	}
	return &MQ{name: name, q: q}, nil
}

// MQUnlink removes the name of a message queue, like mq_unlink(3). Processes
// that have it open keep it; it is freed, with its messages, when the last of
// them lets go.
//
// Errors: as for the name in [MQOpen]; EACCES for another user's queue.
func MQUnlink(name string) error {
	if err := mqUnlink(name); err != nil {
		return &fs.PathError{Op: "mq_unlink", Path: name, Err: err}
	}
	return nil
}

// MQPrioMax is the number of priorities: from 0, the lowest, to
// MQPrioMax-1 (MQ_PRIO_MAX of Linux).
const MQPrioMax = 32768

// Send puts one message, whole, behind those of its priority and above, and
// waits while the queue is full, until ctx is done. It is mq_send(3), and
// mq_timedsend(3) with a deadline in ctx.
//
// data may be empty, and may be used again once Send has returned. An error
// means that nothing was sent; nil that the message was, even if ctx is done by
// now.
//
// Errors: ctx's; EMSGSIZE for more bytes than the queue takes; EINVAL for a
// priority above [MQPrioMax]-1; EBADF on a queue opened os.O_RDONLY; after
// Close, and for those who wait in it then, os.ErrClosed.
func (m *MQ) Send(ctx context.Context, data []byte, priority uint) error {
	return m.fail("mq_send", m.q.send(ctx, true, data, priority))
}

// TrySend is [MQ.Send] that does not wait: a full queue is EAGAIN.
func (m *MQ) TrySend(data []byte, priority uint) error {
	return m.fail("mq_send", m.q.send(context.Background(), false, data, priority))
}

// Receive takes the oldest message of the highest priority, and waits while
// there is none, until ctx is done. It is mq_receive(3), and mq_timedreceive(3)
// with a deadline in ctx.
//
// It copies the message into buf and returns its length and priority. An error
// means that no message was taken; one that was is returned, even if ctx is done
// by now.
//
// Errors: ctx's; EMSGSIZE if buf is shorter than the queue's MaxMessageBytes,
// whatever the message's length; EBADF on a queue opened os.O_WRONLY; after
// Close, and for those who wait in it then, os.ErrClosed.
func (m *MQ) Receive(ctx context.Context, buf []byte) (n int, priority uint, err error) {
	n, priority, err = m.q.receive(ctx, true, buf)
	return n, priority, m.fail("mq_receive", err)
}

// TryReceive is [MQ.Receive] that does not wait: an empty queue is EAGAIN.
func (m *MQ) TryReceive(buf []byte) (n int, priority uint, err error) {
	n, priority, err = m.q.receive(context.Background(), false, buf)
	return n, priority, m.fail("mq_receive", err)
}

// Attr tells how large the queue is, and how full, like mq_getattr(3).
func (m *MQ) Attr() (MQAttr, error) {
	attr, err := m.q.attr()
	return attr, m.fail("mq_getattr", err)
}

// Name returns the name that the queue was opened with.
func (m *MQ) Name() string { return m.name }

// Close closes the descriptor, like mq_close(3). The queue stays, with its
// messages, until [MQUnlink]. Whoever waits in it through this MQ returns with
// os.ErrClosed; so does a second Close.
func (m *MQ) Close() error { return m.fail("mq_close", m.q.close()) }

func (m *MQ) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: m.name, Err: err}
}
