//go:build linux && (amd64 || arm64)

package member

import (
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/park"
	"github.com/seed-247006a4/shoal/internal/sys"
)

func active(claim uint64) bool { return uint32(claim) == layout.SlotActive }

func rung(bell uint32) bool { return bell&sys.FUTEX_OWNER_DIED != 0 }

// ownerIn returns the owner that a claim word names, 0 for a free slot.
func ownerIn(slot int, claim uint64) layout.Owner {
	if !active(claim) {
		return 0
	}
	return layout.MakeOwner(slot, uint32(claim>>32))
}

// Current reports whether the owner's epoch is still the one of its slot. If
// not, the claim that names it is void. Cost: one load.
//
// A slot number out of range is reported by valid false: the word is damaged.
func (t *Table) Current(o layout.Owner) (current, valid bool) {
	slot := o.Slot()
	if slot < 0 || slot >= len(t.slots) {
		return false, false
	}
	return t.slots[slot].Claim.Load() == layout.SlotClaim(o.Epoch(), layout.SlotActive), true
}

// Settle is [Table.Current] for those who do not mean to wait: if the bell of
// the owner has rung it asks for the verdict at once. It never blocks.
func (t *Table) Settle(o layout.Owner) (current, valid bool) {
	current, valid = t.Current(o)
	if current && o != t.self && rung(t.bells[o.Slot()].Word.Load()) {
		t.tryBury(o.Slot())
		return t.Current(o)
	}
	return current, valid
}

// SettleAll settles every member, and reports whether any has been found dead by
// this call. Cost, while nobody dies: a load for each slot.
func (t *Table) SettleAll() (died bool) {
	for slot := range t.bells {
		if rung(t.bells[slot].Word.Load()) {
			o := ownerIn(slot, t.slots[slot].Claim.Load())
			if o != 0 {
				current, _ := t.Settle(o)
				died = died || !current
			}
		}
	}
	return died
}

// Block registers a place where a goroutine of this process is about to wait.
// From now on the place is told when members go. After it the goroutine must
// look once more before it sleeps. Unblock follows.
func (t *Table) Block(p Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.places[p]++
	if t.gone {
		return
	}
	if t.changes == nil {
		t.retired = t.head.Retired.Load()
		t.rescan()
	}
	if t.ticker == nil {
		t.ticker = time.AfterFunc(tick, t.patrol)
	}
}

// Unblock ends one Block.
func (t *Table) Unblock(p Place) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.places[p]--; t.places[p] == 0 {
		delete(t.places, p)
	}
}

// rescan watches the bells of all members as they are now, and the word that
// announces changes. It reports whether epochs were retired since the last time.
// Preconditions: t.mu is held.
func (t *Table) rescan() (retired bool) {
	if t.changes != nil {
		t.changes.Stop()
	}
	// The word before the scan: a change during it is noticed at once.
	t.changes = park.NewWatch(&t.head.Changes, t.head.Changes.Load(), t.onChange)
	for slot := range t.slots {
		now := ownerIn(slot, t.slots[slot].Claim.Load())
		if now == t.known[slot] || now == t.self {
			continue
		}
		if w := t.watches[slot]; w != nil {
			w.Stop()
			t.watches[slot] = nil
			retired = true
		}
		t.known[slot] = now
		if now != 0 {
			t.listen(slot, now)
		}
	}
	// Members whom we never knew may have come and gone.
	r := t.head.Retired.Load()
	retired = retired || r != t.retired
	t.retired = r
	return retired
}

// listen watches a member's bell.
// Preconditions: t.mu is held.
func (t *Table) listen(slot int, o layout.Owner) {
	bell := &t.bells[slot].Word
	t.watches[slot] = park.NewWatch(bell, bell.Load()&^sys.FUTEX_OWNER_DIED, func() { t.onBell(slot, o) })
}

// begin lets Leave wait for what runs in the background. It reports false when
// the table must not be touched any more; else end follows.
func (t *Table) begin() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return false
	}
	t.background.Add(1)
	return true
}

func (t *Table) end() { t.background.Done() }

func (t *Table) stopWatching() {
	if t.changes != nil {
		t.changes.Stop()
	}
	for _, w := range t.watches {
		if w != nil {
			w.Stop()
		}
	}
	if t.ticker != nil {
		t.ticker.Stop()
	}
}

// onChange runs when somebody has joined, left or been buried.
func (t *Table) onChange() {
	if !t.begin() {
		return
	}
	defer t.end()
	t.look()
}

