//go:build !race

package mem

// Glance returns the word at a position that somebody may be overwriting by plain
// stores: it may be anything then, and the caller finds out afterwards.
// Preconditions: pos is a multiple of 8.
func (v View) Glance(pos uint64) uint64 { return v.Word(pos).Load() }

// Snapshot copies what stands at a position, and may be changing meanwhile, to p:
// then what p holds is worth nothing, and the caller finds out afterwards, behind a
// LoadFence.
// Preconditions: it does not reach over the end.
func (v View) Snapshot(p []byte, pos uint64) { copy(p, v.Bytes(pos, uint64(len(p)))) }
