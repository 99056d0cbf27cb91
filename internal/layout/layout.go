// Package layout holds every structure that lies in shared memory: the format
// that docs/FORMAT.md specifies. Each is drawn beside its type, and its size and
// offsets are asserted at compile time.
//
// Rules of the format: fixed-width fields in little-endian order, natural
// alignment, explicit padding, offsets instead of pointers, zero for what has
// not been set. Words that change after creation are [mem.Uint32] or
// [mem.Uint64]; plain fields are written before the object becomes visible and
// never again.
package layout

import "github.com/seed-247006a4/shoal/internal/mem"

// Line is the distance in bytes that words written by different processes keep:
// two cache lines of 64, because x86 fetches them in pairs.
const Line = 128

// eventCount is the word that package park sleeps on; see park.EventCount.
type eventCount = mem.Uint32
