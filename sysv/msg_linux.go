//go:build linux && (amd64 || arm64)

package sysv

import (
	"context"
	"encoding/binary"
	"sync"
	"syscall"
	"time"

	"github.com/seed-247006a4/shoal/internal/sys"
)

func msgGet(key Key, flags Flag) (int, error) { return sys.Msgget(int32(key), int(flags)) }

// The kernel wants a message's type and text in one piece of memory, the
// caller has them apart: they meet in a buffer. Those of up to the default
// kernel.msgmax are used again.
const pooledText = 8192

var pool = sync.Pool{New: func() any {
	b := make([]byte, sys.MsgHeader+pooledText)
	return &b
}}

// withBuffer calls f with a buffer for a text of size bytes.
func withBuffer[T any](size int, f func(buf []byte) (T, error)) (T, error) {
	if size > pooledText {
		return f(make([]byte, sys.MsgHeader+size))
	}
	b := pool.Get().(*[]byte)
	defer pool.Put(b)
	return f((*b)[:sys.MsgHeader+size])
}

func msgSend(id MsgID, typ int64, data []byte, flags Flag) error {
	return msgSendContext(context.Background(), id, typ, data, flags)
}

func msgSendContext(ctx context.Context, id MsgID, typ int64, data []byte, flags Flag) error {
	_, err := withBuffer(len(data), func(buf []byte) (struct{}, error) {
		binary.NativeEndian.PutUint64(buf, uint64(typ))
		copy(buf[sys.MsgHeader:], data)
		return struct{}{}, msgWait(ctx, flags, syscall.EAGAIN, func(flags Flag) error {
			return sys.Msgsnd(int(id), buf, int(flags))
		})
	})
	return err
}

func msgReceive(id MsgID, buf []byte, typ int64, flags Flag) (int, int64, error) {
	return msgReceiveContext(context.Background(), id, buf, typ, flags)
}

func msgReceiveContext(ctx context.Context, id MsgID, buf []byte, typ int64, flags Flag) (int, int64, error) {
	var got int64
	n, err := withBuffer(len(buf), func(b []byte) (n int, err error) {
		err = msgWait(ctx, flags, syscall.ENOMSG, func(flags Flag) (err error) {
			n, err = sys.Msgrcv(int(id), b, typ, int(flags))
			return err
		})
		if err != nil {
			return 0, err
		}
		got = int64(binary.NativeEndian.Uint64(b))
		copy(buf, b[sys.MsgHeader:][:n])
		return n, nil
	})
	return n, got, err
}

// msgWait performs call, which sleeps unless its flags say NoWait and then
// returns busy.
func msgWait(ctx context.Context, flags Flag, busy syscall.Errno, call func(Flag) error) error {
	if flags&NoWait != 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		return retry(func() error { return call(flags) })
	}
	try := func() error { return call(flags | NoWait) }
	return operation{
		busy: busy,
		call: func(sleep bool) error {
			if sleep {
				return call(flags)
			}
			return try()
		},
		nap: func(d time.Duration) (bool, error) {
			time.Sleep(d) // messages know no time-out
			err := retry(try)
			return err == busy, err
		},
	}.wait(ctx)
}

func msgStat(id MsgID) (MsgInfo, error) {
	var ds sys.MsqidDs
	if err := sys.MsgStat(int(id), &ds); err != nil {
		return MsgInfo{}, err
	}
	return toMsgInfo(int(id), &ds), nil
}

func toMsgInfo(id int, ds *sys.MsqidDs) MsgInfo {
	return MsgInfo{
		ID:             MsgID(id),
		Key:            Key(ds.Perm.Key),
		Bytes:          int64(ds.Cbytes),
		Messages:       int64(ds.Qnum),
		MaxBytes:       int64(ds.Qbytes),
		UID:            ds.Perm.UID,
		GID:            ds.Perm.GID,
		CreatorUID:     ds.Perm.CUID,
		CreatorGID:     ds.Perm.CGID,
		Mode:           Mode(ds.Perm.Mode),
		LastSendPID:    int(ds.Lspid),
		LastReceivePID: int(ds.Lrpid),
		SendTime:       seconds(ds.Stime),
		ReceiveTime:    seconds(ds.Rtime),
		ChangeTime:     seconds(ds.Ctime),
	}
}

func msgSet(id MsgID, p Perm, maxBytes int64) error {
	return sys.MsgSet(int(id), &sys.MsqidDs{Perm: toIpcPerm(p), Qbytes: uint64(maxBytes)})
}

func msgRemove(id MsgID) error { return sys.MsgRemove(int(id)) }

func msgLimits() (MsgLimit, error) {
	var m sys.Msginfo
	if _, err := sys.MsgInfo(sys.IPC_INFO, &m); err != nil {
		return MsgLimit{}, err
	}
	return MsgLimit{MaxQueues: int(m.Msgmni), MaxMessageBytes: int(m.Msgmax), MaxQueueBytes: int(m.Msgmnb)}, nil
}

func msgUsage() (MsgUse, error) {
	var m sys.Msginfo
	if _, err := sys.MsgInfo(sys.MSG_INFO, &m); err != nil {
		return MsgUse{}, err
	}
	return MsgUse{Queues: int(m.Msgpool), Messages: int(m.Msgmap), Bytes: int64(m.Msgtql)}, nil
}

// msgStatAny is replaced by tests.
var msgStatAny = func(index int) (MsgInfo, error) {
	var ds sys.MsqidDs
	id, err := sys.MsgStatAny(index, &ds)
	if err != nil {
		return MsgInfo{}, err
	}
	return toMsgInfo(id, &ds), nil
}

func msgList() ([]MsgInfo, error) {
	var m sys.Msginfo
	highest, err := sys.MsgInfo(sys.MSG_INFO, &m)
	if err != nil {
		return nil, err
	}
	list, err := listAny(highest, int(m.Msgpool), msgStatAny)
	if err != nil {
		return fallBack(err, procMsg, parseMsg)
	}
	return list, nil
}
