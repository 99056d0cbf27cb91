//go:build race

package mem

import "unsafe"

// The race detector is right that these race: that is what they are for. It is told
// nothing of them, and whoever calls them asks afterwards whether they did.

// Glance returns the word at a position that somebody may be overwriting by plain
// stores: it may be anything then, and the caller finds out afterwards.
// Preconditions: pos is a multiple of 8.
//
//go:norace
func (v View) Glance(pos uint64) uint64 {
	x := *(*uint64)(unsafe.Add(v.base, pos&v.mask))
	LoadFence() // what else was stored before the word is read after it
	return x
}

// Snapshot copies what stands at a position, and may be changing meanwhile, to p:
// then what p holds is worth nothing, and the caller finds out afterwards, behind a
// LoadFence.
// Preconditions: it does not reach over the end.
//
//go:norace
func (v View) Snapshot(p []byte, pos uint64) {
	for i, b := range v.Bytes(pos, uint64(len(p))) {
		p[i] = b
	}
}
