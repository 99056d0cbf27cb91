//go:build linux && (amd64 || arm64)

package queue_test

import (
	"context"
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
	"github.com/seed-247006a4/shoal/queue"
)

// killOptions make room for 8 messages.
var killOptions = &queue.Options{Slots: 8, MaxMessage: 480}

// bytesQueue is what operations work on.
type bytesQueue = queue.Queue[[]byte]

// operation is what a victim is killed in.
type operation struct {
	there  int                                            // messages that there are before, numbers from 0
	setup  func(t *testing.T, q *bytesQueue) (end func()) // what else is done before by the test, which does end after the death
	later  func(t *testing.T)                             // what is done when the victim is prepared
	act    func(q *bytesQueue) func() error               // in the victim: prepares, and returns what it is killed in
	sends  []int                                          // how many messages the victim may have sent, numbers from 100; the last if it has come to its end
	acks   []int                                          // how many of those that were there it may have acknowledged, the first ones; likewise
	twice  int                                            // how many of them may be delivered twice
	asleep bool                                           // a consumer sleeps meanwhile
	full   bool                                           // a producer does; its message has number 50
	also   uint64                                         // a number that is delivered, too
}

func numbered(number uint64) []byte { return message{number: number}.append(nil) }

func sendOne(q *bytesQueue) func() error {
	return func() error { return q.Send(background, numbered(100)) }
}

func receiveOne(end func(queue.Message[[]byte]) error) func(q *bytesQueue) func() error {
	return func(q *bytesQueue) func() error {
		return func() error {
			m, err := q.Receive(background)
			if err != nil {
				return err
			}
			return end(m)
		}
	}
}

var none, upTo1 = []int{0}, []int{0, 1}

// lendsFirst has the test hold a slot before the messages, for number 60.
func lendsFirst(n int) func(t *testing.T, q *bytesQueue) func() {
	return func(t *testing.T, q *bytesQueue) func() {
		p := numbered(60)
		l := got(q.LoanBytes(background, len(p)))(t)
		copy(*l.Value, p)
		for i := range n {
			must(t, q.Send(background, numbered(uint64(i))))
		}
		return func() { must(t, l.Commit()) }
	}
}

// leavesDead has another process die that has the first message, and a slot.
func leavesDead(t *testing.T) {
	p := rerun.Start(t, "hold and fill", "k")
	p.Expect("both")
	p.Kill()
}

func init() {
	// hold and fill NAME: has a message and a slot.
	roles["hold and fill"] = func(args []string) {
		q := openBytes(args[0])
		_, err := q.Receive(background)
		rerun.Check(err)
		_, err = q.LoanBytes(background, 10)
		rerun.Check(err)
		rerun.Say("both")
		rerun.Hear()
	}
}

