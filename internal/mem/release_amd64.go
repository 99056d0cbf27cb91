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

// enterQuick is Enter without a fence between the store and the load of shut, for
// which Shut makes up.
func (g *Guard) enterQuick() bool {
	in := (*uint32)(unsafe.Pointer(&g.in))
	if *in != 0 {
		return false
	}
	*in = 1
	if g.shut.Load() {
		*in = 0
		return false
	}
	return true
}

// Leave gives the guard back.
func (g *Guard) Leave() { *(*uint32)(unsafe.Pointer(&g.in)) = 0 }
