//go:build linux && (amd64 || arm64)

package ring_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/ring"
)

// operation is what a victim is killed in. How many records it sends, or releases,
// is a matter of the store at which it dies: steps says after how many, since each
// commit and each release happens at once.
type operation struct {
	prepare func(first uint64) func() error // in the victim
	reads   bool                            // it is the reader's
	steps   []int                           // numbers of records, in order; the last is that of the whole operation
	full    bool                            // a writer waits for room
	wrap    bool                            // its first record does not fit before the end of the ring
}

const batch = 15 // records; with their filling about a third of the ring

// the records of a batch
func several(first uint64) (all [][]byte) {
	for i := range uint64(batch) {
		all = append(all, message{number: first + i}.append(nil))
	}
	return all
}

func victimRing() *ring.Ring[[]byte] {
	r, err := ring.Open[[]byte]("k", nil)
	rerun.Check(err)
	return r
}

func sends(op func(w *ring.Writer[[]byte], first uint64) error) func(uint64) func() error {
	return func(first uint64) func() error {
		w, err := victimRing().Writer()
		rerun.Check(err)
		return func() error { return op(w, first) }
	}
}

func receives(op func(rd *ring.Reader[[]byte]) error) func(uint64) func() error {
	return func(uint64) func() error {
		rd, err := victimRing().Reader()
		rerun.Check(err)
		return func() error { return op(rd) }
	}
}

var (
	opSend = sends(func(w *ring.Writer[[]byte], first uint64) error {
		for i := range uint64(2) {
			if err := w.Send(background, message{number: first + i}.append(nil)); err != nil {
				return err
			}
		}
		return nil
	})
	opBatch = sends(func(w *ring.Writer[[]byte], first uint64) error {
		_, err := w.SendBatch(background, several(first))
		return err
	})
	opLoan = sends(func(w *ring.Writer[[]byte], first uint64) error {
		p := message{number: first}.append(nil)
		l, err := w.LoanBytes(background, len(p))
		if err != nil {
			return err
		}
		copy(*l.Value, p)
		return l.Commit()
	})
	opReceive = receives(func(rd *ring.Reader[[]byte]) error {
		for range 3 {
			if _, err := rd.Receive(background); err != nil {
				return err
			}
		}
		return nil
	})
)

// upTo is every number up to n.
func upTo(n int) (all []int) {
	for i := range n + 1 {
		all = append(all, i)
	}
	return all
}

var operations = map[string]operation{
	"Writer": {steps: []int{0}, prepare: func(uint64) func() error {
		r := victimRing()
		return func() error { _, err := r.Writer(); return err }
	}},
	"Send":                    {steps: upTo(2), prepare: opSend},
	"Send, at the end":        {steps: upTo(2), prepare: opSend, wrap: true},
	"SendBatch":               {steps: upTo(batch), prepare: opBatch},
	"SendBatch, at the end":   {steps: upTo(batch), prepare: opBatch, wrap: true},
	"Loan, Commit":            {steps: upTo(1), prepare: opLoan},
	"Loan, Commit at the end": {steps: upTo(1), prepare: opLoan, wrap: true},
	"Loan, Cancel at the end": {steps: []int{0}, wrap: true, prepare: sends(func(w *ring.Writer[[]byte], first uint64) error {
		l, err := w.LoanBytes(background, 1000)
		if err != nil {
			return err
		}
		return l.Cancel()
	})},
	"Writer.Close": {steps: []int{0}, prepare: sends(func(w *ring.Writer[[]byte], _ uint64) error { return w.Close() })},
	"Reader": {steps: []int{0}, reads: true, prepare: func(uint64) func() error {
		r := victimRing()
		return func() error { _, err := r.Reader(); return err }
	}},
	"Receive":                        {steps: upTo(3), reads: true, prepare: opReceive},
	"Receive, a writer wants room":   {steps: upTo(3), reads: true, full: true, prepare: opReceive},
	"Receive at the end of the ring": {steps: upTo(3), reads: true, wrap: true, prepare: opReceive},
	"Peek, Release": {steps: upTo(1), reads: true, prepare: receives(func(rd *ring.Reader[[]byte]) error {
		if _, err := rd.Peek(background); err != nil {
			return err
		}
		return rd.Release()
	})},
	"ReceiveBatch": {steps: []int{0, 3}, reads: true, full: true, prepare: receives(func(rd *ring.Reader[[]byte]) error {
		_, err := rd.ReceiveBatch(background, make([][]byte, 3))
		return err
	})},
	"Runs": {steps: []int{0, 3}, reads: true, prepare: receives(func(rd *ring.Reader[[]byte]) error {
		n := 0
		for _, err := range rd.Runs(background) {
			if n++; err != nil || n == 3 {
				return err
			}
		}
		return nil
	})},
	"Receive until empty": {steps: upTo(10), reads: true, prepare: receives(func(rd *ring.Reader[[]byte]) error {
		for {
			if _, ok, err := rd.TryReceive(); !ok || err != nil {
				return err
			}
		}
	})},
	"Reader.Close": {steps: []int{0}, reads: true, prepare: receives(func(rd *ring.Reader[[]byte]) error { return rd.Close() })},
}

// wrapAt is the number of the first record that does not fit before the end.
func wrapAt() (number uint64) {
	for pos := 0; ; number++ {
		size := (len(message{number: number}.append(nil))+7)&^7 + 8
		if pos+size > ring.MinSize {
			return number
		}
		pos += size
	}
}

// last is a number that comes behind all others.
const last = 1 << 40

