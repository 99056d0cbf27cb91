//go:build !(linux && (amd64 || arm64))

package member

import (
	"errors"

	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/shm"
)

// Without Linux there are no members: Join fails, and so nothing else is called.

// Table is a joined member table.
type Table struct{}

// Join fails.
func Join(*shm.Segment, int, Options) (*Table, error) { return nil, errors.ErrUnsupported }

// Make fails.
func Make([]byte, int, int) error { return errors.ErrUnsupported }

// Self returns this member.
func (*Table) Self() layout.Owner { return 0 }

// Slots returns how many members there can be.
func (*Table) Slots() int { return 0 }

// Head is the table's head.
func (*Table) Head() *layout.Members { return nil }

// Current reports whether the owner is still a member.
func (*Table) Current(layout.Owner) (current, valid bool) { return false, false }

// Settle reports whether the owner is still alive.
func (*Table) Settle(layout.Owner) (current, valid bool) { return false, false }

// SettleAll finds nobody.
func (*Table) SettleAll() bool { return false }

// Block registers a place.
func (*Table) Block(Place) {}

// Unblock ends one Block.
func (*Table) Unblock(Place) {}

// Exclusive runs fn.
func (*Table) Exclusive(fn func() error) error { return errors.ErrUnsupported }

// Leave does nothing.
func (*Table) Leave() {}

// Count is how many slots are claimed.
func (*Table) Count() int { return 0 }

// Recheck does nothing.
func (*Table) Recheck() {}

// Read fails.
func Read(*shm.Segment, int) (*Report, error) { return nil, errors.ErrUnsupported }
