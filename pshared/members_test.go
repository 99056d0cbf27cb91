package pshared_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/pshared"
	"github.com/seed-247006a4/shoal/shm"
)

// Every kind of segment can hold primitives.
func TestSegments(t *testing.T) {
	for kind, addr := range map[string]string{
		"posix": "/segment", "sysv": "sysv:0x5347", "file": "file:" + filepath.Join(t.TempDir(), "segment"), "memfd": "memfd:segment",
	} {
		t.Run(kind, func(t *testing.T) {
			seg := got(shm.Create(addr, 1<<16, nil))(t)
			defer seg.Close()
			defer seg.Remove()
			if kind == "sysv" {
				info := got(seg.Stat())(t)
				companion := fmt.Sprintf("/shoal.sysv-%d", info.ID)
				defer shm.Remove(companion)
			}
			const slots = 3
			var all []*pshared.Members
			for range slots { // several members in one process
				m := got(pshared.Join(seg, 128, slots))(t)
				defer m.Leave()
				all = append(all, m)
			}
			_, err := pshared.Join(seg, 128, 0)
			wantErr(t, "one too many", err, pshared.ErrNoSlot)
			all[2].Leave()
			late := got(pshared.Join(seg, 128, 99))(t) // a table that exists keeps its size
			late.Leave()

			at := 128 + pshared.MembersFootprint(slots)
			_, err = pshared.JoinMutex(all[1], at)
			wantErr(t, "not made yet", err, fs.ErrNotExist)
			a := got(pshared.InitMutex(all[0], at))(t)
			_, err = pshared.InitMutex(all[1], at)
			wantErr(t, "made already", err, fs.ErrExist)
			b := got(pshared.JoinMutex(all[1], at))(t)
			must(t, a.Lock())
			if ok, err := b.TryLock(); ok || err != nil {
				t.Errorf("two owners: %v, %v", ok, err)
			}
			errs := make(chan error)
			go func() { errs <- b.Lock() }()
			(&words{seg, at}).sleeps(t, mutexState)
			all[0].Leave()
			within(t, 20*time.Second, "the survivor", func() { wantErr(t, "the survivor", <-errs, pshared.ErrOwnerDied) })
			must(t, b.MarkConsistent())
			must(t, b.Unlock())
			if s := all[1].Stats(); s.Members != 1 || s.Deaths != 0 || s.Repairs != 1 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// All primitives in one segment, and their places checked.
func TestPlaces(t *testing.T) {
	seg := got(shm.Create("/places", 1<<16, nil))(t)
	defer shm.Remove("/places")
	defer seg.Close()
	_, err := pshared.Join(seg, 8, 4)
	wantErr(t, "a table at 8", err, syscall.EINVAL)
	_, err = pshared.Join(seg, 1<<16-64, 4)
	wantErr(t, "a table across the end", err, syscall.EINVAL)
	_, err = pshared.Join(seg, 0, pshared.MaxMembers+1)
	wantErr(t, "too many members", err, syscall.EINVAL)
	m := got(pshared.Join(seg, 0, 4))(t)
	defer m.Leave()

	undo := pshared.SemaphoreConfig{Value: 9, Undo: true}
	at := pshared.MembersFootprint(4)
	for _, p := range []struct {
		footprint  int
		init, join func(at int) (any, error)
	}{
		{pshared.MutexFootprint,
			func(at int) (any, error) { return any2(pshared.InitMutex(m, at)) },
			func(at int) (any, error) { return any2(pshared.JoinMutex(m, at)) }},
		{pshared.RWMutexFootprint(4),
			func(at int) (any, error) { return any2(pshared.InitRWMutex(m, at)) },
			func(at int) (any, error) { return any2(pshared.JoinRWMutex(m, at)) }},
		{pshared.CondFootprint,
			func(at int) (any, error) { return any2(pshared.InitCond(m, at)) },
			func(at int) (any, error) { return any2(pshared.JoinCond(m, at)) }},
		{pshared.SemaphoreFootprint(undo),
			func(at int) (any, error) { return any2(pshared.InitSemaphore(m, at, undo)) },
			func(at int) (any, error) { return any2(pshared.JoinSemaphore(m, at)) }},
		{pshared.EventFootprint,
			func(at int) (any, error) { return any2(pshared.InitEvent(m, at, pshared.AutoReset)) },
			func(at int) (any, error) { return any2(pshared.JoinEvent(m, at)) }},
		{pshared.BarrierFootprint(9),
			func(at int) (any, error) { return any2(pshared.InitBarrier(m, at, 9)) },
			func(at int) (any, error) { return any2(pshared.JoinBarrier(m, at)) }},
		{pshared.OnceFootprint,
			func(at int) (any, error) { return any2(pshared.InitOnce(m, at)) },
			func(at int) (any, error) { return any2(pshared.JoinOnce(m, at)) }},
	} {
		for what, wrong := range map[string]int{
			"odd": at + 8, "negative": -64, "at the end": 1 << 16, "far beyond": 1 << 40, "across the end": 1<<16 - 64,
		} {
			if what == "across the end" && p.footprint == 64 {
				continue // fits
			}
			_, err := p.init(wrong)
			wantErr(t, what, err, syscall.EINVAL)
			if what != "across the end" {
				_, err = p.join(wrong)
				wantErr(t, what, err, syscall.EINVAL)
			}
		}
		_, err := p.join(at)
		wantErr(t, "nothing there", err, fs.ErrNotExist)
		_, err = p.init(at)
		must(t, err)
		_, err = p.init(at)
		wantErr(t, "made", err, fs.ErrExist)
		_, err = p.join(at)
		must(t, err)
		_, err = p.join(0)
		wantErr(t, "the member table", err, shm.ErrCorrupt)
		_, err = p.init(0)
		wantErr(t, "over the member table", err, fs.ErrExist)
		at += p.footprint
	}
	// A magic number at the last place, and then the end.
	seg.Bytes()[1<<16-64+4] = 200
	copy(seg.Bytes()[1<<16-64:], "SEMA")
	_, err = pshared.JoinSemaphore(m, 1<<16-64)
	wantErr(t, "permits beyond the end", err, shm.ErrCorrupt)
	copy(seg.Bytes()[1<<16-64:], "BARR")
	_, err = pshared.JoinBarrier(m, 1<<16-64)
	wantErr(t, "places beyond the end", err, shm.ErrCorrupt)
	seg.Bytes()[1<<16-128+4] = 4
	copy(seg.Bytes()[1<<16-128:], "RWMX")
	_, err = pshared.JoinRWMutex(m, 1<<16-128)
	wantErr(t, "readers beyond the end", err, shm.ErrCorrupt)
}

func TestOptions(t *testing.T) {
	o := pshared.Options{Mode: 0o660, Members: 2}
	a := got(o.OpenMutex("options"))(t)
	defer a.Close()
	b := got(pshared.OpenMutex("options"))(t)
	_, err := o.OpenMutex("options")
	wantErr(t, "a third", err, pshared.ErrNoSlot)
	b.Close()
	b = got(pshared.OpenMutex("options"))(t)
	b.Close()
	if info := got(shm.Stat("/shoal.options"))(t); info.Mode.Perm() != 0o660 {
		t.Errorf("mode %v; want 0660", info.Mode)
	}
	must(t, pshared.Remove("options"))
	wantErr(t, "remove again", pshared.Remove("options"), fs.ErrNotExist)
	must(t, a.Lock()) // it lives on without a name
	must(t, a.Unlock())

	o.Members = pshared.MaxMembers + 1
	_, err = o.OpenMutex("options")
	wantErr(t, "too many members", err, syscall.EINVAL)
	for _, name := range []string{"", "a b", "ü", string(make([]byte, 201))} {
		_, err := pshared.OpenMutex(name)
		wantErr(t, fmt.Sprintf("name %q", name), err, fs.ErrInvalid)
	}
	seg := got(shm.Create("/shoal.foreign", 4096, nil))(t)
	defer shm.Remove("/shoal.foreign")
	defer seg.Close()
	copy(seg.Bytes(), "somebody else's")
	_, err = pshared.OpenMutex("foreign")
	wantErr(t, "no Shoal object", err, shm.ErrCorrupt)
	wantErr(t, "remove no Shoal object", pshared.Remove("foreign"), shm.ErrCorrupt)
}

// A name holds one kind of primitive, of a version that is known.
func TestWrongObject(t *testing.T) {
	mu := mutexes(t, 1)[0]
	for _, c := range closables {
		if c.name == "mutex" {
			continue
		}
		p, err := c.openAs("mutex")
		if err == nil {
			t.Errorf("%s: opened %v", c.name, p)
		}
		wantErr(t, c.name, err, shm.ErrKind)
	}
	w := peek(t, "mutex")
	b := w.seg.Bytes()
	for what, damage := range map[string]struct {
		at   int
		word byte
		want error
	}{
		"major version":           {10, 9, shm.ErrVersion},
		"magic":                   {0, 'X', shm.ErrCorrupt},
		"kind":                    {12, 77, shm.ErrKind},
		"size":                    {18, 0xff, shm.ErrCorrupt},
		"body":                    {38, 1, shm.ErrCorrupt},
		"the mutex's own magic":   {w.body, 'X', shm.ErrCorrupt},
		"the table's version":     {64 + 6, 9, shm.ErrVersion},
		"the table's slots":       {64 + 8, 0, shm.ErrCorrupt},
		"the table's slots, many": {64 + 10, 1, shm.ErrCorrupt},
		"the table's magic":       {64, 'X', shm.ErrCorrupt},
	} {
		old := b[damage.at]
		b[damage.at] = damage.word
		_, err := pshared.OpenMutex("mutex")
		wantErr(t, what, err, damage.want)
		var e *shm.Error
		if !errors.As(err, &e) || e.Object != "mutex" {
			t.Errorf("%s: %v does not name its object", what, err)
		}
		b[damage.at] = old
	}
	// A minor version more is none of our business.
	b[8]++
	got(pshared.OpenMutex("mutex"))(t).Close()
	must(t, mu.Lock())
	must(t, mu.Unlock())
}

// Hundreds of objects in one process, each with its own members.
func TestManyObjects(t *testing.T) {
	const n = 300
	all := make([]*pshared.Mutex, n)
	for i := range all {
		name := fmt.Sprintf("many-%d", i)
		all[i] = got(pshared.Options{Members: 2}.OpenMutex(name))(t)
		must(t, pshared.Remove(name))
		must(t, all[i].Lock())
	}
	for i, mu := range all {
		must(t, mu.Unlock())
		if i%3 == 0 {
			must(t, mu.Close())
		}
	}
	for _, mu := range all {
		must(t, mu.Close())
	}
}

// Handles that the program drops are not kept, however many it makes.
func TestDroppedHandles(t *testing.T) {
	seg := got(shm.Create("/dropped", 1<<14, nil))(t)
	defer shm.Remove("/dropped")
	defer seg.Close()
	m := got(pshared.Join(seg, 0, 2))(t)
	defer m.Leave()
	at := pshared.MembersFootprint(2)
	mu := got(pshared.InitMutex(m, at))(t)
	for range 20 {
		for range 1000 {
			got(pshared.JoinMutex(m, at))(t)
		}
		runtime.GC()
	}
	if n := pshared.Handles(m); n > 5000 {
		t.Errorf("%d handles are kept of 20001 made and 1 in use", n)
	}
	must(t, mu.Lock())
	m.Leave()
	wantErr(t, "the one in use", mu.Lock(), shm.ErrClosed)
}