var operations = map[string]operation{
	"Open": {there: 2, sends: none, acks: none, act: func(*bytesQueue) func() error {
		return func() error { _, err := queue.Open[[]byte]("k", nil); return err }
	}},
	"Send":                     {sends: upTo1, acks: none, act: sendOne},
	"Send, a consumer sleeps":  {sends: upTo1, acks: none, asleep: true, act: sendOne},
	"Send past a taken slot":   {sends: upTo1, acks: none, also: 50, act: sendOne, setup: heldAtTail},
	"SendBatch":                {there: 1, sends: []int{0, 1, 2, 3}, acks: none, act: sendThree},
	"SendBatch, one sleeps":    {sends: []int{0, 1, 2, 3}, acks: none, asleep: true, act: sendThree},
	"TrySend, full":            {there: 8, sends: none, acks: none, act: trySend},
	"Loan, Commit":             {there: 1, sends: upTo1, acks: none, act: lend(true, false)},
	"Loan, Cancel":             {there: 1, sends: none, acks: none, act: lend(false, false)},
	"Loan, passed, Commit":     {there: 0, sends: upTo1, acks: none, act: lend(true, true)},
	"Loan, passed, Cancel":     {there: 0, sends: none, acks: none, act: lend(false, true)},
	"Receive, Ack":             {there: 3, sends: none, acks: upTo1, twice: 1, act: receiveOne(queue.Message[[]byte].Ack)},
	"Receive, Ack, one waits":  {there: 8, full: true, also: 50, sends: none, acks: upTo1, twice: 1, act: receiveOne(queue.Message[[]byte].Ack)},
	"Receive, Nack":            {there: 3, sends: none, acks: none, twice: 1, act: receiveOne(queue.Message[[]byte].Nack)},
	"Receive a returned, Ack":  {there: 3, sends: none, acks: upTo1, twice: 1, setup: returnsFirst, also: 40, act: receiveOne(queue.Message[[]byte].Ack)},
	"Receive a returned, Nack": {there: 3, sends: none, acks: none, twice: 1, setup: returnsFirst, also: 40, act: receiveOne(queue.Message[[]byte].Nack)},
	"Receive past a lent slot": {setup: lendsFirst(2), also: 60, sends: none, acks: upTo1, twice: 1, act: receiveOne(queue.Message[[]byte].Ack)},
	"ReceiveBatch, AckBatch": {there: 4, sends: none, acks: []int{0, 1, 2, 3}, twice: 3, act: func(q *bytesQueue) func() error {
		return func() error {
			ms := make([]queue.Message[[]byte], 3)
			n, err := q.ReceiveBatch(background, ms)
			if err == nil {
				_, err = q.AckBatch(ms[:n])
			}
			return err
		}
	}},
	"Close, with both": {there: 3, sends: none, acks: none, twice: 1, act: func(q *bytesQueue) func() error {
		_, err := q.Receive(background)
		rerun.Check(err)
		_, err = q.LoanBytes(background, 10)
		rerun.Check(err)
		return q.Close
	}},
	"burial": {there: 3, sends: none, acks: none, twice: 1, later: leavesDead, act: func(q *bytesQueue) func() error {
		return q.Repair
	}},
	"burial by TryReceive": {there: 1, sends: none, acks: none, twice: 1, later: leavesDead, act: func(q *bytesQueue) func() error {
		return func() error {
			m, ok, err := q.TryReceive()
			if !ok || err != nil {
				return fmt.Errorf("the dead one's message does not come: %t, %v", ok, err)
			}
			return m.Nack()
		}
	}},
	"burial by TrySend": {there: 7, sends: upTo1, acks: none, twice: 1, later: leavesDead, act: func(q *bytesQueue) func() error {
		return func() error {
			ok, err := q.TrySend(numbered(100))
			if !ok || err != nil {
				return fmt.Errorf("the dead one's slot is not free: %t, %v", ok, err)
			}
			return nil
		}
	}},
	"burial by who joins": {there: 3, sends: none, acks: none, twice: 1, setup: func(t *testing.T, _ *bytesQueue) func() { leavesDead(t); return func() {} }, act: func(*bytesQueue) func() error {
		return func() error { _, err := queue.Open[[]byte]("k", nil); return err }
	}},
}

// trySend finds the queue full, twice: once by looking, once told.
func trySend(q *bytesQueue) func() error {
	return func() error {
		for range 2 {
			if ok, err := q.TrySend(numbered(100)); ok || err != nil {
				return fmt.Errorf("sent to a full queue: %t, %v", ok, err)
			}
		}
		return nil
	}
}

func sendThree(q *bytesQueue) func() error {
	return func() error {
		_, err := q.SendBatch(background, [][]byte{numbered(100), numbered(101), numbered(102)})
		return err
	}
}

// lend is a loan, which consumers pass before it is ended if passed says so.
func lend(commit, passed bool) func(q *bytesQueue) func() error {
	return func(q *bytesQueue) func() error {
		p := numbered(100)
		var l queue.Loan[[]byte]
		take := func() (err error) {
			l, err = q.LoanBytes(background, len(p))
			return err
		}
		if passed {
			rerun.Check(take())
			rerun.Check(q.Send(background, p))
			m, err := q.Receive(background)
			rerun.Check(err)
			rerun.Check(m.Ack())
		}
		return func() error {
			if !passed {
				if err := take(); err != nil {
					return err
				}
			}
			copy(*l.Value, p)
			if commit {
				return l.Commit()
			}
			return l.Cancel()
		}
	}
}

