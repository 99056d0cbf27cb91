package sysv

import (
	"context"
	"time"
)

// MsgID identifies a message queue in the kernel.
type MsgID int32

// MsgGet returns the id of the queue with a key, and makes it where flags say
// so. It is msgget(2).
//
// Errors: EEXIST with Create|Exclusive on an existing key; ENOENT without
// Create on a missing one; EACCES if the queue's mode refuses the access that
// flags ask for; ENOSPC at the limit kernel.msgmni; ENOMEM.
func MsgGet(key Key, flags Flag) (MsgID, error) {
	id, err := msgGet(key, flags)
	if err != nil {
		return -1, wrap("msgget", keyObject(key), err, func(err error) string { return msgGetAdvice(key, err) })
	}
	return MsgID(id), nil
}

// Send puts one message, whole, at the end of the queue, and sleeps while the
// queue is full. It is msgsnd(2).
//
// typ, at least 1, is what receivers choose by. data may be empty, and may be
// used again once Send has returned: the kernel has a copy. The flag is
// [NoWait]. A sleeping Send can be ended by removing the queue only; see
// [MsgID.SendContext].
//
// Errors: EAGAIN with NoWait on a full queue; EIDRM (which is
// [io/fs.ErrNotExist]) if the queue was removed while Send slept; EINVAL for a
// typ below 1, more data than kernel.msgmax, or an id that does not exist (any
// more); EACCES without write permission; ENOMEM.
func (id MsgID) Send(typ int64, data []byte, flags Flag) error {
	return id.sendError(msgSend(id, typ, data, flags), typ, data)
}

// SendContext is [MsgID.Send] that gives up when ctx is done; the error then
// wraps ctx's. An error means that nothing was sent, nil that the message was,
// even if ctx is done by now. About cancelling see [SemID.OpContext].
func (id MsgID) SendContext(ctx context.Context, typ int64, data []byte, flags Flag) error {
	return id.sendError(msgSendContext(ctx, id, typ, data, flags), typ, data)
}

func (id MsgID) sendError(err error, typ int64, data []byte) error {
	if err == nil {
		return nil
	}
	return wrap("msgsnd", idObject(id), err, func(err error) string {
		return msgSendAdvice(id, typ, len(data), err)
	})
}

// Receive takes one message off the queue, and sleeps while there is none. It
// is msgrcv(2).
//
// It copies the text into buf, and returns its length and its type. typ says
// which message:
//
//	typ = 0   the first
//	typ > 0   the first of this type, with [MsgExcept] the first of any other
//	typ < 0   the first of the lowest type that is at most -typ
//
// With [MsgCopy] and [NoWait] typ is a position in the queue, from 0, and the
// message stays there. The other flags are NoWait and [MsgNoError]. A sleeping
// Receive can be ended by removing the queue only; see [MsgID.ReceiveContext].
//
// Errors: ENOMSG with NoWait if no message fits; E2BIG if the message is longer
// than buf, without MsgNoError, and it stays in the queue; EIDRM (which is
// [io/fs.ErrNotExist]) if the queue was removed while Receive slept; EINVAL for
// an id that does not exist (any more), MsgCopy without NoWait or with MsgExcept;
// ENOSYS for MsgCopy on a kernel without it; EACCES without read permission.
func (id MsgID) Receive(buf []byte, typ int64, flags Flag) (n int, got int64, err error) {
	n, got, err = msgReceive(id, buf, typ, flags)
	return n, got, id.receiveError(err, flags, len(buf))
}

// ReceiveContext is [MsgID.Receive] that gives up when ctx is done; the error
// then wraps ctx's. An error means that no message was taken; one that was taken
// is returned, even if ctx is done by now. About cancelling see
// [SemID.OpContext].
func (id MsgID) ReceiveContext(ctx context.Context, buf []byte, typ int64, flags Flag) (n int, got int64, err error) {
	n, got, err = msgReceiveContext(ctx, id, buf, typ, flags)
	return n, got, id.receiveError(err, flags, len(buf))
}

func (id MsgID) receiveError(err error, flags Flag, size int) error {
	if err == nil {
		return nil
	}
	return wrap("msgrcv", idObject(id), err, func(err error) string {
		return msgReceiveAdvice(id, flags, size, err)
	})
}

