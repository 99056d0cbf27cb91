package mem

import "testing"

// A hint changes nothing, and may reach over the end of what is mapped.
func TestPrefetch(t *testing.T) {
	w := make([]Uint64, 1)
	w[0].Store(7)
	for range 100 {
		w[0].Prefetch()
	}
	if w[0].Load() != 7 {
		t.Error("it has changed the word")
	}
	var nowhere *Uint64
	nowhere.Prefetch() // never faults
}
