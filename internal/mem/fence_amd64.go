package mem

// LoadFence keeps loads that come before it in the program from being done after
// those that come behind it. x86 does all loads in order (Intel SDM vol. 3, 9.2), and
// the compiler moves none over an atomic operation, so there is nothing to do.
func LoadFence() {}
