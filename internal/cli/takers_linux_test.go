package cli

import (
	"context"
	"errors"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/queue"
	"github.com/seed-247006a4/shoal/ring"
	"github.com/seed-247006a4/shoal/shm"
	"github.com/seed-247006a4/shoal/topic"
)

// tick is what the role publish sends.
type tick struct {
	Time   int64   `shoal:"time"`
	Price  float64 `shoal:"price"`
	Symbol [8]byte `shoal:"symbol,text"`
}

// takers are the roles of a holder (see hold) that take part in Shoal objects.
// What they return stays theirs until they end.
var takers = map[string]func(args []string) (any, error){
	"lock": func(names []string) (any, error) {
		var held []any
		for _, name := range names {
			mu, err := pshared.OpenMutex(name)
			if err == nil {
				err = mu.Lock()
			}
			if err != nil {
				return nil, err
			}
			held = append(held, mu)
		}
		return held, nil
	},
	"rlock": func(args []string) (any, error) {
		rw, err := pshared.OpenRWMutex(args[0])
		if err != nil {
			return nil, err
		}
		return rw, errors.Join(rw.RLock(), rw.RLock())
	},
	"acquire": func(args []string) (any, error) {
		s, err := pshared.OpenSemaphore(args[0], pshared.SemaphoreConfig{Value: 5, Undo: true})
		if err != nil {
			return nil, err
		}
		return s, errors.Join(s.Acquire(), s.Acquire())
	},
	"barrier": func(args []string) (any, error) { return pshared.OpenBarrier(args[0], 2) },
	"once": func(args []string) (any, error) {
		o, err := pshared.OpenOnce(args[0])
		if err != nil {
			return nil, err
		}
		begun := make(chan struct{})
		go o.Do(func() error { close(begun); select {} })
		<-begun
		return o, nil
	},
	"primitives": func([]string) (any, error) {
		e, err := pshared.OpenEvent("event", pshared.AutoReset)
		if err != nil {
			return nil, err
		}
		e.Set()
		c, err := pshared.OpenCond("cond")
		if err != nil {
			return nil, err
		}
		s, err := pshared.OpenSemaphore("sem", pshared.SemaphoreConfig{Value: 7})
		return []any{e, c, s}, err
	},
	"publish": func(args []string) (any, error) {
		t, err := topic.OpenOrCreate[tick](args[0], nil)
		if err != nil {
			return nil, err
		}
		p, err := t.Publisher()
		for i := int64(1); err == nil && i <= 3; i++ {
			err = p.Send(context.Background(), tick{i, float64(i) + 100.5, [8]byte{'S', 'H', 'L'}})
		}
		return []any{t, p}, err
	},
	"receive": func(args []string) (any, error) {
		q, err := queue.Open[[]byte](args[0], nil)
		if err != nil {
			return nil, err
		}
		m, err := q.Receive(context.Background())
		return []any{q, m}, err
	},
	"ring": func(args []string) (any, error) {
		r, err := ring.Create[int32](args[0], &ring.Options{Size: 64 << 10})
		if err != nil {
			return nil, err
		}
		w, err := r.Writer()
		for i := int32(1); err == nil && i <= 3; i++ {
			err = w.Send(context.Background(), i)
		}
		return []any{r, w}, err
	},
	"member": func(args []string) (any, error) {
		seg, err := shm.Create(args[0], 8192, nil)
		if err != nil {
			return nil, err
		}
		return pshared.Join(seg, 0, 4)
	},
}
