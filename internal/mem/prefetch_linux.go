//go:build linux && (amd64 || arm64)

package mem

// Prefetch begins to fetch the word and what stands behind it, 128 bytes in all, for
// writing: the caller is going to write there soon, and nobody else is believed to. It
// does not wait, never faults and changes nothing (PREFETCHW, Intel SDM vol. 2; PRFM
// PSTL1KEEP, Arm ARM C6.2). Locked instructions cannot begin before all that stands
// before them has ended, so the processor finds such work by itself only up to the next.
func (w *Uint64) Prefetch() { prefetch(w) }

//go:noescape
func prefetch(w *Uint64)
