//go:build linux && (amd64 || arm64)

package topic_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/topic"
)

// operation is what a victim is killed in.
type operation struct {
	prepare func(first uint64) func() error // in the victim
	policy  topic.Policy
	steps   []int // how many records it may have sent, or with a name released; the last is that of the whole operation
	sends   bool  // it is a publisher's
	name    bool  // it has, or makes, the subscription "v"
	wrap    bool  // its first record does not fit before the end of the lane
	full    bool  // a publisher waits for room: the victim, or the test's for the victim
	dead    bool  // another process has died that had a lane, and one that had a place
	there   bool  // the subscription "v" is there, and no process has it
	lap     bool  // a lane and more is written between its preparation and its operation
	forgets bool  // it ends the subscription "v"
}

const batch = 15 // records; with their filling about a third of a lane

func several(first uint64) (all [][]byte) {
	for i := range uint64(batch) {
		all = append(all, message{number: first + i}.append(nil))
	}
	return all
}

func victimTopic() *topic.Topic[[]byte] {
	tp, err := topic.Open[[]byte]("k", nil)
	rerun.Check(err)
	return tp
}

func publishes(op func(p *topic.Publisher[[]byte], first uint64) error) func(uint64) func() error {
	return func(first uint64) func() error {
		p, err := victimTopic().Publisher()
		rerun.Check(err)
		return func() error { return op(p, first) }
	}
}

func withTopic(op func(tp *topic.Topic[[]byte]) error) func(uint64) func() error {
	return func(uint64) func() error {
		tp := victimTopic()
		return func() error { return op(tp) }
	}
}

func subscribes(o topic.SubscribeOptions) func(uint64) func() error {
	return withTopic(func(tp *topic.Topic[[]byte]) error { _, err := tp.Subscribe(&o); return err })
}

func receiving(o topic.SubscribeOptions, op func(s *topic.Subscription[[]byte]) error) func(uint64) func() error {
	return func(uint64) func() error {
		s, err := victimTopic().Subscribe(&o)
		rerun.Check(err)
		return func() error { return op(s) }
	}
}

var (
	named  = topic.SubscribeOptions{Name: "v", From: topic.Oldest}
	oldest = topic.SubscribeOptions{From: topic.Oldest}
	lossy  = topic.SubscribeOptions{From: topic.Oldest, Lossy: true}

	opSend = publishes(func(p *topic.Publisher[[]byte], first uint64) error {
		for i := range uint64(2) {
			if err := p.Send(background, message{number: first + i}.append(nil)); err != nil {
				return err
			}
		}
		return nil
	})
	opBatch = publishes(func(p *topic.Publisher[[]byte], first uint64) error {
		_, err := p.SendBatch(background, several(first))
		return err
	})
	opLoan = publishes(func(p *topic.Publisher[[]byte], first uint64) error {
		b := message{number: first}.append(nil)
		l, err := p.LoanBytes(background, len(b))
		if err != nil {
			return err
		}
		copy(*l.Value, b)
		return l.Commit()
	})
	opPublisher = withTopic(func(tp *topic.Topic[[]byte]) error { _, err := tp.Publisher(); return err })
	opThree     = func(s *topic.Subscription[[]byte]) error {
		for range 3 {
			if _, err := s.Receive(background); err != nil && !errors.Is(err, topic.ErrMissed) && !errors.Is(err, topic.ErrDropped) {
				return err
			}
		}
		return nil
	}
	opEmpty = func(s *topic.Subscription[[]byte]) error {
		for {
			_, ok, err := s.TryReceive()
			if err != nil && !errors.Is(err, topic.ErrMissed) && !errors.Is(err, topic.ErrDropped) {
				return err
			}
			if !ok && err == nil {
				return nil
			}
		}
	}
)

// upTo is every number up to n.
func upTo(n int) (all []int) {
	for i := range n + 1 {
		all = append(all, i)
	}
	return all
}

