package ring

import (
	"github.com/seed-247006a4/shoal/internal/layout"
	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/park"
)

func eventCount(w *mem.Uint32) *park.EventCount { return (*park.EventCount)(w) }

// place is the ring as a member.Place. Who has died may have taken a wake-up with
// it: both ends look again.
type place layout.Lane

func (p *place) Recheck() {
	eventCount(&p.Data).NotifyAll()
	eventCount(&p.Space).NotifyAll()
}
