package layout

import (
	"math"
	"testing"
)

func TestOwner(t *testing.T) {
	if OwnerOf(0).Slot() != -1 {
		t.Errorf("nobody is in slot %d", OwnerOf(0).Slot())
	}
	seen := map[Owner]bool{0: true}
	for _, slot := range []int{0, 1, 47, MaxSlots - 1} {
		for _, epoch := range []uint32{0, 1, 2, math.MaxUint32} {
			o := MakeOwner(slot, epoch)
			if o.Slot() != slot || o.Epoch() != epoch {
				t.Errorf("slot %d, epoch %d: %#x is %d, %d", slot, epoch, o, o.Slot(), o.Epoch())
			}
			if seen[o] || uint64(o)&OwnerFlags != 0 {
				t.Errorf("slot %d, epoch %d: %#x is another one's, or has flags", slot, epoch, o)
			}
			seen[o] = true
			if OwnerOf(uint64(o)|OwnerFlags) != o {
				t.Errorf("%#x with flags is %#x", o, OwnerOf(uint64(o)|OwnerFlags))
			}
		}
	}
}

// A table of the default size, with the header before it, leaves its page no
// room for much more; bells and slots follow each other without overlap.
func TestMembers(t *testing.T) {
	if end := HeaderSize + MembersFootprint(DefaultSlots); end > 4096 {
		t.Errorf("header and table end at %d", end)
	}
	for _, n := range []int{1, 2, DefaultSlots, MaxSlots} {
		next := MembersSize
		for i := range n {
			if at := BellOffset(i); at != next {
				t.Fatalf("%d slots: bell %d at %d; want %d", n, i, at, next)
			}
			next += BellSize
		}
		for i := range n {
			if at := SlotOffset(n, i); at != next || at%8 != 0 {
				t.Fatalf("%d slots: slot %d at %d; want %d", n, i, at, next)
			}
			next += SlotSize
		}
		if next != MembersFootprint(n) {
			t.Errorf("%d slots end at %d; the footprint is %d", n, next, MembersFootprint(n))
		}
	}
}

// The magic numbers read as text in a dump.
func TestMagic(t *testing.T) {
	for magic, want := range map[uint32]string{
		MembersMagic: "MEMB", MutexMagic: "MUTX", RWMutexMagic: "RWMX", CondMagic: "COND", SemaphoreMagic: "SEMA",
		EventMagic: "EVNT", BarrierMagic: "BARR", OnceMagic: "ONCE",
	} {
		if got := string([]byte{byte(magic), byte(magic >> 8), byte(magic >> 16), byte(magic >> 24)}); got != want {
			t.Errorf("%#x is %q; want %q", magic, got, want)
		}
	}
	var b []byte
	for m := Magic; m != 0; m >>= 8 {
		b = append(b, byte(m))
	}
	if string(b) != "SHOALobj" {
		t.Errorf("an object begins with %q", b)
	}
	if got := KindRWMutex.String() + ", " + Kind(77).String(); got != "rwmutex, kind 77" {
		t.Error(got)
	}
}
