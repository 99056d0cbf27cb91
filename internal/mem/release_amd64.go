//go:build !race

package mem

import (
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/crash"
)

// Release stores x so that whoever sees it sees everything that was stored, and
// nobody can see a load done after it that comes before it in the program. Unlike
// Store it is no fence for later loads: x86 keeps the order of stores, and of
// loads with later stores (Intel SDM vol. 3, 9.2), so a plain store does.
func (w *Uint64) Release(x uint64) {
	*(*uint64)(unsafe.Pointer(w)) = x
	crash.Point()
}

// Leave gives the guard back.
func (g *Guard) Leave() { *(*uint32)(unsafe.Pointer(&g.v)) = guardFree }