var operations = map[string]operation{
	"Publisher":                {sends: true, steps: []int{0}, prepare: opPublisher},
	"Publisher, takes over":    {sends: true, steps: []int{0}, dead: true, prepare: opPublisher},
	"Send":                     {sends: true, steps: upTo(2), prepare: opSend},
	"Send, at the end":         {sends: true, steps: upTo(2), wrap: true, prepare: opSend},
	"Send, waits for room":     {sends: true, steps: upTo(2), full: true, prepare: opSend},
	"Send, drops a subscriber": {sends: true, steps: upTo(2), full: true, policy: topic.Drop, prepare: opSend},
	"Send, takes over":         {sends: true, steps: upTo(2), dead: true, prepare: opSend},
	"SendBatch":                {sends: true, steps: upTo(batch), prepare: opBatch},
	"SendBatch, at the end":    {sends: true, steps: upTo(batch), wrap: true, prepare: opBatch},
	"Loan, Commit":             {sends: true, steps: upTo(1), prepare: opLoan},
	"Loan, Commit at the end":  {sends: true, steps: upTo(1), wrap: true, prepare: opLoan},
	"Loan, Cancel at the end": {sends: true, steps: []int{0}, wrap: true, prepare: publishes(func(p *topic.Publisher[[]byte], _ uint64) error {
		l, err := p.LoanBytes(background, 1000)
		if err != nil {
			return err
		}
		return l.Cancel()
	})},
	"Publisher.Close":                   {sends: true, steps: []int{0}, prepare: publishes(func(p *topic.Publisher[[]byte], _ uint64) error { return p.Close() })},
	"Subscribe, now":                    {prepare: subscribes(topic.SubscribeOptions{})},
	"Subscribe, oldest":                 {prepare: subscribes(oldest)},
	"Subscribe, history":                {prepare: subscribes(topic.SubscribeOptions{History: 3})},
	"Subscribe, lossy":                  {prepare: subscribes(lossy)},
	"Subscribe, in a topic that drops":  {policy: topic.Drop, prepare: subscribes(oldest)},
	"Subscribe, in a dead one's place":  {dead: true, prepare: subscribes(topic.SubscribeOptions{})},
	"Subscribe, with a name":            {name: true, steps: []int{0}, prepare: subscribes(named)},
	"Subscribe by name":                 {name: true, there: true, steps: []int{0}, prepare: subscribes(named)},
	"Subscribe by name, dropped":        {name: true, there: true, policy: topic.Drop, lap: true, prepare: subscribes(named)},
	"Receive":                           {prepare: receiving(oldest, opThree)},
	"Receive, a publisher wants room":   {full: true, prepare: receiving(oldest, opThree)},
	"Receive, with a name":              {name: true, steps: upTo(3), prepare: receiving(named, opThree)},
	"Receive, named, wanted":            {name: true, steps: upTo(3), full: true, prepare: receiving(named, opThree)},
	"Receive, named, until empty":       {name: true, steps: upTo(10), prepare: receiving(named, opEmpty)},
	"Receive, named, at the end":        {name: true, steps: upTo(3), wrap: true, prepare: receiving(topic.SubscribeOptions{Name: "v"}, opThree)},
	"Receive, lossy":                    {prepare: receiving(lossy, opThree)},
	"Receive, lossy, overtaken":         {lap: true, prepare: receiving(lossy, opEmpty)},
	"Receive, named, dropped":           {name: true, lap: true, policy: topic.Drop, prepare: receiving(named, opEmpty)},
	"Receive, named, in one that drops": {name: true, steps: upTo(3), policy: topic.Drop, prepare: receiving(named, opThree)},
	"Peek, Release": {name: true, steps: upTo(1), prepare: receiving(named, func(s *topic.Subscription[[]byte]) error {
		if _, err := s.Peek(background); err != nil {
			return err
		}
		return s.Release()
	})},
	"ReceiveBatch": {name: true, steps: []int{0, 3}, full: true, prepare: receiving(named, func(s *topic.Subscription[[]byte]) error {
		_, err := s.ReceiveBatch(background, make([][]byte, 3))
		return err
	})},
	"Runs": {name: true, steps: []int{0, 4, 5, 8, 9, 10}, prepare: receiving(named, func(s *topic.Subscription[[]byte]) error {
		n := 0
		for _, err := range s.Runs(background) {
			if n++; err != nil || n == 10 {
				return err
			}
		}
		return nil
	})},
	"Subscription.Close":              {prepare: receiving(oldest, func(s *topic.Subscription[[]byte]) error { return s.Close() })},
	"Subscription.Close, wanted":      {full: true, prepare: receiving(oldest, func(s *topic.Subscription[[]byte]) error { return s.Close() })},
	"Subscription.Close, with a name": {name: true, steps: []int{0}, prepare: receiving(named, func(s *topic.Subscription[[]byte]) error { return s.Close() })},
	"Forget":                          {there: true, forgets: true, prepare: withTopic(func(tp *topic.Topic[[]byte]) error { return tp.Forget("v") })},
	"Repair":                          {dead: true, prepare: withTopic(func(tp *topic.Topic[[]byte]) error { _, err := tp.Repair(); return err })},
}

