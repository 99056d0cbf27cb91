package mem

import (
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/crash"
)

// A run is records of one length, one behind the other, each behind a word that says
// so. Of short records, to call memmove for each takes longer than to copy them.

// Short is the longest record for which that is so, in bytes, about.
const Short = 256

// PutRun copies the records in p, each of n bytes, to positions that are step bytes
// apart, the first at pos. Before each goes the word header, which is stored after it. All
// are plain stores; see Put.
// Preconditions: p holds whole records; n is at least 1; n and the word fit into step,
// pos and step are multiples of 8; the run does not reach over the end.
func (v View) PutRun(pos, step, header uint64, p []byte, n int) {
	at := pos & v.mask
	for i, end := 0, len(p); i < end; i += n {
		to := unsafe.Add(v.base, at)
		copyWords(unsafe.Add(to, 8), unsafe.Add(unsafe.Pointer(unsafe.SliceData(p)), i), uintptr(n))
		crash.Point()
		*(*uint64)(to) = header
		crash.Point()
		at += step
	}
}

// TakeRun copies records as PutRun has put them to p, as many as there are, and as fit
// into it, and returns their number. It stops at a position where another word stands.
// Preconditions: as for PutRun.
func (v View) TakeRun(pos, step, header uint64, p []byte, n int) (records int) {
	at := pos & v.mask
	for i := 0; i+n <= len(p); i += n {
		from := unsafe.Add(v.base, at)
		if (*Uint64)(from).Load() != header { // the record behind it is complete
			break
		}
		copyWords(unsafe.Add(unsafe.Pointer(unsafe.SliceData(p)), i), unsafe.Add(from, 8), uintptr(n))
		at += step
		records++
	}
	return records
}

// copyWords copies n bytes between places that do not overlap.
func copyWords(to, from unsafe.Pointer, n uintptr) {
	i := uintptr(0)
	for ; i+16 <= n; i += 16 {
		t, f := (*[2]uint64)(unsafe.Add(to, i)), (*[2]uint64)(unsafe.Add(from, i))
		t[0], t[1] = f[0], f[1]
	}
	for ; i < n; i++ {
		*(*byte)(unsafe.Add(to, i)) = *(*byte)(unsafe.Add(from, i))
	}
}
