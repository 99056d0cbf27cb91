package sysv

import "testing"

func TestHugePage(t *testing.T) {
	none := Flag(63) // log2 of a size that no machine has: refused, where 0 would be the default size
	for size, want := range map[int]Flag{
		2 << 20: HugeTLB | 21<<26, // SHM_HUGE_2MB
		1 << 30: HugeTLB | 30<<26, // SHM_HUGE_1GB
		0:       HugeTLB | none<<26,
		-4096:   HugeTLB | none<<26,
		3 << 20: HugeTLB | none<<26,
	} {
		if got := HugePage(size); got != want {
			t.Errorf("HugePage(%d) = %#o, want %#o", size, int(got), int(want))
		}
	}
}

func TestMode(t *testing.T) {
	for _, c := range []struct {
		mode         Mode
		text         string
		dest, locked bool
	}{
		{0, "---------", false, false},
		{0o640, "rw-r-----", false, false},
		{0o777, "rwxrwxrwx", false, false},
		{0o1600, "rw-------,dest", true, false},
		{0o2600, "rw-------,locked", false, true},
		{0o3604, "rw----r--,locked,dest", true, true},
	} {
		if m := c.mode; m.String() != c.text || m.Dest() != c.dest || m.Locked() != c.locked || uint32(m.Perm()) != uint32(m&0o777) {
			t.Errorf("%#o: %q, dest %v, locked %v, permissions %v", uint32(m), m, m.Dest(), m.Locked(), m.Perm())
		}
	}
}