// heldAtTail has the test hold a message, number 50, while the tail comes round to it.
func heldAtTail(t *testing.T, q *bytesQueue) func() {
	must(t, q.Send(background, numbered(50)))
	held := got(q.Receive(background))(t)
	for range 7 {
		must(t, q.Send(background, numbered(1)))
		must(t, got(q.Receive(background))(t).Ack())
	}
	return func() { must(t, held.Nack()) }
}

// returnsFirst has the first message be returned.
func returnsFirst(t *testing.T, q *bytesQueue) func() {
	m := got(q.Receive(background))(t)
	must(t, q.Send(background, numbered(40)))
	must(t, m.Nack())
	return func() {}
}

// last is a number that comes behind all others.
const last = 1 << 40

// A process is killed at every store that it makes to shared memory, in every
// operation. The others go on: no message is lost or torn, none that was acknowledged
// comes again, those that the dead one had are delivered once more, and all slots are
// free in the end.
func TestKillAtEveryStore(t *testing.T) {
	victim := victimProgram(t)
	var names []string
	for name := range operations {
		names = append(names, name)
	}
	sort.Strings(names)
	var matrix strings.Builder
	tried := 0
	for _, name := range names {
		for kill := 1; ; kill++ {
			passed := killOnce(t, victim, name, kill)
			if t.Failed() {
				return
			}
			tried++
			if passed >= 0 {
				fmt.Fprintf(&matrix, "%-26s %3d stores\n", name, passed)
				break
			}
		}
	}
	t.Logf("\n%skill points: %d tried, 0 failed", &matrix, tried)
}

