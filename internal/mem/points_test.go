package mem

import (
	"reflect"
	"runtime"
	"sync/atomic"
	"testing"
	"unsafe"

	"github.com/seed-247006a4/shoal/internal/crash"
)

// Each operation that ends with a kill point, and the same without.

type bare32 struct{ v atomic.Uint32 }

func (w *bare32) Store(x uint32)       { w.v.Store(x) }
func (w *bare32) Swap(x uint32) uint32 { old := w.v.Swap(x); return old }
func (w *bare32) Add(d uint32) uint32  { x := w.v.Add(d); return x }
func (w *bare32) CompareAndSwap(old, x uint32) bool {
	if !w.v.CompareAndSwap(old, x) {
		return false
	}
	noPoint()
	return true
}

// noPoint stands where the kill point would: the compiler makes other code of a
// function without a call.
func noPoint() {}

type bare64 struct{ v atomic.Uint64 }

func (w *bare64) Store(x uint64)       { w.v.Store(x) }
func (w *bare64) Swap(x uint64) uint64 { old := w.v.Swap(x); return old }
func (w *bare64) Add(d uint64) uint64  { x := w.v.Add(d); return x }
func (w *bare64) CompareAndSwap(old, x uint64) bool {
	if !w.v.CompareAndSwap(old, x) {
		return false
	}
	noPoint()
	return true
}

//go:noinline
func store32(w *Uint32, x uint32) { w.Store(x) }

//go:noinline
func bareStore32(w *bare32, x uint32) { w.Store(x) }

//go:noinline
func swap32(w *Uint32, x uint32) uint32 { return w.Swap(x) }

//go:noinline
func bareSwap32(w *bare32, x uint32) uint32 { return w.Swap(x) }

//go:noinline
func add32(w *Uint32, x uint32) uint32 { return w.Add(x) }

//go:noinline
func bareAdd32(w *bare32, x uint32) uint32 { return w.Add(x) }

//go:noinline
func store64(w *Uint64, x uint64) { w.Store(x) }

//go:noinline
func bareStore64(w *bare64, x uint64) { w.Store(x) }

//go:noinline
func swap64(w *Uint64, x uint64) uint64 { return w.Swap(x) }

//go:noinline
func bareSwap64(w *bare64, x uint64) uint64 { return w.Swap(x) }

//go:noinline
func add64(w *Uint64, x uint64) uint64 { return w.Add(x) }

//go:noinline
func bareAdd64(w *bare64, x uint64) uint64 { return w.Add(x) }

//go:noinline
func swapIf32(w *Uint32, old, x uint32) int {
	if w.CompareAndSwap(old, x) {
		return 1
	}
	return 2
}

//go:noinline
func bareSwapIf32(w *bare32, old, x uint32) int {
	if w.CompareAndSwap(old, x) {
		return 1
	}
	return 2
}

//go:noinline
func swapIf64(w *Uint64, old, x uint64) int {
	if w.CompareAndSwap(old, x) {
		return 1
	}
	return 2
}

//go:noinline
func bareSwapIf64(w *bare64, old, x uint64) int {
	if w.CompareAndSwap(old, x) {
		return 1
	}
	return 2
}

//go:noinline
func point() { crash.Point() }

//go:noinline
func nothing() {}

// code returns the size of a function's machine code, in bytes, without the
// padding behind it.
func code(f any) int {
	entry := reflect.ValueOf(f).Pointer()
	end := entry
	for f := runtime.FuncForPC(end); f != nil && f.Entry() == entry; f = runtime.FuncForPC(end) {
		end++ // inlined functions have the entry of the one that they are in
	}
	b := unsafe.Slice((*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&entry))), end-entry)
	n := len(b)
	for n > 0 && (b[n-1] == 0xcc || b[n-1] == 0) {
		n--
	}
	return n
}

// In normal builds a kill point is no instruction: every operation of this package
// has as much machine code as the same without it.
func TestPointsCostNothing(t *testing.T) {
	for what, pair := range map[string][2]any{
		"Uint32.Store":          {store32, bareStore32},
		"Uint32.Swap":           {swap32, bareSwap32},
		"Uint32.Add":            {add32, bareAdd32},
		"Uint32.CompareAndSwap": {swapIf32, bareSwapIf32},
		"Uint64.Store":          {store64, bareStore64},
		"Uint64.Swap":           {swap64, bareSwap64},
		"Uint64.Add":            {add64, bareAdd64},
		"Uint64.CompareAndSwap": {swapIf64, bareSwapIf64},
		"crash.Point":           {point, nothing},
	} {
		with, without := code(pair[0]), code(pair[1])
		if without == 0 || (with == without) == crash.Enabled {
			t.Errorf("%s: %d bytes of code, %d without the kill point; kill points are enabled: %v", what, with, without, crash.Enabled)
		}
	}
}
