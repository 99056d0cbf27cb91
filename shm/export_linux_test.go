//go:build linux && (amd64 || arm64)

package shm

// What the tests in package shm_test need of the inside.
var ProcSelfFD = procSelfFD