// MsgInfo is what the kernel knows of a queue (struct msqid_ds).
//
// Process ids are as the caller's pid namespace sees them, 0 for nobody or a
// process of another one. Times have a resolution of one second.
type MsgInfo struct {
	ID             MsgID     // leads to the queue until it is removed, and to no other
	Key            Key       // [Private] for a queue without one
	Bytes          int64     // in the queue: the texts alone
	Messages       int64     // in the queue
	MaxBytes       int64     // the queue is full beyond; -1 if unknown
	UID, GID       uint32    // owner
	CreatorUID     uint32    // who made it
	CreatorGID     uint32    // and with which group
	Mode           Mode      // permissions
	LastSendPID    int       // who last sent
	LastReceivePID int       // who last received
	SendTime       time.Time // last sent; zero if never
	ReceiveTime    time.Time // last received; zero if never
	ChangeTime     time.Time // made, or last changed by Set
}

// Perm returns what [MsgID.Set] would leave unchanged.
func (i MsgInfo) Perm() Perm { return Perm{i.UID, i.GID, i.Mode & 0o777} }

// Stat tells what the kernel knows of the queue: msgctl(2) IPC_STAT.
//
// Errors: EACCES without read permission (use [MsgList], which needs none);
// EINVAL or EIDRM for an id that does not exist (any more).
func (id MsgID) Stat() (MsgInfo, error) {
	info, err := msgStat(id)
	return info, wrap("msgctl(IPC_STAT)", idObject(id), err, idAdvice(id))
}

// Set changes owner, group, permissions and how many bytes the queue takes,
// all of them at once: msgctl(2) IPC_SET. What is to stay comes from
// [MsgID.Stat].
//
// Errors: EPERM unless the caller is owner, creator or privileged, and for more
// bytes than kernel.msgmnb without privilege; EINVAL for an id that does not
// exist (any more), a UID or GID that does not, or negative maxBytes.
func (id MsgID) Set(p Perm, maxBytes int64) error {
	err := errInvalid
	if maxBytes >= 0 {
		err = msgSet(id, p, maxBytes)
	}
	return wrap("msgctl(IPC_SET)", idObject(id), err, func(err error) string {
		return msgSetAdvice(id, maxBytes, err)
	})
}

// Remove removes the queue with its messages at once: msgctl(2) IPC_RMID.
// Whoever sleeps in it wakes with EIDRM.
//
// Errors: EPERM unless the caller is owner, creator or privileged; EINVAL or
// EIDRM for an id that does not exist (any more).
func (id MsgID) Remove() error {
	return wrap("msgctl(IPC_RMID)", idObject(id), msgRemove(id), idAdvice(id))
}

// MsgList returns every queue of the IPC namespace, whatever its permissions,
// in the order of the kernel's table, by MSG_STAT_ANY or, where that fails, from
// /proc/sysvipc/msg (and then without MaxBytes). An entry may be gone when it is
// looked at.
func MsgList() ([]MsgInfo, error) {
	list, err := msgList()
	return list, wrap("msgctl(MSG_STAT_ANY)", "", err, nil)
}

// MsgLimit holds the limits of the IPC namespace on queues (struct msginfo).
type MsgLimit struct {
	MaxQueues       int // kernel.msgmni
	MaxMessageBytes int // one message: kernel.msgmax
	MaxQueueBytes   int // a new queue's MaxBytes: kernel.msgmnb
}

// MsgLimits tells the limits: msgctl(2) IPC_INFO.
func MsgLimits() (MsgLimit, error) {
	l, err := msgLimits()
	return l, wrap("msgctl(IPC_INFO)", "", err, nil)
}

// MsgUse is what all queues of the IPC namespace hold together.
type MsgUse struct {
	Queues   int   // that exist
	Messages int   // in all of them
	Bytes    int64 // of the messages' texts
}

// MsgUsage tells what is used: msgctl(2) MSG_INFO.
func MsgUsage() (MsgUse, error) {
	u, err := msgUsage()
	return u, wrap("msgctl(MSG_INFO)", "", err, nil)
}
