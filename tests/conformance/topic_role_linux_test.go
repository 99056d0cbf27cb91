//go:build linux && (amd64 || arm64)

package conformance

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/seed-247006a4/shoal/internal/mem"
	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/schema"
	"github.com/seed-247006a4/shoal/topic"
)

// topics is what a role has open of a topic.
type topics struct {
	topic      *topic.Topic[[]byte]
	publisher  *topic.Publisher[[]byte]
	subscriber *topic.Subscription[[]byte]
}

func (r *role) openTopic(args []string) (err error) {
	o := topic.Options{Publishers: 3, Subscribers: 4, LaneSize: 4096}
	switch args[3] {
	case "refuse":
		o.Policy = topic.Refuse
	case "drop":
		o.Policy = topic.Drop
	}
	switch args[4] {
	case "":
	case "int64":
		o.Type, err = schema.Of[int64]()
	case "float64":
		o.Type, err = schema.Of[float64]()
	default:
		o.LaneSize = offset(args[4])
	}
	rerun.Check(err)
	r.topic, err = topic.OpenOrCreate[[]byte](args[2], &o)
	return err
}

func (r *role) subscribe(how, detail string) (err error) {
	o := topic.SubscribeOptions{Lossy: strings.HasPrefix(how, "lossy")}
	if strings.Contains(how, "oldest") {
		o.From = topic.Oldest
	}
	switch {
	case strings.HasPrefix(how, "named"):
		o.Name = detail
	case detail != "":
		o.History = offset(detail)
	}
	s, err := r.topic.Subscribe(&o)
	if err == nil {
		r.subscriber = s
	}
	return err
}

func (r *role) doTopic(args []string) string {
	ctx := context.Background()
	var err error
	switch args[1] {
	case "open":
		err = r.openTopic(args)
	case "publisher":
		var p *topic.Publisher[[]byte]
		if p, err = r.topic.Publisher(); err == nil {
			r.publisher = p
		}
	case "unpublisher":
		err = r.publisher.Close()
	case "subscribe":
		err = r.subscribe(args[2], args[3])
	case "unsubscribe":
		err = r.subscriber.Close()
	case "forget":
		err = r.topic.Forget(args[2])
	case "send":
		return within([]string{"", "", args[4]}, func(ctx context.Context) error {
			return r.publisher.Send(ctx, filled(uint64(offset(args[2])), offset(args[3])))
		})
	case "try":
		return tried(r.publisher.TrySend(filled(uint64(offset(args[2])), offset(args[3]))))
	case "batch":
		var records [][]byte
		for i := range offset(args[3]) {
			records = append(records, filled(uint64(offset(args[2])+i), 16))
		}
		_, err = r.publisher.SendBatch(ctx, records)
	case "place", "cancel":
		var l topic.Loan[[]byte]
		if l, err = r.publisher.LoanBytes(ctx, offset(args[3])); err == nil {
			fill(*l.Value, uint64(offset(args[2])))
			if args[1] == "place" {
				err = l.Commit()
			} else {
				err = l.Cancel()
			}
		}
	case "stream":
		for i := range offset(args[3]) {
			number := offset(args[2]) + i
			if err = r.publisher.Send(ctx, filled(uint64(number), 8+number%100)); err != nil {
				break
			}
		}
	case "publish":
		err = r.publish(uint64(offset(args[2])))
	case "check":
		err = r.topic.Check()
	case "repair":
		var n int
		if n, err = r.topic.Repair(); err == nil {
			return fmt.Sprint(n)
		}
	case "lost":
		return fmt.Sprint(r.topic.Stats().LostWakes)
	case "lane":
		for _, p := range r.topic.Stats().Publishers {
			if p.Publisher == offset(args[2]) {
				return fmt.Sprintf("sent %d full %d repairs %d %s", p.Sent, p.Full, p.Repairs, stateOf(p.Port))
			}
		}
		return "invalid"
	case "subscriber":
		for _, s := range r.topic.Stats().Subscribers {
			if s.Subscriber == offset(args[2]) {
				return subscriberOf(s)
			}
		}
		return "free"
	case "close":
		err = r.topic.Close()
	default:
		return r.doSubscriber(args)
	}
	return wordFor(err)
}

