//go:build !(linux && (amd64 || arm64))

package sysv

import (
	"context"
	"errors"
	"testing"
)

// GOARCH=386 go test ./sysv runs this on an x86-64 Linux.
func TestUnsupported(t *testing.T) {
	only := func(_ any, err error) error { return err }
	ctx := context.Background()
	_, _, receiveErr := MsgID(0).Receive(nil, 0, 0)
	_, _, receiveContextErr := MsgID(0).ReceiveContext(ctx, nil, 0, 0)
	_, _, residencyErr := ShmID(0).Residency()
	for name, err := range map[string]error{
		"Ftok":                 only(Ftok("/", 'A')),
		"ShmGet":               only(ShmGet(1, 1, Create|0o600)),
		"ShmAt":                only(ShmAt(0, 0, 0)),
		"ShmDt":                ShmDt([]byte{1}),
		"ShmDt nil":            ShmDt(nil),
		"ShmID.Stat":           only(ShmID(0).Stat()),
		"ShmID.Residency":      residencyErr,
		"ShmID.Set":            ShmID(0).Set(Perm{}),
		"ShmID.Remove":         ShmID(0).Remove(),
		"ShmID.Lock":           ShmID(0).Lock(),
		"ShmID.Unlock":         ShmID(0).Unlock(),
		"ShmList":              only(ShmList()),
		"ShmLimits":            only(ShmLimits()),
		"ShmUsage":             only(ShmUsage()),
		"SemGet":               only(SemGet(1, 1, Create|0o600)),
		"SemID.Op":             SemID(0).Op(SemBuf{}),
		"SemID.TimedOp":        SemID(0).TimedOp(0, SemBuf{}),
		"SemID.OpContext":      SemID(0).OpContext(ctx, SemBuf{}),
		"SemID.Value":          only(SemID(0).Value(0)),
		"SemID.NCount":         only(SemID(0).NCount(0)),
		"SemID.ZCount":         only(SemID(0).ZCount(0)),
		"SemID.PID":            only(SemID(0).PID(0)),
		"SemID.SetValue":       SemID(0).SetValue(0, 0),
		"SemID.All":            only(SemID(0).All()),
		"SemID.SetAll":         SemID(0).SetAll(nil),
		"SemID.Stat":           only(SemID(0).Stat()),
		"SemID.OTime":          only(SemID(0).OTime()),
		"SemID.Set":            SemID(0).Set(Perm{}),
		"SemID.Remove":         SemID(0).Remove(),
		"SemList":              only(SemList()),
		"SemLimits":            only(SemLimits()),
		"SemUsage":             only(SemUsage()),
		"MsgGet":               only(MsgGet(1, Create|0o600)),
		"MsgID.Send":           MsgID(0).Send(1, nil, 0),
		"MsgID.SendContext":    MsgID(0).SendContext(ctx, 1, nil, 0),
		"MsgID.Receive":        receiveErr,
		"MsgID.ReceiveContext": receiveContextErr,
		"MsgID.Stat":           only(MsgID(0).Stat()),
		"MsgID.Set":            MsgID(0).Set(Perm{}, 1),
		"MsgID.Set negative":   MsgID(0).Set(Perm{}, -1),
		"MsgID.Remove":         MsgID(0).Remove(),
		"MsgList":              only(MsgList()),
		"MsgLimits":            only(MsgLimits()),
		"MsgUsage":             only(MsgUsage()),
	} {
		var e *Error
		if !errors.Is(err, errors.ErrUnsupported) || !errors.As(err, &e) || e.Call == "" {
			t.Errorf("%s: %v, want an *Error of errors.ErrUnsupported", name, err)
		}
	}
}
