package mem

import (
	"bytes"
	"testing"
)

func TestMove(t *testing.T) {
	from := make([]byte, 3*Long+7)
	for i := range from {
		from[i] = byte(i * 7 / 3)
	}
	for _, n := range []int{0, 1, Long - 1, Long, Long + 1, 2 * Long, len(from)} {
		to := make([]byte, n+1)
		Move(to[:n], from[:n])
		if !bytes.Equal(to[:n], from[:n]) || to[n] != 0 {
			t.Errorf("%d bytes moved differ, or the one behind", n)
		}
		if c := Clone(from[:n]); c == nil || !bytes.Equal(c, from[:n]) {
			t.Errorf("%d bytes cloned differ", n)
		}
	}
}
