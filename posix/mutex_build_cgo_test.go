//go:build cgo

package posix_test

// With cgo, threads are made by the C library and come with robust lists of its
// own.
import _ "runtime/cgo"

// cgo tells how this test binary was built.
const cgo = true