func stateOf(p topic.Port) string {
	switch {
	case p.PID == 0:
		return "nobody"
	case p.Alive:
		return "alive"
	}
	return "dead"
}

func subscriberOf(s topic.SubscriberStats) string {
	name, lag := s.Name, uint64(0)
	if name == "" {
		name = "unnamed"
	}
	for _, l := range s.Lag {
		lag += l.Records
	}
	return fmt.Sprintf("%s %v received %d missed %d lag %d %s", name, s.State, s.Received, s.Missed, lag, stateOf(s.Port))
}

// doSubscriber is the part of doTopic that receives.
func (r *role) doSubscriber(args []string) string {
	ctx := context.Background()
	var err error
	switch args[1] {
	case "receive":
		var p []byte
		word := within(args, func(ctx context.Context) (err error) {
			p, err = r.subscriber.Receive(ctx)
			return err
		})
		if word != "ok" {
			return word
		}
		return recordOf(p, true, nil)
	case "tryreceive":
		return recordOf(r.subscriber.TryReceive())
	case "peek":
		p, err := r.subscriber.TryPeek()
		if p == nil || err != nil {
			return tried(false, err)
		}
		return recordOf(*p, true, nil)
	case "release":
		err = r.subscriber.Release()
	case "count", "tally":
		return r.tally(args[1] == "tally")
	case "last":
		l := r.subscriber.Last()
		return fmt.Sprint(l.Publisher, " ", l.Number)
	case "drain":
		i := 0
		for p, err := range r.subscriber.Runs(ctx) {
			if err != nil {
				return wordFor(err)
			}
			if got := binary.LittleEndian.Uint64(*p); got != uint64(offset(args[2])+i) {
				return "corrupt"
			}
			if i++; i == offset(args[3]) {
				break
			}
		}
	case "collectbatch":
		vs, n := make([][]byte, 100), 0
		for i := 0; i < offset(args[3]); i += n {
			if n, err = r.subscriber.ReceiveBatch(ctx, vs[:min(len(vs), offset(args[3])-i)]); err != nil {
				break
			}
			for k := range n {
				if binary.LittleEndian.Uint64(vs[k]) != uint64(offset(args[2])+i+k) {
					return "corrupt"
				}
			}
		}
	case "follow":
		return r.topicFollow(uint64(offset(args[2])))
	case "hop":
		return r.hop(offset(args[2]))
	case "collect":
		return r.collect(uint64(offset(args[2])))
	case "watch":
		return r.watch(uint64(offset(args[2])))
	case "reliable":
		if r.subscriber.Reliable() {
			return "1"
		}
		return "0"
	default:
		return "no verb " + args[1]
	}
	return wordFor(err)
}

func (r *role) tally(all bool) string {
	n, missed := 0, uint64(0)
	for {
		var gap *topic.MissedError
		_, ok, err := r.subscriber.TryReceive()
		switch {
		case all && errors.As(err, &gap):
			missed += gap.Count
		case all && err != nil:
			return wordFor(err)
		case !ok && !all:
			return fmt.Sprint(n)
		case !ok && missed == 0:
			return fmt.Sprintf("%d, none missed", n)
		case !ok:
			return fmt.Sprintf("%d, some missed", uint64(n)+missed)
		default:
			n++
		}
	}
}

