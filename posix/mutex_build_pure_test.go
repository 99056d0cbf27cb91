//go:build !cgo

package posix_test

// cgo tells how this test binary was built.
const cgo = false