// victimProgram is this test with kill points.
func victimProgram(t *testing.T) string {
	victim := filepath.Join(t.TempDir(), "victim")
	if out, err := exec.Command("go", "test", "-c", "-tags", "shoalcrash", "-o", victim, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return victim
}

// receipts are the deliveries of each number.
type receipts map[uint64][]int

// collect receives and acknowledges until the last one has come, and nothing is left.
func collect(q *bytesQueue) (all receipts, err error) {
	ctx, cancel := context.WithTimeout(background, 10*time.Second)
	defer cancel()
	all = receipts{}
	for {
		m, err := q.Receive(ctx)
		if err != nil {
			return all, err
		}
		p, err := parse(*m.Value)
		if err != nil {
			return all, err
		}
		if err := m.Ack(); err != nil {
			return all, err
		}
		if p.number == last {
			return all, nil
		}
		all[p.number] = append(all[p.number], m.Deliveries)
	}
}

// killOnce returns how many stores the victim has made if it has come to its end, else
// -1.
func killOnce(t *testing.T, victim, name string, kill int) (passed int) {
	o := operations[name]
	q := got(queue.Create[[]byte]("k", killOptions))(t)
	defer queue.Remove("k")
	defer q.Close()
	fail := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s: killed at store %d: %s", name, kill, fmt.Sprintf(format, args...))
	}
	for i := range o.there {
		must(t, q.Send(background, numbered(uint64(i))))
	}
	end := func() {}
	if o.setup != nil {
		end = o.setup(t, q)
	}
	type result struct {
		all receipts
		err error
	}
	results := make(chan result, 1)
	gather := func() { all, err := collect(q); results <- result{all, err} }
	sent := make(chan error, 1)
	if o.asleep {
		go gather()
		eventually(t, "the consumer sleeps", func() bool { asleep, _ := q.Sleeping(); return asleep })
	}
	if o.full {
		go func() { sent <- q.Send(background, numbered(50)) }()
		eventually(t, "the producer sleeps", func() bool { _, asleep := q.Sleeping(); return asleep })
	}

	p := rerun.StartProgram(t, victim, "victim", name, strconv.Itoa(kill))
	p.Expect("ready")
	if o.later != nil {
		o.later(t)
	}
	p.Say("go")
	passed = -1
	if line, ok := <-p.Lines(); ok {
		if _, err := fmt.Sscanf(line, "done %d", &passed); err != nil {
			t.Fatalf("%s: %q", name, line)
		}
	}
	p.Kill()

	end()
	if !o.asleep {
		go gather()
	}
	if o.full {
		if err := <-sent; err != nil {
			fail("%v", err)
		}
	}
	eventually(t, "all that is dead is buried", func() bool {
		q.TrySettle()
		return q.Stats().Members == 1
	})
	if err := q.Check(); err != nil {
		fail("%v", err)
	}
	must(t, q.Send(background, numbered(last)))
	r := <-results
	if r.err != nil {
		fail("%v, after %v; %+v", r.err, r.all, q.Stats())
		return passed
	}
	acked := 0
	for i := range o.there {
		n := uint64(i)
		switch d := r.all[n]; {
		case len(d) == 0 && acked == i:
			acked++
		case len(d) != 1 || d[0] > 3 || d[0] > 2 && o.setup == nil && o.later == nil || d[0] > 1 && i >= o.twice:
			fail("number %d: delivered %v", n, d)
		}
	}
	count := 0
	for ; r.all[100+uint64(count)] != nil; count++ {
		if d := r.all[100+uint64(count)]; len(d) != 1 || d[0] != 1 {
			fail("number %d: delivered %v", 100+count, d)
		}
	}
	if strings.Contains(name, "past a lent slot") {
		for i := range uint64(2) {
			if len(r.all[i]) == 0 {
				acked++
			}
		}
	}
	if !slices.Contains(o.acks, acked) || passed >= 0 && acked != o.acks[len(o.acks)-1] {
		fail("%d messages acknowledged, want one of %v", acked, o.acks)
	}
	if !slices.Contains(o.sends, count) || passed >= 0 && count != o.sends[len(o.sends)-1] {
		fail("%d messages sent, want one of %v", count, o.sends)
	}
	if o.also != 0 && len(r.all[o.also]) != 1 {
		fail("number %d: delivered %v", o.also, r.all[o.also])
	}
	if _, ok, err := q.TryReceive(); ok || err != nil {
		fail("something is left: %t, %v", ok, err)
	}
	if err := q.Check(); err != nil {
		fail("%v", err)
	}
	if s := q.Stats(); s.Free != s.Slots || s.Members != 1 || s.Returned > 3 {
		fail("%+v", s)
	}
	return passed
}

// A consumer that has been woken for a message and dies before it can take it leaves it
// to another who sleeps, and a producer likewise a free slot.
func TestKillWoken(t *testing.T) {
	victim := victimProgram(t)
	for _, role := range []string{"consumer", "producer"} {
		t.Run(role, func(t *testing.T) {
			q := got(queue.Create[[]byte]("k", &queue.Options{Slots: 1}))(t)
			defer queue.Remove("k")
			defer q.Close()
			if role == "producer" {
				must(t, q.Send(background, numbered(0)))
			}
			p := rerun.StartProgram(t, victim, "woken", role)
			p.Expect("ready")
			eventually(t, "the victim sleeps", func() bool { c, p := q.Sleeping(); return c || p })
			time.Sleep(20 * time.Millisecond) // its bit comes before its sleep; the wake-up that is too early kills all the same
			done := make(chan error, 1)
			go func() {
				if role == "producer" {
					done <- q.Send(background, numbered(1))
					return
				}
				m, err := q.Receive(background)
				if err == nil {
					err = m.Ack()
				}
				done <- err
			}()
			eventually(t, "we sleep, too", func() bool { return q.Waiting() })
			time.Sleep(20 * time.Millisecond)
			if role == "producer" {
				m := got(q.Receive(background))(t)
				must(t, m.Ack())
			} else {
				must(t, q.Send(background, numbered(1)))
			}
			p.Kill()
			began := time.Now()
			must(t, <-done)
			t.Logf("went on %v after the death", time.Since(began))
			must(t, q.Check())
		})
	}
}
