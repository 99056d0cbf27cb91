//go:build cgo

package keeper

// With cgo, threads are made by the C library and come with robust lists of its
// own.
import _ "runtime/cgo"
