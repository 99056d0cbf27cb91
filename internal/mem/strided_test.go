package mem

import "testing"

func TestStrided(t *testing.T) {
	words := make([]uint64, 12)
	all := ValuesOf(words)
	for i := range words {
		words[i] = uint64(i)
	}
	s, err := StridedAt[uint64](all, 16, 24, 3)
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 3 || *s.At(0) != 2 || *s.At(1) != 5 || *s.At(2) != 8 {
		t.Errorf("%d: %d %d %d", s.Len(), *s.At(0), *s.At(1), *s.At(2))
	}
	for name, c := range map[string]struct{ offset, stride, n int }{
		"outside":   {16, 24, 4},
		"none":      {16, 24, 0},
		"before":    {-8, 24, 1},
		"behind":    {104, 24, 1},
		"narrow":    {0, 4, 1},
		"crooked":   {0, 12, 1},
		"unaligned": {4, 24, 1},
		"overflow":  {16, 1 << 62, 8},
		"too many":  {16, 24, 1 << 62},
	} {
		if _, err := StridedAt[uint64](all, c.offset, c.stride, c.n); err == nil {
			t.Error(name)
		}
	}
}
