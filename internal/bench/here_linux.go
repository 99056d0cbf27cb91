//go:build linux && (amd64 || arm64)

package bench

// Here says what machine this is, and which two of its processors are the best for two
// processes: none if only one may be used. It is for the measurements in bench/, which
// say the rest of [Machine] themselves.
func Here() (m Machine, apart []int) {
	p := findPlace()
	m = p.machine(Options{}, nil)
	m.Pinning, m.Method, m.Limits = "", "", ""
	return m, p.apart
}