// topicFollow does as topic_follow in role.c.
func (r *role) topicFollow(number uint64) string {
	for next, got := uint64(0), ^uint64(0); got != number; {
		p, err := r.subscriber.Peek(context.Background())
		var gap *topic.MissedError
		switch {
		case errors.As(err, &gap):
			next += gap.Count
			continue
		case errors.Is(err, topic.ErrDropped):
			continue
		case err != nil:
			return wordFor(err)
		}
		got = binary.LittleEndian.Uint64(*p)
		if got != next || r.subscriber.Last().Number != next || string(*p) != string(filled(next, 8+int(next%100))) {
			return "corrupt"
		}
		next++
		if err := r.subscriber.Release(); err != nil {
			return wordFor(err)
		}
	}
	return "ok"
}

// ledger is word i of the segment that is open.
func (r *role) ledger(i uint64) *mem.Uint64 { return word(r.segment.Bytes(), int(8*i)) }

// publish does as its namesake in role.c.
func (r *role) publish(who uint64) error {
	p := make([]byte, 64)
	for {
		number := r.ledger(who).Add(1)
		for i := range p {
			p[i] = byte(number)
		}
		binary.LittleEndian.PutUint64(p, who)
		binary.LittleEndian.PutUint64(p[8:], number)
		if err := r.publisher.Send(context.Background(), p); err != nil {
			return err
		}
	}
}

// hop does as its namesake in role.c.
func (r *role) hop(times int) string {
	for i := range times {
		o := topic.SubscribeOptions{From: topic.From(i % 3 % 2), History: i % 3 / 2 * 2}
		s, err := r.topic.Subscribe(&o)
		if err != nil {
			return wordFor(err)
		}
		next := uint64(0)
		for range 40 {
			p, ok, err := s.TryReceive()
			if err != nil {
				return wordFor(err)
			}
			if !ok {
				continue
			}
			got := binary.LittleEndian.Uint64(p)
			if got != s.Last().Number || next != 0 && got != next || len(p) != 8+int(got%100) {
				return "corrupt"
			}
			next = got + 1
		}
		if err := s.Close(); err != nil {
			return wordFor(err)
		}
	}
	return "ok"
}

// published reports whether a record is one of publish.
func published(p []byte) (who, number uint64, ok bool) {
	if len(p) != 64 {
		return 0, 0, false
	}
	who, number = binary.LittleEndian.Uint64(p), binary.LittleEndian.Uint64(p[8:])
	for _, c := range p[16:] {
		if c != byte(number) {
			return 0, 0, false
		}
	}
	return who, number, who < 8
}

// collect does as its namesake in role.c.
func (r *role) collect(at uint64) string {
	for p, err := range r.subscriber.All(context.Background()) {
		if err != nil {
			return wordFor(err)
		}
		who, number, ok := published(*p)
		if !ok {
			return "torn"
		}
		word := r.ledger(at + who)
		last, gaps := word.Load()>>16, word.Load()&0xffff
		if number > last {
			gaps += number - last - 1
		}
		if number < last || gaps > r.ledger(16+who).Load() {
			return fmt.Sprintf("record %d of publisher %d after %d", number, who, last)
		}
		word.Store(number<<16 | gaps)
		r.ledger(at + 8).Add(1)
	}
	return "the loop has ended"
}

// watch does as its namesake in role.c.
func (r *role) watch(at uint64) string {
	var next [3]uint64
	var last [8]uint64
	for p, err := range r.subscriber.All(context.Background()) {
		var gap *topic.MissedError
		switch {
		case errors.As(err, &gap):
			if next[gap.Publisher] != 0 {
				next[gap.Publisher] += gap.Count
			}
			continue
		case err != nil:
			return wordFor(err)
		}
		who, number, ok := published(*p)
		if !ok || number <= last[who] {
			return "torn"
		}
		info := r.subscriber.Last()
		if want := next[info.Publisher]; want != 0 && want != info.Number+1 {
			return fmt.Sprintf("record %d of lane %d, want %d", info.Number, info.Publisher, want-1)
		}
		next[info.Publisher], last[who] = info.Number+2, number
		r.ledger(at + 8).Add(1)
	}
	return "the loop has ended"
}
