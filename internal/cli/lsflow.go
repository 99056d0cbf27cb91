package cli

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seed-247006a4/shoal/inspect"
)

// The columns of ls for what goes through rings, topics and queues.
var (
	recordsColumn = column{title: "RECORDS", missing: 6, cut: 12}
	fillColumn    = column{title: "FILL", right: true, missing: 2}
	rateColumn    = column{title: "RATE", right: true, missing: 2}
	endsColumn    = column{title: "PUB/SUB", missing: 3}
)

// flowColumns are those of them that have something to show.
func flowColumns(s *inspect.Snapshot, rates map[string]float64) (columns []column) {
	fill, used, ends := false, false, false
	for _, o := range s.Objects {
		if o.Structure == nil || o.Structure.Flow == nil {
			continue
		}
		senders, receivers := o.Structure.Flow.Live()
		fill = fill || o.Structure.Flow.Fill() >= 0
		ends = ends || senders+receivers > 0
		used = used || rates[o.Address] > 0 || o.State == inspect.InUse
	}
	columns = []column{recordsColumn}
	for _, c := range []struct {
		shown bool
		column
	}{{fill, fillColumn}, {used, rateColumn}, {ends, endsColumn}} {
		if c.shown {
			columns = append(columns, c.column)
		}
	}
	return columns
}

// flowCells are the columns of an object.
func flowCells(o inspect.Object, columns []column, rates map[string]float64, p palette) (cells []cell) {
	for _, c := range columns {
		shown := cell{"-", p.faint}
		if o.Structure != nil && o.Structure.Flow != nil {
			shown = flowCell(o, c.title, rates, p)
		}
		cells = append(cells, shown)
	}
	return cells
}

func flowCell(o inspect.Object, title string, rates map[string]float64, p palette) cell {
	f := o.Structure.Flow
	switch fill := f.Fill(); {
	case title == recordsColumn.title:
		return cell{printable(typeWords(f.Schema)), p.plain}
	case title == fillColumn.title && fill > 0.9:
		return cell{percent(fill), p.warn}
	case title == fillColumn.title && fill >= 0:
		return cell{percent(fill), p.plain}
	case title == rateColumn.title:
		return cell{perSecond(rates[o.Address]), p.plain}
	case title == endsColumn.title && o.Structure.Kind != "queue": // in which every member may do both
		senders, receivers := f.Live()
		return cell{fmt.Sprintf("%d/%d", senders, receivers), p.plain}
	}
	return cell{"-", p.faint}
}

// repairs is how often something of an object was taken over from the dead.
func repairs(o inspect.Object) uint64 {
	switch {
	case o.Structure == nil || o.Structure.Members == nil:
		return 0
	case o.Structure.Flow != nil:
		return o.Structure.Members.Repairs + o.Structure.Flow.Returned + o.Structure.Flow.Freed
	}
	return o.Structure.Members.Repairs
}

func repairsOf(o inspect.Object) string {
	if o.Structure == nil || o.Structure.Members == nil {
		return "-"
	}
	return strconv.FormatUint(repairs(o), 10)
}

// rateTime is for how long ls counts records.
const rateTime = 200 * time.Millisecond

// measureRates counts what is sent meanwhile to the rings, topics and queues that
// somebody uses: records a second, by address.
func measureRates(s *inspect.Snapshot) map[string]float64 {
	rates := map[string]float64{}
	var used []inspect.Object
	for _, o := range s.Objects {
		if o.Structure == nil || o.Structure.Flow == nil {
			continue
		}
		if rates[o.Address] = 0; o.State == inspect.InUse {
			used = append(used, o)
		}
	}
	if len(used) == 0 {
		return rates
	}
	count := func() (sent []uint64, at []time.Time) {
		for _, o := range used {
			n := uint64(0)
			if s, err := inspect.Look(o.Address); err == nil && s != nil && s.Flow != nil && s.Created.Equal(o.Structure.Created) {
				n = s.Flow.Sent
			}
			sent, at = append(sent, n), append(at, time.Now())
		}
		return sent, at
	}
	before, from := count()
	time.Sleep(rateTime)
	after, to := count()
	for i, o := range used {
		if after[i] > before[i] {
			rates[o.Address] = float64(after[i]-before[i]) / to[i].Sub(from[i]).Seconds()
		}
	}
	return rates
}
