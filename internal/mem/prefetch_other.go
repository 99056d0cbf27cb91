//go:build !linux || !(amd64 || arm64)

package mem

// Prefetch does nothing: there are no shared objects on this system.
func (w *Uint64) Prefetch() {}
