package pshared

// Handles is how many handles the membership knows of.
func Handles(m *Members) int { return len(m.handles) }
