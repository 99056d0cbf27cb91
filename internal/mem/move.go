package mem

// Long is the most bytes that are copied at once. Go's memmove stores copies of 1 MiB and more
// past the caches (runtime/memmove_amd64.s, gobble_big_data): right for what nobody reads
// soon, but what goes through shared memory is read next, by another process.
const Long = 256 << 10

// Move copies from one to the other, of the same length, so that the copy stays in the
// caches as far as they reach.
func Move(to, from []byte) {
	if len(from) > Long {
		moveLong(to, from)
		return
	}
	copy(to, from)
}

//go:noinline
func moveLong(to, from []byte) {
	for len(from) > Long {
		copy(to[:Long], from)
		to, from = to[Long:], from[Long:]
	}
	copy(to, from)
}

// Clone returns a copy of p. That of nothing is not nil.
func Clone(p []byte) []byte {
	if len(p) <= Long {
		return append(make([]byte, 0, len(p)), p...)
	}
	b := make([]byte, len(p))
	moveLong(b, p)
	return b
}
