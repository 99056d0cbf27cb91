package mem

import (
	"math"
	"testing"
	"unsafe"
)

func TestAt(t *testing.T) {
	words := make([]uint64, 4)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 32)
	for offset := -9; offset < 40; offset++ {
		p, err := At[uint64](b, offset)
		if want := offset >= 0 && offset <= 24 && offset%8 == 0; want != (err == nil) {
			t.Errorf("offset %d: %v", offset, err)
		} else if want && p != &words[offset/8] {
			t.Errorf("offset %d: %p; want %p", offset, p, &words[offset/8])
		}
	}
	for _, offset := range []int{math.MinInt, math.MaxInt, math.MaxInt - 7} {
		if _, err := At[uint64](b, offset); err == nil {
			t.Errorf("offset %d: no error", offset)
		}
	}
	if _, err := At[uint64](b[:7], 0); err == nil {
		t.Error("8 bytes of 7: no error")
	}
	if _, err := At[uint64](nil, 0); err == nil {
		t.Error("8 bytes of none: no error")
	}
}

func TestArray(t *testing.T) {
	words := make([]uint64, 4)
	b := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), 32)
	for offset := -9; offset < 40; offset++ {
		for n := -1; n < 6; n++ {
			a, err := Array[uint64](b, offset, n)
			want := n == 0 || n > 0 && offset >= 0 && offset%8 == 0 && offset+8*n <= 32
			if want != (err == nil) || want && len(a) != n {
				t.Errorf("%d at %d: %d words, %v", n, offset, len(a), err)
			}
		}
	}
	for _, c := range [][2]int{{0, math.MaxInt}, {math.MaxInt, 1}, {8, math.MaxInt / 8}, {math.MinInt, 1}, {0, 1 << 61}} {
		if _, err := Array[uint64](b, c[0], c[1]); err == nil {
			t.Errorf("%d at %d: no error", c[1], c[0])
		}
	}
}

func TestOffset(t *testing.T) {
	b := make([]byte, 8, 16)
	start := uintptr(unsafe.Pointer(&b[0]))
	for addr, want := range map[uintptr]int{start: 0, start + 15: 15, start + 16: -1, start - 1: -1, 0: -1, math.MaxUint: -1} {
		offset, inside := Offset(b, addr)
		if inside != (want >= 0) || inside && offset != want {
			t.Errorf("%#x from the start: %d, %v; want %d", addr-start, offset, inside, want)
		}
	}
}

// The kernel waits on the half that has the flags.
func TestLow(t *testing.T) {
	var w Uint64
	w.Store(0x1122334455667788)
	if got := Low(&w).Load(); got != 0x55667788 {
		t.Errorf("low half %#x", got)
	}
}
