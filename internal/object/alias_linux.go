//go:build linux && (amd64 || arm64)

package object

import "github.com/seed-247006a4/shoal/internal/sys"

// Alias maps the object once more. Cost: one system call.
func (o *Object) Alias() (*Alias, error) {
	b, err := sys.Alias(o.Segment.Bytes(), o.Segment.File)
	if err != nil {
		return nil, err
	}
	return &Alias{b}, nil
}

// Blank puts private zeros in the place of the shared memory, in one step: whatever is
// stored afterwards, nobody else sees it, and what is loaded is zero, or what was stored
// since. Bytes stay valid until Unmap.
func (a *Alias) Blank() error { return sys.Blank(a.bytes) }

// Unmap takes the mapping away.
// Preconditions: nobody uses the bytes any more.
func (a *Alias) Unmap() error { return sys.Unmap(a.bytes) }
