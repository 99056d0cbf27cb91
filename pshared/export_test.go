package pshared

// Handles is how many handles the membership knows of.
func Handles(m *Members) int { return len(m.handles) }

// Begun reports whether somebody is past the fast path of a method that waits.
func (p *primitive) Begun() bool { return p.members.busy.Load() > 0 }