func init() {
	// hold has a lane and a place, until it is killed.
	roles["hold"] = func([]string) {
		tp := victimTopic()
		_, err := tp.Publisher()
		rerun.Check(err)
		_, err = tp.Subscribe(nil)
		rerun.Check(err)
		rerun.Say("holds")
		rerun.Hear()
	}
}

// wrapAt is the number of the first record that does not fit before the end.
func wrapAt() (number uint64) {
	for pos := 0; ; number++ {
		size := (len(message{number: number}.append(nil))+7)&^7 + 8
		if number == 0 {
			size += 8 // its stamp
		}
		if pos+size > topic.MinLaneSize {
			return number
		}
		pos += size
	}
}

// last is a number that comes behind all others.
const last = 1 << 40

// listener keeps what a subscription of the test receives.
type listener struct {
	mu      sync.Mutex
	numbers []uint64
	err     error
	ended   sync.WaitGroup
}

// listen receives until the subscription is closed.
func listen(s *topic.Subscription[[]byte]) *listener {
	l := &listener{}
	l.ended.Go(func() {
		for v, err := range s.All(background) {
			var m message
			if err == nil {
				m, err = parse(*v)
			}
			l.mu.Lock()
			switch {
			case err == nil:
				l.numbers = append(l.numbers, m.number)
			case errors.Is(err, topic.ErrDropped) || errors.Is(err, topic.ErrMissed):
			case !errors.Is(err, fs.ErrClosed):
				l.err = err
			}
			l.mu.Unlock()
		}
	})
	return l
}

// heard returns what was received so far.
func (l *listener) heard() ([]uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.numbers), l.err
}

