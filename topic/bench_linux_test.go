//go:build linux && (amd64 || arm64)

package topic_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/seed-247006a4/shoal/internal/rerun"
	"github.com/seed-247006a4/shoal/topic"
)

type line [64]byte

func benchTopic(name string, o *topic.Options) *topic.Topic[line] {
	tp, err := topic.OpenOrCreate[line](name, o)
	rerun.Check(err)
	return tp
}

func init() {
	// drain N KIND: reads so many records, touching each.
	roles["drain"] = func(args []string) {
		n, err := strconv.Atoi(args[0])
		rerun.Check(err)
		s, err := benchTopic("bench", nil).Subscribe(nil)
		rerun.Check(err)
		rerun.Say("ready")
		sum := byte(0)
		for v, err := range s.All(background) {
			rerun.Check(err)
			for _, b := range v {
				sum += b
			}
			if n--; n == 0 {
				break
			}
		}
		rerun.Say("done", sum)
		rerun.Hear()
	}
	// sleepers N: has so many subscriptions, each with a goroutine that waits.
	roles["sleepers"] = func(args []string) {
		n, err := strconv.Atoi(args[0])
		rerun.Check(err)
		tp := benchTopic("bench", nil)
		for range n {
			s, err := tp.Subscribe(nil)
			rerun.Check(err)
			go func() {
				for _, err := range s.All(background) {
					rerun.Check(err)
				}
			}()
		}
		rerun.Say("ready")
		rerun.Hear()
	}
}

// Records of 64 bytes from this process to others, one by one and in batches.
func BenchmarkStream(b *testing.B) {
	for _, readers := range []int{1, 2} {
		for _, batch := range []int{1, 64} {
			b.Run(fmt.Sprintf("readers=%d/batch=%d", readers, batch), func(b *testing.B) {
				tp := benchTopic("bench", &topic.Options{LaneSize: 1 << 20})
				defer topic.Remove("bench")
				defer tp.Close()
				p := got(tp.Publisher())(b)
				var all []*rerun.Process
				for range readers {
					r := rerun.Start(b, "drain", strconv.Itoa((b.N+batch-1)/batch*batch))
					r.Expect("ready")
					all = append(all, r)
				}
				vs := make([]line, batch)
				b.ResetTimer()
				for i := 0; i < b.N; i += batch {
					if batch == 1 {
						vs[0][0]++
						if err := p.Send(background, vs[0]); err != nil {
							b.Fatal(err)
						}
						continue
					}
					if _, err := p.SendBatch(background, vs); err != nil {
						b.Fatal(err)
					}
				}
				for _, r := range all {
					r.Expect("done")
				}
				b.StopTimer()
				for _, r := range all {
					r.Kill()
				}
			})
		}
	}
}

// What a publisher pays for a record of 64 bytes, with so many subscribers who keep up:
// they read whenever a tenth of the lane is full, and only the publisher's time counts.
func BenchmarkSubscribers(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			tp := benchTopic("bench", &topic.Options{Publishers: 1, Subscribers: n})
			defer topic.Remove("bench")
			defer tp.Close()
			p := got(tp.Publisher())(b)
			var subs []*topic.Subscription[line]
			for range n {
				subs = append(subs, got(tp.Subscribe(nil))(b))
			}
			vs := make([]line, 1600)
			spent := time.Duration(0)
			for i := 0; i < b.N; {
				began := time.Now()
				for k := 0; k < 160 && i < b.N; k++ {
					vs[0][0]++
					if ok, err := p.TrySend(vs[0]); !ok || err != nil {
						b.Fatal(ok, err)
					}
					i++
				}
				spent += time.Since(began)
				for _, s := range subs {
					s.ReceiveBatch(background, vs)
				}
			}
			b.ReportMetric(float64(spent)/float64(b.N), "ns/record")
		})
	}
}

// What a publisher pays for waking so many subscribers who sleep, in another process.
func BenchmarkWake(b *testing.B) {
	for _, n := range []int{1, 8, 100, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			tp := benchTopic("bench", &topic.Options{Publishers: 1, Subscribers: n})
			defer topic.Remove("bench")
			defer tp.Close()
			p := got(tp.Publisher())(b)
			r := rerun.Start(b, "sleepers", strconv.Itoa(n))
			r.Expect("ready")
			spent, all := time.Duration(0), time.Duration(0)
			rest := func() {
				for {
					done := true
					for _, s := range tp.Stats().Subscribers {
						done = done && s.Lag[0].Records == 0
					}
					asleep, _ := tp.Sleeping()
					if done && asleep {
						break
					}
				}
			}
			rest()
			time.Sleep(20 * time.Millisecond)
			for range b.N {
				began := time.Now()
				if err := p.Send(background, line{}); err != nil {
					b.Fatal(err)
				}
				spent += time.Since(began)
				rest()
				all += time.Since(began)
				time.Sleep(5 * time.Millisecond) // the last to come falls asleep
			}
			b.ReportMetric(float64(spent)/float64(b.N), "ns/send")
			b.ReportMetric(float64(all)/float64(b.N), "ns/all-awake")
			if s := tp.Stats(); s.LostWakes != 0 {
				b.Errorf("%d lost wake-ups", s.LostWakes)
			}
			r.Kill()
		})
	}
}

// What a subscriber pays for a record of 64 bytes that is there.
func BenchmarkRead(b *testing.B) {
	tp := benchTopic("bench", &topic.Options{LaneSize: 1 << 20})
	defer topic.Remove("bench")
	defer tp.Close()
	p := got(tp.Publisher())(b)
	s := got(tp.Subscribe(nil))(b)
	for _, how := range []string{"Receive", "Peek", "All", "Runs"} {
		b.Run(how, func(b *testing.B) {
			spent := time.Duration(0)
			for i := 0; i < b.N; {
				n := min(b.N-i, 8000)
				i += n
				for range n {
					must(b, p.Send(background, line{}))
				}
				began := time.Now()
				switch how {
				case "Receive":
					for range n {
						s.Receive(background)
					}
				case "Peek":
					for range n {
						s.Peek(background)
						s.Release()
					}
				default:
					all := s.All(background)
					if how == "Runs" {
						all = s.Runs(background)
					}
					for range all {
						if n--; n == 0 {
							break
						}
					}
				}
				spent += time.Since(began)
			}
			b.ReportMetric(float64(spent)/float64(b.N), "ns/record")
		})
	}
}