// A process is killed at every store that it makes to shared memory, in every
// operation. The others go on: with a new process at its end of the ring, no record
// is lost or torn, none that was released comes again, and of a run that was to be
// committed at once all are there or none.
func TestKillAtEveryStore(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	if out, err := exec.Command("go", "test", "-c", "-tags", "shoalcrash", "-o", victim, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var names []string
	for name := range operations {
		names = append(names, name)
	}
	sort.Strings(names)
	document := readDocument(t)
	var matrix strings.Builder
	tried := 0
	for _, name := range names {
		before := 0
		var seen []int
		promised := document[name]
		for kill := 1; ; kill++ {
			n, passed := killOnce(t, victim, name, kill)
			if t.Failed() {
				return
			}
			at := kill
			if passed >= 0 { // it has come to its end
				at = passed
			}
			if at >= len(promised) || promised[at] != n {
				t.Fatalf("%s: killed at store %d: %d records; docs/CRASH.md promises %v, by store", name, kill, n, promised)
			}
			if n < before {
				t.Fatalf("%s: killed at store %d: %d records, and %d if killed one earlier", name, kill, n, before)
			}
			before = n
			if !slices.Contains(seen, n) {
				seen = append(seen, n)
			}
			tried++
			if passed < 0 {
				continue
			}
			if passed != len(promised)-1 {
				t.Errorf("%s: %d stores; docs/CRASH.md lists %d", name, passed, len(promised)-1)
			}
			all := operations[name].steps
			if n != all[len(all)-1] {
				t.Fatalf("%s: acknowledged %d records, and there are %d", name, all[len(all)-1], n)
			}
			fmt.Fprintf(&matrix, "%-34s %3d stores, then there were %v records\n", name, passed, seen)
			break
		}
	}
	t.Logf("\n%skill points: %d tried, 0 failed", &matrix, tried)
}

// killOnce returns how many records the victim has sent, or released, and how many
// stores it has made if it has come to its end, else -1.
func killOnce(t *testing.T, victim, name string, kill int) (n, passed int) {
	o := operations[name]
	r := got(ring.Create[[]byte]("k", small))(t)
	defer ring.Remove("k")
	defer r.Close()
	w, rd := got(r.Writer())(t), got(r.Reader())(t)
	first := uint64(0)
	if o.wrap {
		first = wrapAt()
	}
	for i := range first {
		must(t, w.Send(background, message{number: i}.append(nil)))
		got(rd.Receive(background))(t)
	}

	next := first // to be sent by us
	done := make(chan error, 1)
	received := make(chan []byte, 1)
	if o.reads {
		must(t, rd.Close())
		const there = 10
		for range there {
			must(t, w.Send(background, message{number: next}.append(nil)))
			next++
		}
		if o.full {
			go func() {
				for ; next < first+100; next++ {
					if err := w.Send(background, message{number: next}.append(nil)); err != nil {
						done <- err
						return
					}
				}
				done <- nil
			}()
			eventually(t, "the writer sleeps", func() bool { _, asleep := r.Sleeping(); return asleep })
		}
	} else {
		must(t, w.Close())
		go func() {
			v, err := rd.Receive(background)
			done <- err
			received <- v
		}()
		eventually(t, "the reader sleeps", func() bool { asleep, _ := r.Sleeping(); return asleep })
	}

	p := rerun.StartProgram(t, victim, "victim", name, strconv.FormatUint(first, 10), strconv.Itoa(kill))
	p.Expect("ready")
	p.Say("go")
	passed = -1
	if line, ok := <-p.Lines(); ok {
		if _, err := fmt.Sscanf(line, "done %d", &passed); err != nil {
			t.Fatalf("%s: %q", name, line)
		}
	}
	p.Kill()

	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s: killed at store %d: %s", name, kill, fmt.Sprintf(format, args...))
	}
	died := time.Now()
	within := func() {
		if d := time.Since(died); d > 5*time.Second {
			fail("survivors went on after %v", d)
		}
	}
	get := func() (message, error) {
		v, err := rd.Receive(background)
		if err != nil {
			return message{}, err
		}
		return parse(v)
	}
	var err error
	if o.reads {
		if rd, err = r.Reader(); err != nil {
			fail("%v", err)
			return
		}
		if !o.full { // there may be nothing left
			must(t, w.Send(background, message{number: next}.append(nil)))
			next++
		}
		start, err := get()
		if err != nil {
			fail("%v", err)
			return
		}
		n = int(start.number - first)
		expect := start.number + 1
		end := first + 11
		if o.full {
			end = first + 100
		}
		for ; expect < end; expect++ {
			m, err := get()
			if err != nil || m.number != expect {
				fail("number %d, %v; want %d", m.number, err, expect)
				return
			}
		}
		if o.full {
			if err := <-done; err != nil {
				fail("%v", err)
			}
		}
	} else {
		if r.Stats().Used > 0 { // the victim may have died before it could wake the reader
			select {
			case err := <-done:
				done <- err
			case <-time.After(5 * time.Second):
				fail("the reader sleeps over a record")
				return
			}
		}
		if w, err = r.Writer(); err != nil {
			fail("%v", err)
			return
		}
		must(t, w.Send(background, message{number: last}.append(nil)))
		if err := <-done; err != nil {
			fail("%v", err)
			return
		}
		m, err := parse(<-received)
		for ; err == nil && m.number == first+uint64(n); n++ {
			m, err = get()
		}
		if err != nil || m.number != last {
			fail("number %d, %v; want %d or the last", m.number, err, first+uint64(n))
		}
	}
	within()
	if !slices.Contains(o.steps, n) {
		fail("%d records; want one of %v", n, o.steps)
	}
	if err := r.Check(); err != nil {
		fail("%v", err)
	}
	if s := r.Stats(); s.Used != 0 || s.Repairs > 1 {
		fail("%+v", s)
	}
	return n, passed
}
