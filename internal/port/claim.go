package port

import (
	"errors"
	"fmt"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/member"
	"github.com/seed-247006a4/shoal/internal/object"
	"github.com/seed-247006a4/shoal/shm"
)

// Claim takes a word that says whose something is, if it is nobody's, or that of a
// member who has gone: then repaired is true, and is to be counted. Otherwise the
// error is ErrBusy and names the owner. what is how messages call it: "writer".
func Claim(o *object.Object, t *member.Table, what string, owner *mem.Uint64) (repaired bool, err error) {
	for {
		word := owner.Load()
		if word != 0 {
			if err := CheckOwner(t, what, word); err != nil {
				return false, err
			}
			if current, _ := t.Settle(layout.Owner(word)); current {
				return false, fmt.Errorf("process %s has its %s: %w", processOf(o, layout.Owner(word)), what, ErrBusy)
			}
		}
		if owner.CompareAndSwap(word, uint64(t.Self())) {
			if word != 0 {
				t.Head().Repairs.Add(1)
			}
			return word != 0, nil
		}
	}
}

// GiveBack makes what is ours nobody's.
func GiveBack(t *member.Table, owner *mem.Uint64) {
	owner.CompareAndSwap(uint64(t.Self()), 0)
}

// CheckOwner reports a word that names nobody who can be.
func CheckOwner(t *member.Table, what string, word uint64) error {
	if _, valid := t.Current(layout.Owner(word)); word != 0 && (!valid || word&0xffff != 0) {
		return fmt.Errorf("owner of its %s is %#x, which is impossible: %w", what, word, shm.ErrCorrupt)
	}
	return nil
}

// processOf names an owner, for messages.
func processOf(o *object.Object, owner layout.Owner) string {
	report, err := member.Read(o.Segment, o.Members())
	if err == nil {
		if m := report.Find(owner); m != nil {
			return fmt.Sprint(m.PID)
		}
		err = errors.New("gone by now")
	}
	return fmt.Sprintf("in slot %d (%v)", owner.Slot(), err)
}

// Owner is who has something, as statistics show it.
type Owner struct {
	PID   int  // of the process, in its own pid namespace; 0 if nobody has it
	Alive bool // else it has died, and nobody has taken over yet
}

// OwnerIn looks an owner word up in a report on the members.
func OwnerIn(r *member.Report, word uint64) Owner {
	if m := r.Find(layout.OwnerOf(word)); m != nil {
		return Owner{PID: m.PID, Alive: m.Alive}
	}
	return Owner{}
}