// A process is killed at every store that it makes to shared memory, in every
// operation of every role. The others go on: no record is lost or torn, none that was
// released comes again, of a run that was to be committed at once all are there or
// none, nobody waits for the dead, and what they had is taken back.
func TestKillAtEveryStore(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	if out, err := exec.Command("go", "test", "-c", "-tags", "shoalcrash", "-o", victim, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var matrix strings.Builder
	tried := 0
	for _, name := range slices.Sorted(maps.Keys(operations)) {
		before := 0
		var seen []int
		for kill := 1; ; kill++ {
			n, passed := killOnce(t, victim, name, kill)
			if t.Failed() {
				return
			}
			// Whether a record has a stamp, whose reading is a store, and where a batch is
			// divided, depends on who sleeps.
			if n < before-5 {
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
			if all := operations[name].steps; len(all) > 0 && n != all[len(all)-1] {
				t.Fatalf("%s: acknowledged %d records, and there are %d", name, all[len(all)-1], n)
			}
			fmt.Fprintf(&matrix, "%-34s %3d stores, then there were %v records\n", name, passed, seen)
			break
		}
	}
	stops := joinAtEveryStore(t, victim)
	t.Logf("\n%skill points: %d tried, 0 failed; stops: %d", &matrix, tried, stops)
}

// joinAtEveryStore stops a publisher at each store on its way round the lane, and
// subscribes, from the oldest record on, while it stands there. All that was there then,
// and all that comes, is received whole.
func joinAtEveryStore(t *testing.T, victim string) (stops int) {
	for stop := 1; ; stop++ {
		if passed := joinOnce(t, victim, stop); t.Failed() || passed < stop {
			return stops
		}
		stops++
	}
}

func joinOnce(t *testing.T, victim string, stop int) (passed int) {
	tp := got(topic.Create[[]byte]("k", small(topic.Wait)))(t)
	defer topic.Remove("k")
	defer tp.Close()
	early := got(tp.Subscribe(nil))(t)
	v := rerun.StartProgram(t, victim, "halting", strconv.Itoa(stop))
	v.Expect("ready")
	for range 15 {
		got(early.Receive(background))(t)
	}
	v.Say("go")
	eventually(t, "the publisher stops, or has come to its end", func() bool { return v.Stopped() || len(v.Lines()) > 0 })
	late := got(tp.Subscribe(&oldest))(t)
	v.Continue()
	var sent uint64
	if _, err := fmt.Sscan(v.Expect("done"), &sent, &passed); err != nil {
		t.Fatal(err)
	}
	v.Kill()
	for s, next := range map[*topic.Subscription[[]byte]]uint64{early: 15, late: 0} {
		for first := true; next < sent; first = false {
			p, ok, err := s.TryReceive()
			var m message
			if err == nil && ok {
				m, err = parse(p)
			}
			if first && s == late {
				next = m.number
			}
			if err != nil || !ok || m.number != next || s.Last().Number != next {
				t.Fatalf("stopped at store %d, sent %d: number %d at %+v, %t, %v; want %d", stop, sent, m.number, s.Last(), ok, err, next)
			}
			next++
		}
	}
	must(t, tp.Check())
	return passed
}

// killOnce returns how many records the victim has sent, or released, and how many
// stores it has made if it has come to its end, else -1.
func killOnce(t *testing.T, victim, name string, kill int) (n, passed int) {
	o := operations[name]
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s: killed at store %d: %s", name, kill, fmt.Sprintf(format, args...))
	}
	tp := got(topic.Create[[]byte]("k", small(o.policy)))(t)
	defer topic.Remove("k")
	defer tp.Close()
	var holder *rerun.Process
	if o.dead {
		holder = rerun.Start(t, "hold")
		holder.Expect("holds")
	}
	if o.there {
		s := got(tp.Subscribe(&topic.SubscribeOptions{Name: "v"}))(t)
		must(t, s.Close())
	}
	sub, lossy := got(tp.Subscribe(nil))(t), got(tp.Subscribe(&topic.SubscribeOptions{Lossy: true}))(t)
	var p *topic.Publisher[[]byte]
	if !o.dead || !o.sends {
		p = got(tp.Publisher())(t)
	}
	next := uint64(0)
	put := func() error {
		err := p.Send(background, message{number: next}.append(nil))
		next++
		return err
	}
	first := uint64(0)
	if o.wrap {
		for first = wrapAt() - 1; next < first; {
			must(t, put())
			got(sub.Receive(background))(t)
			got(lossy.Receive(background))(t)
		}
	}
	var ears, loose *listener
	start := func() { ears, loose = listen(sub), listen(lossy) }
	if !o.sends || !o.full {
		start()
	}
	const there = 10
	switch {
	case o.sends && o.full:
		for o.policy != topic.Drop || tp.Stats().Subscribers[0].Lag[0].Bytes < topic.MinLaneSize-300 {
			ok, err := p.TrySend(message{number: next}.append(nil))
			must(t, err)
			if !ok {
				break
			}
			next++
		}
		must(t, p.Close())
	case o.sends:
		if p != nil {
			must(t, p.Close())
		} else {
			holder.Kill()
		}
		eventually(t, "the subscribers sleep", func() bool { asleep, _ := tp.Sleeping(); return asleep })
	case !o.wrap:
		for range there {
			must(t, put())
		}
	}
	if holder != nil {
		holder.Kill()
	}
	begin := next
	v := rerun.StartProgram(t, victim, "victim", name, strconv.FormatUint(begin, 10), strconv.Itoa(kill))
	v.Expect("ready")
	done := make(chan error, 1)
	sending := false
	switch {
	case o.lap:
		for range 200 {
			must(t, put())
		}
	case o.wrap && !o.sends:
		for range 10 {
			must(t, put())
		}
	case o.full && !o.sends:
		sending = true
		go func() {
			for range 100 {
				if err := put(); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		eventually(t, "the publisher sleeps", func() bool { _, asleep := tp.Sleeping(); return asleep == 1 })
	}
	v.Say("go")
	ended := make(chan string, 1)
	go func() { ended <- <-v.Lines() }()
	if o.sends && o.full {
		var line string
		eventually(t, "the victim sleeps, or has come to its end", func() bool {
			select {
			case line = <-ended:
				ended <- line
				return true
			default:
			}
			_, asleep := tp.Sleeping()
			return asleep == 1
		})
		start()
	}
	passed = -1
	if line := <-ended; line != "" {
		if _, err := fmt.Sscanf(line, "done %d", &passed); err != nil {
			t.Fatalf("%s: %q", name, line)
		}
	}
	v.Kill()

	// Nobody sleeps over what the victim has left behind.
	if !sending {
		eventually(t, fmt.Sprintf("%s: killed at store %d: those who listen have heard all", name, kill), func() bool { return allHeard(tp) })
	}
	if o.sends {
		var err error
		if p, err = tp.Publisher(); err != nil {
			fail("%v", err)
			return
		}
		if p.Number() != 0 {
			fail("lane %d instead of 0", p.Number())
		}
		must(t, p.Send(background, message{number: last}.append(nil)))
		for _, l := range []*listener{ears, loose} {
			eventually(t, name+": the last record comes", func() bool { all, _ := l.heard(); return len(all) > 0 && all[len(all)-1] == last })
		}
		all, err := ears.heard()
		if err != nil {
			fail("%v", err)
		}
		for _, number := range all[:len(all)-1] {
			if number >= begin {
				n++
			}
		}
		for i, number := range all[:len(all)-1] {
			if number != first+uint64(i) && o.policy != topic.Drop {
				fail("record %d has number %d", i, number)
			}
		}
		if rest, err := loose.heard(); err != nil || o.policy != topic.Drop && !o.full && !slices.Equal(rest, all) {
			fail("the lossy one has heard %d, the reliable one %d: %v", rest, all, err)
		}
	} else {
		n = survive(t, tp, &o, put, &next, sending, done, fail)
		if t.Failed() {
			return
		}
		if ears, err := ears.heard(); err != nil || uint64(len(ears)) != next && o.policy != topic.Drop && !o.wrap {
			fail("heard %d records of %d: %v", len(ears), next, err)
		}
	}
	if len(o.steps) > 0 && !slices.Contains(o.steps, n) {
		fail("%d records; want one of %v", n, o.steps)
	}
	must(t, sub.Close())
	must(t, lossy.Close())
	must(t, p.Close())
	ears.ended.Wait()
	loose.ended.Wait()
	if _, err := tp.Repair(); err != nil {
		fail("%v", err)
	}
	if err := tp.Check(); err != nil {
		fail("%v", err)
	}
	s := tp.Stats()
	for _, pub := range s.Publishers {
		if pub.Port.PID != 0 {
			fail("%+v", pub)
		}
	}
	if len(s.Subscribers) != 0 || s.Members != 1 {
		fail("%+v", s)
	}
	return n, passed
}

// survive goes on after the death of a subscriber, and returns how many records it had
// released if it has a name.
func survive(t *testing.T, tp *topic.Topic[[]byte], o *operation, put func() error, next *uint64, sending bool, done chan error, fail func(string, ...any)) (n int) {
	var s *topic.Subscription[[]byte]
	if o.name {
		again := named
		var err error
		if s, err = tp.Subscribe(&again); err != nil {
			fail("%v", err)
			return
		}
	}
	if o.there && o.forgets {
		if err := tp.Forget("v"); err != nil && !errors.Is(err, fs.ErrNotExist) {
			fail("%v", err)
		}
	}
	start, expect := uint64(0), uint64(0)
	if o.wrap {
		start = wrapAt() - 1
	}
	began := false
	get := func(end uint64) {
		for expect < end || !began {
			v, err := s.Receive(background)
			if errors.Is(err, topic.ErrMissed) && o.lap {
				continue
			}
			var m message
			if err == nil {
				m, err = parse(v)
			}
			if !began {
				began, expect, n = true, m.number, int(m.number-start)
			}
			if err != nil || m.number != expect || s.Last().Number != m.number {
				fail("number %d at %+v, %v; want %d", m.number, s.Last(), err, expect)
				return
			}
			expect++
		}
	}
	if sending {
		if s != nil {
			go func() { must(t, <-done); done <- put() }()
			get(111)
		}
		must(t, <-done)
	} else if s != nil {
		must(t, put())
		get(*next)
	}
	if s != nil && !t.Failed() {
		must(t, s.Close())
		must(t, tp.Forget("v"))
	}
	// Nobody waits for the dead: three times round the lane.
	for range 100 {
		must(t, put())
	}
	if o.lap {
		n = 0 // how much was there is not the victim's doing
	}
	eventually(t, "those who listen have heard all", func() bool { return allHeard(tp) })
	return n
}

// allHeard reports whether the test's own subscriptions, all others are dead or have a
// name, are behind nobody.
func allHeard(tp *topic.Topic[[]byte]) bool {
	for _, s := range tp.Stats().Subscribers {
		for _, lag := range s.Lag {
			if s.Port.PID == os.Getpid() && lag.Records != 0 {
				return false
			}
		}
	}
	return true
}
