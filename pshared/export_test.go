package pshared

// Handles is how many handles the membership knows of.
func Handles(m *Members) int { return len(m.handles) }

// Begun is how many calls are past the fast path of a method that waits.
func (p *primitive) Begun() int64 { return p.members.busy.Load() }
