//go:build !(linux && (amd64 || arm64))

package sysv

import (
	"context"
	"errors"
	"time"
)

// This is what lies below the package where there is no System V, or none that
// it knows: nothing.

var (
	errInvalid = errors.ErrUnsupported
	errRange   = errors.ErrUnsupported
)

func isInvalid(error) bool { return false }
func isRemoved(error) bool { return false }

func fileIdentity(string) (ino, dev uint64, err error) { return 0, 0, errors.ErrUnsupported }

func shmGet(Key, int, Flag) (int, error)               { return -1, errors.ErrUnsupported }
func shmAt(ShmID, uintptr, AttachFlag) ([]byte, error) { return nil, errors.ErrUnsupported }
func shmDt([]byte) error                               { return errors.ErrUnsupported }
func address([]byte) uintptr                           { return 0 }
func shmStat(ShmID) (ShmInfo, error)                   { return ShmInfo{}, errors.ErrUnsupported }
func shmResidency(ShmID) (resident, swapped int64, err error) {
	return -1, -1, errors.ErrUnsupported
}
func shmSet(ShmID, Perm) error     { return errors.ErrUnsupported }
func shmRemove(ShmID) error        { return errors.ErrUnsupported }
func shmLock(ShmID, bool) error    { return errors.ErrUnsupported }
func shmList() ([]ShmInfo, error)  { return nil, errors.ErrUnsupported }
func shmLimits() (ShmLimit, error) { return ShmLimit{}, errors.ErrUnsupported }
func shmUsage() (ShmUse, error)    { return ShmUse{}, errors.ErrUnsupported }

func semGet(Key, int, Flag) (int, error) { return -1, errors.ErrUnsupported }
func semOp(SemID, []SemBuf) error        { return errors.ErrUnsupported }
func semTimedOp(SemID, time.Duration, []SemBuf) (expired bool, err error) {
	return false, errors.ErrUnsupported
}
func semOpContext(context.Context, SemID, []SemBuf) error { return errors.ErrUnsupported }
func semGetVal(SemID, int) (int, error)                   { return -1, errors.ErrUnsupported }
func semGetNCount(SemID, int) (int, error)                { return -1, errors.ErrUnsupported }
func semGetZCount(SemID, int) (int, error)                { return -1, errors.ErrUnsupported }
func semGetPID(SemID, int) (int, error)                   { return -1, errors.ErrUnsupported }
func semSetVal(SemID, int, int) error                     { return errors.ErrUnsupported }
func semGetAll(SemID) ([]uint16, error)                   { return nil, errors.ErrUnsupported }
func semSetAll(SemID, []uint16) (count int, err error)    { return -1, errors.ErrUnsupported }
func semStat(SemID) (SemInfo, error)                      { return SemInfo{}, errors.ErrUnsupported }
func semSet(SemID, Perm) error                            { return errors.ErrUnsupported }
func semRemove(SemID) error                               { return errors.ErrUnsupported }
func semList() ([]SemInfo, error)                         { return nil, errors.ErrUnsupported }
func semLimits() (SemLimit, error)                        { return SemLimit{}, errors.ErrUnsupported }
func semUsage() (SemUse, error)                           { return SemUse{}, errors.ErrUnsupported }

func msgGet(Key, Flag) (int, error)            { return -1, errors.ErrUnsupported }
func msgSend(MsgID, int64, []byte, Flag) error { return errors.ErrUnsupported }
func msgSendContext(context.Context, MsgID, int64, []byte, Flag) error {
	return errors.ErrUnsupported
}
func msgReceive(MsgID, []byte, int64, Flag) (int, int64, error) {
	return 0, 0, errors.ErrUnsupported
}
func msgReceiveContext(context.Context, MsgID, []byte, int64, Flag) (int, int64, error) {
	return 0, 0, errors.ErrUnsupported
}
func msgStat(MsgID) (MsgInfo, error)  { return MsgInfo{}, errors.ErrUnsupported }
func msgSet(MsgID, Perm, int64) error { return errors.ErrUnsupported }
func msgRemove(MsgID) error           { return errors.ErrUnsupported }
func msgList() ([]MsgInfo, error)     { return nil, errors.ErrUnsupported }
func msgLimits() (MsgLimit, error)    { return MsgLimit{}, errors.ErrUnsupported }
func msgUsage() (MsgUse, error)       { return MsgUse{}, errors.ErrUnsupported }

func shmGetAdvice(Key, int, Flag, error) string            { return "" }
func shmAtAdvice(ShmID, uintptr, AttachFlag, error) string { return "" }
func semGetAdvice(Key, int, Flag, error) string            { return "" }
func semOpAdvice(SemID, error) string                      { return "" }
func msgGetAdvice(Key, error) string                       { return "" }
func msgSendAdvice(MsgID, int64, int, error) string        { return "" }
func msgReceiveAdvice(MsgID, Flag, int, error) string      { return "" }
func msgSetAdvice(MsgID, int64, error) string              { return "" }

func ctlAdvice[ID objectID](ID) func(error) string { return noAdvice }
func idAdvice[ID objectID](ID) func(error) string  { return noAdvice }
func lockAdvice(ShmID) func(error) string          { return noAdvice }
func noAdvice(error) string                        { return "" }
