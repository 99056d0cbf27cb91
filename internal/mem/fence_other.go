//go:build !amd64 && !arm64

package mem

// LoadFence does nothing: there are no shared objects on this architecture.
func LoadFence() {}
