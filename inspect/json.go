package inspect

import (
	"encoding/json"
	"fmt"
	"time"
)

// MarshalJSON gives the object one form for all commands, metrics and pages:
//
//	{"address":"sysv:0x1234","type":"memory","state":"in use","certain":true,"own":false,
//	 "id":7,"size":1024,"resident":4096,"swapped":0,"mode":"0600","uid":0,"gid":0,
//	 "creator":{"pid":4711,"life":"alive"},"last_pid":4711,"attached":1,
//	 "holders":[{"pid":4711,"command":"writer","mapped":4096,"descriptors":0}],
//	 "changed":"2026-01-02T15:04:05Z","used":"2026-01-02T15:04:05Z"}
//
// A Shoal object has its "name" and a "structure", whose form is that of
// [Structure]; "semaphores" and "unread" are as in [Object].
//
// Sizes are in bytes. What is unknown or meaningless is left out; holders is
// always there for memory, and semaphores, even if it is empty.
func (o Object) MarshalJSON() ([]byte, error) {
	type holder struct {
		PID         int    `json:"pid"`
		Command     string `json:"command,omitempty"`
		Mapped      int64  `json:"mapped"`
		Descriptors int    `json:"descriptors"`
	}
	type creator struct {
		PID  int    `json:"pid"`
		Life string `json:"life"`
	}
	v := struct {
		Address  string    `json:"address"`
		Name     string    `json:"name,omitempty"`
		Type     string    `json:"type"`
		State    string    `json:"state"`
		Certain  bool      `json:"certain"`
		Own      bool      `json:"own"`
		ID       *int32    `json:"id,omitempty"`
		Size     *int64    `json:"size,omitempty"`
		Count    *int      `json:"count,omitempty"`
		Resident *int64    `json:"resident,omitempty"`
		Swapped  *int64    `json:"swapped,omitempty"`
		Mode     string    `json:"mode"`
		UID      uint32    `json:"uid"`
		GID      uint32    `json:"gid"`
		Creator  *creator  `json:"creator,omitempty"`
		LastPID  int       `json:"last_pid,omitempty"`
		Attached *int      `json:"attached,omitempty"`
		Holders  []holder  `json:"holders,omitzero"`
		Created  time.Time `json:"created,omitzero"`
		Changed  time.Time `json:"changed,omitzero"`
		Used     time.Time `json:"used,omitzero"`
		Locked   bool      `json:"locked,omitempty"`
		Sealed   bool      `json:"sealed,omitempty"`
		LocksOf  string    `json:"locks_of,omitempty"`

		Semaphores []SemaphoreState `json:"semaphores,omitempty"`
		Structure  *Structure       `json:"structure,omitempty"`
		Unread     string           `json:"unread,omitempty"`
	}{
		Address: o.Address, Name: o.Name, Type: o.Type.String(), State: o.State.String(), Certain: o.Certain, Own: o.Own,
		Size: known(o.Size), Count: known(o.Count), Resident: known(o.Resident), Swapped: known(o.Swapped),
		Mode: fmt.Sprintf("%04o", uint32(o.Mode)), UID: o.UID, GID: o.GID,
		LastPID: o.LastPID, Attached: known(o.Attached),
		Created: o.Created.UTC(), Changed: o.Changed.UTC(), Used: o.Used.UTC(),
		Locked: o.Locked, Sealed: o.Sealed, LocksOf: o.LocksOf,
		Semaphores: o.Semaphores, Structure: o.Structure,
	}
	if o.Unread != nil {
		v.Unread = o.Unread.Error()
	}
	if o.HasID() {
		v.ID = &o.ID
	}
	if o.Creator.PID != 0 {
		v.Creator = &creator{o.Creator.PID, o.Creator.Life.String()}
	}
	if o.Type != SemaphoreSet && o.Type != MessageQueue {
		v.Holders = []holder{}
		for _, h := range o.Holders {
			v.Holders = append(v.Holders, holder{h.PID, h.Command, h.Mapped, h.Descriptors})
		}
	}
	return json.Marshal(v)
}

// known returns nil for the -1 that means unknown.
func known[T int | int64](n T) *T {
	if n < 0 {
		return nil
	}
	return &n
}
