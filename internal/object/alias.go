package object

// Alias is a second mapping of an object, at an address of its own, for those who may
// still be at work when the object is closed: [Alias.Blank] takes the shared memory away
// from under them, and leaves them memory that nobody shares.
type Alias struct{ bytes []byte }

// Bytes returns the whole object.
func (a *Alias) Bytes() []byte { return a.bytes }
