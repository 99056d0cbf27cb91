package mem

import (
	"bytes"
	"testing"
)

// Runs of records of all lengths come out as they went in, and nothing beside them is touched.
func TestRun(t *testing.T) {
	const size, pos, records = 4096, 1024, 5
	words := make([]uint64, size/8)
	all := ValuesOf(words)
	v, err := NewView(all, 0, size)
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n <= Short; n++ {
		step := uint64(n+15) &^ 7
		header := uint64(n) | 1<<63
		for i := range all {
			all[i] = 0xee
		}
		p := make([]byte, records*n)
		for i := range p {
			p[i] = byte(i*7 + n)
		}
		v.PutRun(size+pos, step, header, p, n) // positions count up for ever
		for i := range uint64(records) {
			at := pos + i*step
			if got := v.Word(at).Load(); got != header {
				t.Fatalf("%d bytes: header %d is %#x", n, i, got)
			}
			if got := v.Bytes(at+8, uint64(n)); !bytes.Equal(got, p[i*uint64(n):][:n]) {
				t.Fatalf("%d bytes: record %d is %x", n, i, got)
			}
			for _, b := range v.Bytes(at+8+uint64(n), step-8-uint64(n)) {
				if b != 0xee {
					t.Fatalf("%d bytes: written behind record %d", n, i)
				}
			}
		}
		if end := pos + records*step; all[pos-1] != 0xee || all[end] != 0xee {
			t.Fatalf("%d bytes: written beside the run", n)
		}
		got := make([]byte, len(p)+n)
		if k := v.TakeRun(pos, step, header, got, n); k != records || !bytes.Equal(got[:len(p)], p) || got[len(p)] != 0 {
			t.Fatalf("%d bytes: took %d: %x", n, k, got)
		}
		clear(got)
		if k := v.TakeRun(pos, step, header, got[:2*n+n/2], n); k != 2 || got[2*n] != 0 {
			t.Fatalf("%d bytes: took %d into room for two and a half", n, k)
		}
		if k := v.TakeRun(pos, step, header+1, got, n); k != 0 {
			t.Fatalf("%d bytes: took %d of another kind", n, k)
		}
	}
}