// look brings the watches up to date, and has the places look, too, if members
// have gone.
func (t *Table) look() {
	t.mu.Lock()
	if t.gone {
		t.mu.Unlock()
		return
	}
	retired := t.rescan()
	t.mu.Unlock()
	if retired {
		t.Recheck()
	}
}

// Recheck has every place of this process look again.
func (t *Table) Recheck() {
	t.mu.Lock()
	places := make([]Place, 0, len(t.places))
	for p := range t.places {
		places = append(places, p)
	}
	t.mu.Unlock()
	for _, p := range places {
		p.Recheck()
	}
}

// onBell runs when a member's bell word has changed: it has died, or left.
func (t *Table) onBell(slot int, o layout.Owner) {
	if !t.begin() {
		return
	}
	bell := &t.bells[slot].Word
	switch current, _ := t.Current(o); {
	case !current:
		// It has left, or has been buried. Whoever has done that may have died before
		// it could announce it, so do not wait for onChange; nor may the others.
		if rung(bell.Load()) {
			park.WakeAll(bell)
		}
		t.look()
		t.end()
	case rung(bell.Load()):
		// The kernel wakes one of all that listen. That one may be dying itself, so
		// it wakes the others first.
		park.WakeAll(bell)
		go t.attend(slot, o)
	default: // woken for nothing: listen on
		t.mu.Lock()
		if !t.gone && t.known[slot] == o {
			t.listen(slot, o)
		}
		t.mu.Unlock()
		t.end()
	}
}

// How long attend naps between two looks at a dying member's lock: short at
// first, since the kernel usually needs some 100 µs from the bell to the lock;
// then longer, for processes with much memory to tear down, and for a bell that
// a peer has forged.
const (
	napMin = 30 * time.Microsecond
	napMax = 10 * time.Millisecond
)

// attend waits until the kernel has finished with a dying member and then sees
// it buried, by itself or by another survivor.
func (t *Table) attend(slot int, o layout.Owner) {
	defer t.end()
	for nap := napMin; ; nap = min(nap+nap/4, napMax) {
		t.tryBury(slot)
		if current, _ := t.Current(o); !current {
			break
		}
		select {
		case <-t.left:
			return
		default:
		}
		ts := unix.NsecToTimespec(int64(nap))
		unix.Nanosleep(&ts, nil) // a timer of the runtime takes a millisecond at least
	}
	t.look()
}

// tryBury retires the slot's epoch if its owner is dead.
func (t *Table) tryBury(slot int) {
	if slot == t.self.Slot() {
		return
	}
	t.burying.Lock()
	defer t.burying.Unlock()
	if ok, err := t.lock.try(t.lockByte(slot)); err != nil || !ok {
		return
	}
	t.bury(slot)
	t.lock.unlock(t.lockByte(slot))
}

// bury retires the epoch of a dead owner, after what it left has been repaired.
// Preconditions: we hold the slot's lock, so the owner is gone and nobody else
// does the same.
//
// Whoever buries may die, too: before the store into claim nothing has happened
// that the next one would not do again; after it only the announcement is
// missing, and the burier's own death makes everybody look again.
func (t *Table) bury(slot int) {
	s := &t.slots[slot]
	c := s.Claim.Load()
	if !active(c) {
		return
	}
	if t.repair != nil {
		t.repair(ownerIn(slot, c))
	}
	s.Claim.Store(layout.SlotClaim(uint32(c>>32), layout.SlotFree))
	t.bells[slot].Word.Store(0)
	t.head.Deaths.Add(1)
	t.head.Retired.Add(1)
	t.changed()
}

// tick is how often a process in which somebody waits looks at the locks of all
// members: the net below the bells, for a member that died while another
// survivor, now stopped or dead too, was the only one to hear.
const tick = 100 * time.Millisecond

func (t *Table) patrol() {
	if !t.begin() {
		return
	}
	defer t.end()
	t.mu.Lock()
	waiting, retired, known := len(t.places) > 0, t.retired, slices.Clone(t.known)
	if waiting {
		t.ticker.Reset(tick)
	} else {
		t.ticker = nil
	}
	t.mu.Unlock()
	if !waiting {
		return
	}
	missed := false // a change of which nobody has told us
	for slot := range t.slots {
		o := ownerIn(slot, t.slots[slot].Claim.Load())
		if o == t.self {
			continue
		}
		missed = missed || o != known[slot]
		if o == 0 {
			continue
		}
		if taken, err := t.lock.taken(t.lockByte(slot)); err == nil && !taken {
			t.tryBury(slot)
		}
	}
	if missed || t.head.Retired.Load() != retired {
		t.look()
	}
}
