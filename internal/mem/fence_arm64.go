package mem

// LoadFence keeps loads that come before it in the program from being done after
// those that come behind it. Go's atomic loads do not: they are load-acquire, which
// keeps back what follows, not what went before. Who copies something that may be
// overwritten and then asks whether it was needs this in between.
//
//go:noescape
func LoadFence()
